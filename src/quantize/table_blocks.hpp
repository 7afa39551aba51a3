// Encoders of the types whose codes stand for a table of 16 numbers.
#pragma once
#include "checkpoint/quant_blocks.hpp"
#include "quantize/scale_search.hpp"

namespace rbee {

// x and w: the values of a block and their weights, which are above 0. levels: those of the type.
void encode(const float* x, const float* w, const TableLevels& levels, BlockMxfp4& block);
void encode(const float* x, const float* w, const TableLevels& levels, BlockNvfp4& block);
void encode(const float* x, const float* w, const TableLevels& levels, BlockIq4Nl& block);
void encode(const float* x, const float* w, const TableLevels& levels, BlockIq4Xs& block);

}  // namespace rbee
