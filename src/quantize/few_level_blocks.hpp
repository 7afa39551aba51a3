// Encoders of the types of one scale and two to four levels.
#pragma once
#include "checkpoint/quant_blocks.hpp"

namespace rbee {

// x and w: the values of a block and their weights, which are above 0.
void encode(const float* x, const float* w, BlockTq10& block);
void encode(const float* x, const float* w, BlockTq20& block);
void encode(const float* x, const float* w, BlockQ10& block);
void encode(const float* x, const float* w, BlockQ20& block);

}  // namespace rbee
