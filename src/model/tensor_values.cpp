#include "model/tensor_values.hpp"

#include <algorithm>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/tensor_data.hpp"

namespace rbee {
namespace {

// The rows of a weight, of so many bytes, one after the other; contiguous ones stay where they are.
std::span<const std::byte> gathered(const HostMatrix& file, std::size_t width, const Stored& stored,
                                    std::vector<std::byte>& copy) {
  const auto row = [&](int r) {
    return file.bytes.subspan(static_cast<std::size_t>(stored.row(r)) * width, width);
  };
  const auto size = static_cast<std::size_t>(file.rows) * width;
  bool contiguous = true;
  for (int r = 1; r < file.rows; ++r) contiguous &= stored.row(r) == stored.row(r - 1) + 1;
  if (contiguous) return {row(0).data(), size};
  copy.reserve(size);
  for (int r = 0; r < file.rows; ++r) copy.insert(copy.end(), row(r).begin(), row(r).end());
  return copy;
}

// The columns of a matrix of numbers of so many bytes that are rows of the weight.
std::vector<std::byte> transposed(const HostMatrix& matrix, std::size_t size, int file_rows,
                                  const Stored& stored) {
  std::vector<std::byte> out;
  const auto cols = static_cast<std::size_t>(matrix.cols);
  out.reserve(static_cast<std::size_t>(matrix.rows) * cols * size);
  for (int r = 0; r < matrix.rows; ++r) {
    const auto from = static_cast<std::size_t>(stored.row ? stored.row(r) : r);
    for (std::size_t c = 0; c < cols; ++c) {
      const auto at = matrix.bytes.subspan((c * static_cast<std::size_t>(file_rows) + from) * size);
      out.insert(out.end(), at.begin(), at.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }
  return out;
}

}  // namespace

std::string tensor_field(std::string_view name) { return "tensor " + in_quotes(name); }

std::string shape_field(std::span<const std::int64_t> shape) {
  return "shape " + shape_text(shape);
}

void expect_shape(const TensorInfo& info, std::span<const std::int64_t> expected) {
  if (std::ranges::equal(info.shape, expected)) return;
  throw LoadError(info.file, tensor_field(info.name), shape_field(expected),
                  shape_field(info.shape));
}

void expect_stored(const TensorInfo& info, int n, int rows, int cols, const Stored& stored) {
  const int file_rows = stored.row ? stored.file_rows : rows;
  std::vector<std::int64_t> shape{file_rows, cols};
  if (stored.transposed) std::swap(shape[0], shape[1]);
  if (n > 0) shape.insert(shape.begin(), n);
  expect_shape(info, shape);
  const DTypeInfo& type = rbee::info(info.type);
  if (stored.transposed && type.quantised) {
    throw LoadError(info.file, tensor_field(info.name), "F32, F16 or BF16, to be transposed",
                    std::string(type.name));
  }
}

std::span<const std::byte> stored_bytes(const HostMatrix& matrix, const Stored& stored,
                                        std::vector<std::byte>& copy) {
  const int file_rows = stored.row ? stored.file_rows : matrix.rows;
  if (stored.transposed) {
    return copy = transposed(matrix, info(matrix.type).block_bytes, file_rows, stored);
  }
  if (!stored.row) return matrix.bytes;
  const std::size_t width = matrix.bytes.size() / static_cast<std::size_t>(file_rows);
  return gathered(matrix, width, stored, copy);
}

std::vector<float> decode(const TensorInfo& info) {
  std::vector<float> values(static_cast<std::size_t>(element_count(info.shape)));
  if (values.empty()) return values;
  dequantize_row(info.type, TensorData(info).bytes(), values);
  if (!info.scales.empty()) {
    const std::size_t each = values.size() / info.scales.size();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= info.scale(i / each);
  }
  return values;
}

}  // namespace rbee
