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

// Row t of an input begins at data + t * stride.
struct Rows {
  const float* data = nullptr;
  std::ptrdiff_t stride = 0;
};

// Some channels of SelectiveScan, see ops.hpp: pointers at the first of them.
struct ScanChannels {
  Rows x, dt, gate;
  Rows b, c;                 // rows of N values
  const float* a = nullptr;  // [N], a_stride apart
  std::ptrdiff_t a_stride = 0;
  const float* d = nullptr;
  int state_size = 0;      // N
  float* state = nullptr;  // [N][channels at hand]
  float* out = nullptr;
  std::ptrdiff_t out_stride = 0;
};

// One head of SsdScan.
struct SsdHead {
  Rows x, gate;
  Rows dt;    // rows of one value
  Rows b, c;  // rows of N values
  float a = 0, d = 0, dt_bias = 0, dt_min = 0, dt_max = 0;
  int state_size = 0;      // N
  float* state = nullptr;  // [N][size]
  float* out = nullptr;
  std::ptrdiff_t out_stride = 0;
};

// One head of Wkv6.
struct Wkv6Head {
  Rows r, k, v;
  Rows decay;                // no data: w holds for all tokens
  const float* w = nullptr;  // [size], or null
  const float* u = nullptr;  // [size]
  float* state = nullptr;    // [k][v]
  float* out = nullptr;
  std::ptrdiff_t out_stride = 0;
  float* scratch = nullptr;  // [size]
};

// One head of Wkv7.
struct Wkv7Head {
  static constexpr int kScratchRows = 5;

  Rows r, decay, k, v, rate;
  Rows first, first_gate;  // or no data
  const float* key_scale = nullptr;
  const float* key_rate = nullptr;
  const float* bonus_scale = nullptr;
  float* state = nullptr;  // [k][v]
  float* out = nullptr;
  float* bonus = nullptr;
  std::ptrdiff_t out_stride = 0;
  float* scratch = nullptr;  // [kScratchRows][size]
};

// One head of Kda.
struct KdaHead {
  static constexpr int kScratchRows = 4;

  Rows q, k, v, decay;
  Rows beta;  // rows of one value
  float rate = 0;
  const float* decay_bias = nullptr;
  float scale = 1;
  float* state = nullptr;  // [k][v]
  float* out = nullptr;
  std::ptrdiff_t out_stride = 0;
  float* scratch = nullptr;  // [kScratchRows][size]
};

struct RecurrentKernels {
  Isa isa;

  // out = bias + the sum of taps ⊙ the last width inputs, for tokens rows of n channels; state then
  // holds the last width - 1 inputs.
  void (*convolve)(const Convolution& c, int tokens, int n);

  // tokens rows of the scan of n channels.
  void (*selective_scan)(const ScanChannels& s, int tokens, int n);

  // tokens rows of one head of size values.
  void (*ssd_scan)(const SsdHead& head, int tokens, int size);
  void (*wkv6)(const Wkv6Head& head, int tokens, int size);
  void (*wkv7)(const Wkv7Head& head, int tokens, int size);
  void (*kda)(const KdaHead& head, int tokens, int size);

  // out[i] = a[i] - b[i].
  void (*subtract)(const float* a, const float* b, int n, float* out);
  // out[i] = x[i] + delta[i] * (factors[i] + more[i]). more may be null.
  void (*lerp)(const float* x, const float* delta, const float* factors, const float* more, int n,
               float* out);
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
