// Row by row kernels: normalisation, activation functions, rotary embedding. One table of functions
// per instruction set. A result depends on its own row only, whatever the row's place in memory.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/isa.hpp"

namespace rbee::cpu {

enum class GateFunction : std::uint8_t { silu, gelu_tanh, gelu_erf, relu };

struct VectorKernels {
  Isa isa;

  // out[i] = x[i] / sqrt(mean(x²) + eps) * weight[i], n values. out may be x.
  void (*rms_norm)(const float* x, const float* weight, float eps, int n, float* out);

  // out[r][i] = f(gate[r][i]) * up[r][i], rows of n values. Strides in elements, the same for gate
  // and up.
  void (*gate)(GateFunction function, const float* gate, const float* up, std::ptrdiff_t stride,
               int rows, int n, float* out, std::ptrdiff_t out_stride);

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
