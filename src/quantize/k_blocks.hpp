// Encoders of the K types: 256 elements in runs with scales, or scales and minima, of their own.
#pragma once
#include "checkpoint/quant_blocks.hpp"

namespace rbee {

// x and w: the values of a block and their weights, which are above 0.
void encode(const float* x, const float* w, BlockQ2K& block);
void encode(const float* x, const float* w, BlockQ3K& block);
void encode(const float* x, const float* w, BlockQ4K& block);
void encode(const float* x, const float* w, BlockQ5K& block);
void encode(const float* x, const float* w, BlockQ6K& block);

}  // namespace rbee
