// Row by row kernels: normalisation, activation functions, rotary embedding. One table of functions
// per instruction set. A result depends on its own row only, whatever the row's place in memory.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/isa.hpp"

namespace rbee::cpu {

enum class ElementFunction : std::uint8_t {
  identity,
  silu,
  gelu_tanh,
  gelu_erf,
  relu,
  relu_squared,
  sigmoid,
  tanh,
};

struct VectorKernels {
  Isa isa;

  // out[i] = x[i] / sqrt(mean(x²) + eps) * weight[i], n values. out may be x, weight null.
  void (*rms_norm)(const float* x, const float* weight, float eps, int n, float* out);

  // out[i] = (x[i] - mean(x)) / sqrt(variance(x) + eps) * weight[i] + bias[i]. out may be x, weight
  // and bias null.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int n,
                     float* out);

  // out[r][i] = f(gate[r][i]) * up[r][i], rows of n values. Strides in elements, the same for gate
  // and up. out may be up.
  void (*gate)(ElementFunction function, const float* gate, const float* up, std::ptrdiff_t stride,
               int rows, int n, float* out, std::ptrdiff_t out_stride);

  // The same with out = c σ(1.702 c) (clamp(up, -limit, limit) + 1), c = min(gate, limit): the
  // experts of gpt-oss.
  void (*clamped_swiglu)(float limit, const float* gate, const float* up, std::ptrdiff_t stride,
                         int rows, int n, float* out, std::ptrdiff_t out_stride);

  // out[i] = x[i] / sqrt(sum(x²) + eps). out may be x.
  void (*l2_norm)(const float* x, float eps, int n, float* out);

  // In place over n values.
  void (*activate)(ElementFunction function, int n, float* x);
  void (*add)(const float* x, int n, float* acc);
  void (*add_scaled)(float factor, const float* x, int n, float* acc);  // acc += factor * x
  void (*scale)(float factor, int n, float* x);
  void (*clamp)(float limit, int n, float* x);  // into [-limit, limit]; a NaN stays one
  void (*softcap)(float cap, int n, float* x);  // cap * tanh(x / cap)

  // Rotary embedding of the first dims of n values; the others are copied. cos and sin hold dims
  // values: of each element's angle, sin with its sign: out[j] = x[j] * cos[j] + partner * sin[j],
  // where the partner of j is j ± dims/2, or with adjacent pairs the other of 2i, 2i + 1. out must
  // not overlap x.
  void (*rotate)(const float* x, const float* cos, const float* sin, int dims, bool adjacent, int n,
                 float* out);
};

// The kernels of an instruction set, whether or not the processor has it.
const VectorKernels& vector_kernels(Isa isa) noexcept;

namespace base {
extern const VectorKernels kVector;
}
namespace avx2 {
extern const VectorKernels kVector;
}
namespace avx512 {
extern const VectorKernels kVector;
}

}  // namespace rbee::cpu
