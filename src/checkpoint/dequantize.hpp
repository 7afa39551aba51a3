// Stored values to float: the definition that every faster path is measured against.
#pragma once
#include <cstddef>
#include <span>

#include "core/dtype.hpp"

namespace rbee {

// Decodes a row of out.size() elements. Plain types are exact; quantised ones are computed in float
// in the order of the formulas in quant_blocks.hpp, products first.
// Precondition: out.size() is a multiple of the block and row.size() == row_bytes(type,
// out.size()). row needs no alignment.
void dequantize_row(DType type, std::span<const std::byte> row, std::span<float> out);

}  // namespace rbee
