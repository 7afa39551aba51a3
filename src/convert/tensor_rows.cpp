#include "convert/tensor_rows.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/mapped_file.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/encoded_matrix.hpp"

namespace rbee {
namespace {

using RowMap = std::function<std::int64_t(std::int64_t)>;

// A tensor of the checkpoint as rows of bytes.
class File {
 public:
  explicit File(const TensorInfo& tensor)
      : tensor_(&tensor),
        row_bytes_(rbee::row_bytes(type(), static_cast<std::size_t>(tensor.shape.back()))) {}

  // Scales of their own become part of the values.
  DType type() const { return tensor_->scales.empty() ? tensor_->type : DType::f32; }
  std::int64_t cols() const { return tensor_->shape.back(); }
  std::size_t row_bytes() const { return row_bytes_; }

  void read(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const {
    if (!tensor_->scales.empty()) return read_scaled(begin, n, out);
    read_stored(begin, n, out);
  }
  void release() const { MappedFile::release(tensor_->bytes); }

 private:
  void read_stored(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const {
    if (tensor_->encoded) return tensor_->encoded->rows(begin, n, out);
    const std::size_t width = out.size() / static_cast<std::size_t>(n);
    std::ranges::copy(tensor_->bytes.subspan(static_cast<std::size_t>(begin) * width, out.size()),
                      out.begin());
  }

  void read_scaled(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const {
    const auto cols = static_cast<std::size_t>(tensor_->shape.back());
    const std::int64_t matrix_rows = tensor_->shape[tensor_->shape.size() - 2];
    std::vector<std::byte> stored(rbee::row_bytes(tensor_->type, cols));
    std::vector<float> values(cols);
    for (std::int64_t r = 0; r < n; ++r) {
      read_stored(begin + r, 1, stored);
      dequantize_row(tensor_->type, stored, values);
      const float scale = tensor_->scale(static_cast<std::size_t>((begin + r) / matrix_rows));
      for (float& value : values) value *= scale;
      std::memcpy(&out[static_cast<std::size_t>(r) * row_bytes_], values.data(), row_bytes_);
    }
  }

  const TensorInfo* tensor_;
  std::size_t row_bytes_;
};

class FileRows final : public TensorRows {
 public:
  FileRows(const TensorInfo& tensor, RowMap row) : file_(tensor), row_(std::move(row)) {}

  DType type() const override { return file_.type(); }
  void read(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    if (!row_) return file_.read(begin, n, out);
    for (std::int64_t r = 0; r < n; ++r) {
      const std::size_t at = static_cast<std::size_t>(r) * file_.row_bytes();
      file_.read(row_(begin + r), 1, out.subspan(at, file_.row_bytes()));
    }
  }
  void release() const override { file_.release(); }

 private:
  File file_;
  RowMap row_;
};

class StackedRows final : public TensorRows {
 public:
  StackedRows(std::vector<RowsPtr> parts, std::int64_t each)
      : parts_(std::move(parts)), each_(each) {}

  DType type() const override { return parts_.front()->type(); }
  void read(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    const std::size_t width = out.size() / static_cast<std::size_t>(n);
    while (n > 0) {
      const std::int64_t first = begin % each_, here = std::min(n, each_ - first);
      const std::size_t bytes = static_cast<std::size_t>(here) * width;
      parts_[static_cast<std::size_t>(begin / each_)]->read(first, here, out.first(bytes));
      out = out.subspan(bytes);
      begin += here, n -= here;
    }
  }
  void release() const override {
    for (const RowsPtr& part : parts_) part->release();
  }

 private:
  std::vector<RowsPtr> parts_;
  std::int64_t each_;
};

class ColumnRows final : public TensorRows {
 public:
  ColumnRows(const TensorInfo& tensor, Columns columns)
      : file_(tensor), columns_(std::move(columns)) {}

  DType type() const override { return decodes() ? DType::f32 : file_.type(); }

  void read(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    const std::size_t width = out.size() / static_cast<std::size_t>(n);
    while (n > 0) {
      const std::int64_t first = begin % columns_.columns;
      const std::int64_t here = std::min(n, columns_.columns - first);
      const std::size_t bytes = static_cast<std::size_t>(here) * width;
      read_matrix(begin / columns_.columns, first, out.first(bytes), width);
      out = out.subspan(bytes);
      begin += here, n -= here;
    }
  }
  void release() const override { file_.release(); }

 private:
  bool decodes() const { return info(file_.type()).quantised; }

  // Rows of the result from `first` on, as many as out holds.
  void read_matrix(std::int64_t matrix, std::int64_t first, std::span<std::byte> out,
                   std::size_t width) const {
    const std::size_t size = width / static_cast<std::size_t>(columns_.width);
    const auto n = static_cast<std::int64_t>(out.size() / width);
    std::vector<std::byte> row(file_.row_bytes());
    std::vector<float> values(decodes() ? static_cast<std::size_t>(file_.cols()) : 0);
    for (std::int64_t r = 0; r < columns_.width; ++r) {
      file_.read(matrix * columns_.file_rows + columns_.begin + r, 1, row);
      std::span<const std::byte> from = row;
      if (decodes()) {
        dequantize_row(file_.type(), row, values);
        from = std::as_bytes(std::span(values));
      }
      for (std::int64_t c = 0; c < n; ++c) {
        const std::int64_t column = columns_.pick ? columns_.pick(first + c) : first + c;
        std::memcpy(&out[static_cast<std::size_t>(c) * width + static_cast<std::size_t>(r) * size],
                    &from[static_cast<std::size_t>(column) * size], size);
      }
    }
  }

  File file_;
  Columns columns_;
};

class ComputedRows final : public TensorRows {
 public:
  ComputedRows(std::function<std::vector<float>()> values, std::int64_t cols)
      : values_(std::move(values)), cols_(cols) {}

  DType type() const override { return DType::f32; }
  void read(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    const std::vector<float> all = values_();
    const auto part = std::span(all).subspan(static_cast<std::size_t>(begin * cols_),
                                             static_cast<std::size_t>(n * cols_));
    std::memcpy(out.data(), part.data(), part.size_bytes());
  }

 private:
  std::function<std::vector<float>()> values_;
  std::int64_t cols_;
};

}  // namespace

RowsPtr file_rows(const TensorInfo& tensor, RowMap row) {
  return std::make_shared<FileRows>(tensor, std::move(row));
}

RowsPtr stacked_rows(std::vector<RowsPtr> parts, std::int64_t rows_each) {
  return std::make_shared<StackedRows>(std::move(parts), rows_each);
}

RowsPtr column_rows(const TensorInfo& tensor, Columns columns) {
  return std::make_shared<ColumnRows>(tensor, std::move(columns));
}

RowsPtr computed_rows(std::function<std::vector<float>()> values, std::int64_t cols) {
  return std::make_shared<ComputedRows>(std::move(values), cols);
}

}  // namespace rbee
