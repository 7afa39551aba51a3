// From float to every type of GGUF: the counterpart of checkpoint/dequantize.hpp.
#pragma once
#include <cstddef>
#include <span>

#include "core/dtype.hpp"

namespace rbee {

// Whether quantize_rows writes the type.
bool can_quantize(DType type) noexcept;

// Writes values [rows, cols], row-major, as rows of the type; out holds rows * row_bytes(type,
// cols) bytes. Of the representable blocks it seeks the one with the smallest Σ w (x - y)² over its
// elements: importance has w for each of the cols columns (the mean square of the input that the
// column multiplies, say), or is empty for equal weights. It does not round any worse where a
// weight is 0 than a small part of the mean weight would demand.
// The bytes depend on the arguments alone: rows may be cut into calls at will, on any thread. Calls
// of several rows are cheaper.
// Precondition: can_quantize(type); cols is a multiple of the type's block; values are finite;
// weights are finite and not negative.
void quantize_rows(DType type, std::span<const float> values, std::size_t cols,
                   std::span<const float> importance, std::span<std::byte> out);

}  // namespace rbee
