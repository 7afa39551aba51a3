#include "backend/cpu/kernels/recurrent.hpp"

#include "backend/cpu/kernels/lanes.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// The next kLanes of n values, or all n of them.
Lanes load_part(const float* p, int n) { return n >= kLanes ? load(p) : load_first(p, n); }
void store_part(float* p, int n, Lanes v) {
  if (n >= kLanes) return store(p, v);
  store_first(p, n, v);
}

// The input of channel 0 in row t, which may be from before this call.
const float* input(const Convolution& c, int t) {
  return t < 0 ? c.state + (c.width - 1 + t) * c.channels : c.x + t * c.x_stride;
}

void convolve(const Convolution& c, int tokens, int n) {
  const int kept = c.width - 1;
  for (int i = 0; i < n; i += kLanes) {
    const int rest = n - i;
    const Lanes bias = c.bias ? load_part(c.bias + i, rest) : splat(0.0f);
    for (int t = 0; t < tokens; ++t) {
      Lanes sum = bias;
      for (int w = 0; w < c.width; ++w) {
        sum = fma(load_part(c.taps + w * c.channels + i, rest),
                  load_part(input(c, t - kept + w) + i, rest), sum);
      }
      store_part(c.out + t * c.out_stride + i, rest, sum);
    }
  }
  for (int w = 0; w < kept; ++w) {  // a row moves towards the front only
    const float* from = input(c, tokens - kept + w);
    float* to = c.state + w * c.channels;
    for (int i = 0; i < n; ++i) to[i] = from[i];
  }
}

}  // namespace

extern const RecurrentKernels kRecurrent {
#if defined(RBEE_ISA_avx512)
  Isa::avx512,
#elif defined(RBEE_ISA_avx2)
  Isa::avx2,
#else
  Isa::base,
#endif
      convolve
};

}  // namespace rbee::cpu::RBEE_ISA
