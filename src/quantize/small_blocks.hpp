// Encoders of the types whose blocks have one scale, or a scale and a minimum.
#pragma once
#include "checkpoint/quant_blocks.hpp"
#include "quantize/scale_search.hpp"

namespace rbee {

// x and w: the values of a block and their weights, which are above 0.
void encode(const float* x, const float* w, BlockQ40& block);
void encode(const float* x, const float* w, BlockQ41& block);
void encode(const float* x, const float* w, BlockQ50& block);
void encode(const float* x, const float* w, BlockQ51& block);
void encode(const float* x, const float* w, BlockQ80& block);

}  // namespace rbee
