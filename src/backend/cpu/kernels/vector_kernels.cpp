#include "backend/cpu/kernels/lanes.hpp"
#include "backend/cpu/kernels/vector.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

float sum_of_squares(const float* x, int n) {
  Lanes acc[4] = {splat(0), splat(0), splat(0), splat(0)};
  int i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int c = 0; c < 4; ++c) {
      const Lanes v = load(x + i + c * kLanes);
      acc[c] = fma(v, v, acc[c]);
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes v = load(x + i);
    acc[0] = fma(v, v, acc[0]);
  }
  if (i < n) {
    const Lanes v = load_first(x + i, n - i);
    acc[1] = fma(v, v, acc[1]);
  }
  return sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

void rms_norm(const float* x, const float* weight, float eps, int n, float* out) {
  const float mean = sum_of_squares(x, n) / static_cast<float>(n);
  const Lanes scale = splat(1.0f / __builtin_sqrtf(mean + eps));
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, load(x + i) * scale * load(weight + i));
  if (i < n) {
    const int rest = n - i;
    store_first(out + i, rest, load_first(x + i, rest) * scale * load_first(weight + i, rest));
  }
}

struct Silu {
  static Lanes apply(Lanes x) { return divide(x, splat(1.0f) + exp(splat(0.0f) - x)); }
};

// 0.5 x (1 + tanh(u)) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x³).
struct GeluTanh {
  static Lanes apply(Lanes x) {
    const Lanes u = x * fma(x * x, splat(0.0356774081f), splat(0.797884561f));
    return divide(x, splat(1.0f) + exp(splat(-2.0f) * u));
  }
};

// x Φ(x) = x erfc(-x / √2) / 2, with erfc(z) = t e^(-z² + P(t)), t = 1 / (1 + z/2) for z >= 0; P is
// a Chebyshev fit on z <= 10 with a relative error below 1e-7.
struct GeluErf {
  static Lanes apply(Lanes x) {
    const Lanes size = max(x, splat(0.0f) - x);
    const Lanes z = size * splat(0.707106781f);
    const Lanes t = divide(splat(1.0f), fma(z, splat(0.5f), splat(1.0f)));
    Lanes p = splat(0.148046054f);
    p = fma(p, t, splat(-0.697536591f));
    p = fma(p, t, splat(1.19532767f));
    p = fma(p, t, splat(-0.746469895f));
    p = fma(p, t, splat(-0.0398663176f));
    p = fma(p, t, splat(-0.0195080035f));
    p = fma(p, t, splat(0.0413959642f));
    p = fma(p, t, splat(0.385283634f));
    p = fma(p, t, splat(0.99878246f));
    p = fma(p, t, splat(-1.26545493f));
    const Lanes half_erfc = splat(0.5f) * t * exp(p - z * z);  // Φ(-|x|)
    return x * select_less(x, splat(0.0f), half_erfc, splat(1.0f) - half_erfc);
  }
};

struct Relu {
  static Lanes apply(Lanes x) { return max(x, splat(0.0f)); }
};

template <class F>
void gate_row(const float* gate, const float* up, int n, float* out) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, F::apply(load(gate + i)) * load(up + i));
  if (i < n) {
    const int rest = n - i;
    const Lanes value = F::apply(load_first(gate + i, rest)) * load_first(up + i, rest);
    store_first(out + i, rest, value);
  }
}

template <class F>
void gate_rows(const float* gate, const float* up, std::ptrdiff_t stride, int rows, int n,
               float* out, std::ptrdiff_t out_stride) {
  for (int r = 0; r < rows; ++r) {
    gate_row<F>(gate + r * stride, up + r * stride, n, out + r * out_stride);
  }
}

void gate(GateFunction function, const float* gate, const float* up, std::ptrdiff_t stride,
          int rows, int n, float* out, std::ptrdiff_t out_stride) {
  switch (function) {
    case GateFunction::silu:
      return gate_rows<Silu>(gate, up, stride, rows, n, out, out_stride);
    case GateFunction::gelu_tanh:
      return gate_rows<GeluTanh>(gate, up, stride, rows, n, out, out_stride);
    case GateFunction::gelu_erf:
      return gate_rows<GeluErf>(gate, up, stride, rows, n, out, out_stride);
    case GateFunction::relu:
      return gate_rows<Relu>(gate, up, stride, rows, n, out, out_stride);
  }
}

// out[0..n) = x * cos + partner * sin.
void rotate_part(const float* x, const float* partner, const float* cos, const float* sin, int n,
                 float* out) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    store(out + i, fma(load(x + i), load(cos + i), load(partner + i) * load(sin + i)));
  }
  if (i < n) {
    const int rest = n - i;
    const Lanes other = load_first(partner + i, rest) * load_first(sin + i, rest);
    store_first(out + i, rest, fma(load_first(x + i, rest), load_first(cos + i, rest), other));
  }
}

void rotate_adjacent(const float* x, const float* cos, const float* sin, int n, float* out) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes v = load(x + i);
    store(out + i, fma(v, load(cos + i), swap_neighbours(v) * load(sin + i)));
  }
  if (i < n) {
    const int rest = n - i;
    const Lanes v = load_first(x + i, rest);
    const Lanes other = swap_neighbours(v) * load_first(sin + i, rest);
    store_first(out + i, rest, fma(v, load_first(cos + i, rest), other));
  }
}

void rotate(const float* x, const float* cos, const float* sin, int dims, bool adjacent, int n,
            float* out) {
  if (adjacent) {
    rotate_adjacent(x, cos, sin, dims, out);
  } else {
    const int half = dims / 2;
    rotate_part(x, x + half, cos, sin, half, out);
    rotate_part(x + half, x, cos + half, sin + half, half, out + half);
  }
  for (int i = dims; i < n; ++i) out[i] = x[i];
}

}  // namespace

extern const VectorKernels kVector {
#if defined(RBEE_ISA_avx512)
  Isa::avx512,
#elif defined(RBEE_ISA_avx2)
  Isa::avx2,
#else
  Isa::base,
#endif
      rms_norm, gate, rotate
};

}  // namespace rbee::cpu::RBEE_ISA
