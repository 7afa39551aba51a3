// Kernels of the ops with recurrent state, for some channels or one head of one sequence. One table
// of functions per instruction set. Tokens are taken one after the other, and every channel is a
// lane of its own: a result depends neither on how tokens are cut into calls nor on the lane.
#pragma once
#include <cstddef>

#include "backend/cpu/kernels/isa.hpp"

namespace rbee::cpu {

// Pointers at the first of the channels at hand; strides in floats.
struct Convolution {
  const float* x = nullptr;  // rows of inputs
  std::ptrdiff_t x_stride = 0;
  float* state = nullptr;       // [width - 1][channels]: the inputs before x, the oldest first
  const float* taps = nullptr;  // [width][channels]
  const float* bias = nullptr;  // or null
  std::ptrdiff_t channels = 0;
  int width = 0;
  float* out = nullptr;
  std::ptrdiff_t out_stride = 0;
};

struct RecurrentKernels {
  Isa isa;

  // out = bias + the sum of taps ⊙ the last width inputs, for tokens rows of n channels; state then
  // holds the last width - 1 inputs.
  void (*convolve)(const Convolution& c, int tokens, int n);
};

// The kernels of an instruction set, whether or not the processor has it.
const RecurrentKernels& recurrent_kernels(Isa isa) noexcept;

namespace base {
extern const RecurrentKernels kRecurrent;
}
namespace avx2 {
extern const RecurrentKernels kRecurrent;
}
namespace avx512 {
extern const RecurrentKernels kRecurrent;
}

}  // namespace rbee::cpu
