#include "quantize/requantize.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/load_error.hpp"
#include "base/parallel.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/describe.hpp"
#include "quantize/quantize.hpp"

namespace rbee {

void requantize_rows(const HostMatrix& rows, DType type, std::span<const float> importance,
                     std::vector<float>& values, std::span<std::byte> out) {
  const auto cols = static_cast<std::size_t>(rows.cols);
  values.resize(static_cast<std::size_t>(rows.rows) * cols);
  dequantize_row(rows.type, rows.bytes, values);
  if (rows.scale != 1) {
    for (float& value : values) value *= rows.scale;
  }
  if (info(type).quantised &&
      !std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    throw LoadError("tensor " + in_quotes(rows.name), "values",
                    "finite ones, to be written as " + std::string(info(type).name),
                    "infinity or NaN");
  }
  quantize_rows(type, values, cols, importance, out);
}

std::vector<std::byte> requantize(const HostMatrix& matrix, DType type,
                                  std::span<const float> importance, int threads) {
  constexpr std::size_t kPiece = 1 << 14;  // elements, about
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto cols = static_cast<std::size_t>(matrix.cols);
  const std::size_t from = row_bytes(matrix.type, cols), to = row_bytes(type, cols);
  const std::size_t step = std::max<std::size_t>(1, kPiece / std::max<std::size_t>(cols, 1));
  std::vector<std::byte> out(rows * to);
  std::vector<std::vector<float>> values(static_cast<std::size_t>(std::max(threads, 1)));
  run_parallel((rows + step - 1) / step, threads, [&](std::size_t piece, std::size_t thread) {
    const std::size_t first = piece * step, n = std::min(step, rows - first);
    HostMatrix part = matrix;
    part.bytes = matrix.bytes.subspan(first * from, n * from);
    part.rows = static_cast<int>(n);
    requantize_rows(part, type, importance, values[thread],
                    std::span(out).subspan(first * to, n * to));
  });
  return out;
}

}  // namespace rbee
