// Weights of heads: a matrix for each, out of one tensor.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/mapped_file.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/tensor_data.hpp"
#include "model/loader.hpp"
#include "model/tensor_values.hpp"

namespace rbee {
namespace {

// A matrix in file layout, with its memory.
struct Transposed {
  std::vector<std::byte> bytes;
  DType type = DType::f32;
};

// The values of plain types move. Those of quantised ones become f32: a block belongs to its row,
// and no 16-bit type holds its products of code and scale.
Transposed transposed(const HostMatrix& matrix) {
  const DTypeInfo& type = info(matrix.type);
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto cols = static_cast<std::size_t>(matrix.cols);
  const std::size_t row = row_bytes(matrix.type, cols);
  const std::size_t size = type.quantised ? sizeof(float) : type.block_bytes;
  Transposed out{std::vector<std::byte>(rows * cols * size),
                 type.quantised ? DType::f32 : matrix.type};
  std::vector<float> decoded(type.quantised ? cols : 0);
  for (std::size_t r = 0; r < rows; ++r) {
    std::span<const std::byte> values = matrix.bytes.subspan(r * row, row);
    if (type.quantised) {
      dequantize_row(matrix.type, values, decoded);
      values = std::as_bytes(std::span(decoded));
    }
    for (std::size_t c = 0; c < cols; ++c) {
      std::memcpy(&out.bytes[(c * rows + r) * size], &values[c * size], size);
    }
  }
  return out;
}

}  // namespace

std::vector<Weight> Loader::head_matrices(const Name& name, const HeadRows& part, int cols,
                                          int layer) {
  const int rows = part.rows == 0 ? part.head_rows - part.begin : part.rows;
  const std::array<std::int64_t, 3> stacked{part.heads, part.head_rows, cols};
  const std::array<std::int64_t, 2> flat{std::int64_t{part.heads} * part.head_rows, cols};
  const TensorInfo* tensor = use(name, layer);
  if (tensor == nullptr) missing(name, layer, shape_field(flat));
  const TensorRequest request{name, layer, *tensor, rows, cols, {}, part};
  tell(request);
  expect_shape(*tensor, tensor->shape.size() == 3 ? std::span<const std::int64_t>(stacked)
                                                  : std::span<const std::int64_t>(flat));
  if (!reads()) {
    const DType turned = info(tensor->type).quantised ? DType::f32 : tensor->type;
    const HostMatrix matrix = part.transpose
                                  ? HostMatrix{{}, turned, cols, rows, tensor->name}
                                  : HostMatrix{{}, tensor->type, rows, cols, tensor->name};
    std::vector<Weight> weights;
    for (int h = 0; h < part.heads; ++h) weights.push_back(pack(matrix, request, h));
    return weights;
  }
  const TensorData data(*tensor);
  const std::size_t row = row_bytes(tensor->type, static_cast<std::size_t>(cols));
  std::vector<Weight> weights;
  for (int h = 0; h < part.heads; ++h) {
    const auto first = static_cast<std::size_t>(h) * static_cast<std::size_t>(part.head_rows) +
                       static_cast<std::size_t>(part.begin);
    const auto bytes = data.bytes().subspan(first * row, static_cast<std::size_t>(rows) * row);
    const HostMatrix matrix{bytes, tensor->type, rows, cols, tensor->name};
    if (part.transpose) {
      const Transposed turned = transposed(matrix);
      weights.push_back(pack({turned.bytes, turned.type, cols, rows, tensor->name}, request, h));
    } else {
      weights.push_back(pack(matrix, request, h));
    }
  }
  if (weights.empty() || !weights.front().in_file) MappedFile::release(tensor->bytes);
  report_progress();
  return weights;
}

}  // namespace rbee
