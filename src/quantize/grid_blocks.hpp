// Encoders of the types whose groups of elements are points of a grid.
#pragma once
#include "checkpoint/quant_blocks.hpp"

namespace rbee {

// x and w: the values of a block and their weights, which are above 0.
void encode(const float* x, const float* w, BlockIq2Xxs& block);
void encode(const float* x, const float* w, BlockIq2Xs& block);
void encode(const float* x, const float* w, BlockIq2S& block);
void encode(const float* x, const float* w, BlockIq3Xxs& block);
void encode(const float* x, const float* w, BlockIq3S& block);
void encode(const float* x, const float* w, BlockIq1S& block);
void encode(const float* x, const float* w, BlockIq1M& block);

}  // namespace rbee
