#include "model/tensor_values.hpp"

#include <algorithm>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/tensor_data.hpp"

namespace rbee {
namespace {

// Rows of so many bytes, one after the other; contiguous ones stay where they are.
std::span<const std::byte> gathered(std::span<const std::byte> bytes, std::size_t width,
                                    std::span<const std::int32_t> rows,
                                    std::vector<std::byte>& copy) {
  const auto row = [&](std::int32_t r) {
    return bytes.subspan(static_cast<std::size_t>(r) * width, width);
  };
  bool contiguous = true;
  for (std::size_t i = 1; i < rows.size(); ++i) contiguous &= rows[i] == rows[i - 1] + 1;
  if (contiguous) return {row(rows.front()).data(), rows.size() * width};
  copy.reserve(rows.size() * width);
  for (const std::int32_t r : rows) copy.insert(copy.end(), row(r).begin(), row(r).end());
  return copy;
}

// The columns of a matrix of numbers of so many bytes that are rows of the weight.
std::vector<std::byte> transposed(const HostMatrix& matrix, std::size_t size, int file_rows,
                                  std::span<const std::int32_t> wanted) {
  std::vector<std::byte> out;
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto cols = static_cast<std::size_t>(matrix.cols);
  out.reserve(rows * cols * size);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t from = wanted.empty() ? r : static_cast<std::size_t>(wanted[r]);
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
  const int file_rows = stored.rows.empty() ? rows : stored.file_rows;
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
  const int file_rows = stored.rows.empty() ? matrix.rows : stored.file_rows;
  if (stored.transposed) {
    return copy = transposed(matrix, info(matrix.type).block_bytes, file_rows, stored.rows);
  }
  if (stored.rows.empty()) return matrix.bytes;
  const std::size_t width = matrix.bytes.size() / static_cast<std::size_t>(file_rows);
  return gathered(matrix.bytes, width, stored.rows, copy);
}

std::vector<float> decode(const TensorInfo& info) {
  std::size_t count = 1;  // at most eight a byte: the checkpoint has compared it with the bytes
  for (const std::int64_t extent : info.shape) count *= static_cast<std::size_t>(extent);
  std::vector<float> values(count);
  if (count > 0) dequantize_row(info.type, TensorData(info).bytes(), values);
  return values;
}

}  // namespace rbee
