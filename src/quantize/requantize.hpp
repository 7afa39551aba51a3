// Matrices in another type.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "core/tensor.hpp"

namespace rbee {

// Writes rows in another type (quantize_rows, with its importance and preconditions) to out. values
// is memory that may be used again. Throws LoadError, with the name of the matrix, for values that
// are not finite where the type is quantised.
void requantize_rows(const HostMatrix& rows, DType type, std::span<const float> importance,
                     std::vector<float>& values, std::span<std::byte> out);

// A whole matrix, on several threads, which decode a few rows at a time.
std::vector<std::byte> requantize(const HostMatrix& matrix, DType type,
                                  std::span<const float> importance, int threads);

}  // namespace rbee
