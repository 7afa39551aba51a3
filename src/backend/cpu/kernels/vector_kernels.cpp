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

// out = (x - offset) * factor * weight + bias over n values.
void affine(const float* x, float offset, float factor, const float* weight, const float* bias,
            int n, float* out) {
  const Lanes by = splat(factor);
  const Lanes from = splat(offset);
  const auto part = [&](Lanes v, Lanes w, Lanes b) { return fma((v - from) * by, w, b); };
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    store(out + i, part(load(x + i), weight ? load(weight + i) : splat(1.0f),
                        bias ? load(bias + i) : splat(0.0f)));
  }
  if (i < n) {
    const int rest = n - i;
    store_first(out + i, rest,
                part(load_first(x + i, rest), weight ? load_first(weight + i, rest) : splat(1.0f),
                     bias ? load_first(bias + i, rest) : splat(0.0f)));
  }
}

void rms_norm(const float* x, const float* weight, float eps, int n, float* out) {
  const float mean = sum_of_squares(x, n) / static_cast<float>(n);
  affine(x, 0.0f, 1.0f / __builtin_sqrtf(mean + eps), weight, nullptr, n, out);
}

void l2_norm(const float* x, float eps, int n, float* out) {
  affine(x, 0.0f, 1.0f / __builtin_sqrtf(sum_of_squares(x, n) + eps), nullptr, nullptr, n, out);
}

float sum_of(const float* x, int n) {
  Lanes acc = splat(0);
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) acc = acc + load(x + i);
  if (i < n) acc = acc + load_first(x + i, n - i);
  return sum(acc);
}

float sum_of_deviations(const float* x, float mean, int n) {
  const Lanes from = splat(mean);
  Lanes acc = splat(0);
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes d = load(x + i) - from;
    acc = fma(d, d, acc);
  }
  float rest = 0;
  for (; i < n; ++i) rest += (x[i] - mean) * (x[i] - mean);
  return sum(acc) + rest;
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, int n,
                float* out) {
  const float mean = sum_of(x, n) / static_cast<float>(n);
  const float variance = sum_of_deviations(x, mean, n) / static_cast<float>(n);
  affine(x, mean, 1.0f / __builtin_sqrtf(variance + eps), weight, bias, n, out);
}

struct Identity {
  static Lanes apply(Lanes x) { return x; }
};

struct Sigmoid {
  static Lanes apply(Lanes x) { return sigmoid(x); }
};

struct Tanh {
  static Lanes apply(Lanes x) { return tanh(x); }
};

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

struct ReluSquared {
  static Lanes apply(Lanes x) {
    const Lanes positive = max(x, splat(0.0f));
    return positive * positive;
  }
};

// Calls use(F{}) with the struct of the function.
template <class Use>
void with_function(ElementFunction function, const Use& use) {
  switch (function) {
    case ElementFunction::identity:
      return use(Identity{});
    case ElementFunction::silu:
      return use(Silu{});
    case ElementFunction::gelu_tanh:
      return use(GeluTanh{});
    case ElementFunction::gelu_erf:
      return use(GeluErf{});
    case ElementFunction::relu:
      return use(Relu{});
    case ElementFunction::relu_squared:
      return use(ReluSquared{});
    case ElementFunction::sigmoid:
      return use(Sigmoid{});
    case ElementFunction::tanh:
      return use(Tanh{});
  }
}

// x[i] = change(x[i]) over n values.
template <class Change>
void change_each(int n, float* x, const Change& change) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store(x + i, change(load(x + i)));
  if (i < n) store_first(x + i, n - i, change(load_first(x + i, n - i)));
}

void activate(ElementFunction function, int n, float* x) {
  with_function(function,
                [&](auto f) { change_each(n, x, [](Lanes v) { return decltype(f)::apply(v); }); });
}

void add(const float* x, int n, float* acc) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store(acc + i, load(acc + i) + load(x + i));
  for (; i < n; ++i) acc[i] += x[i];
}

void add_scaled(float factor, const float* x, int n, float* acc) {
  const Lanes by = splat(factor);
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store(acc + i, fma(load(x + i), by, load(acc + i)));
  if (i < n) {
    const int rest = n - i;
    store_first(acc + i, rest, fma(load_first(x + i, rest), by, load_first(acc + i, rest)));
  }
}

void scale(float factor, int n, float* x) {
  change_each(n, x, [by = splat(factor)](Lanes v) { return v * by; });
}

void clamp(float limit, int n, float* x) {
  // min and max give their second operand where one is NaN.
  const Lanes low = splat(-limit);
  const Lanes high = splat(limit);
  change_each(n, x, [=](Lanes v) { return min(high, max(low, v)); });
}

void softcap(float cap, int n, float* x) {
  const Lanes by = splat(1.0f / cap);
  const Lanes most = splat(cap);
  change_each(n, x, [=](Lanes v) { return Tanh::apply(v * by) * most; });
}

// out = combine(gate, up) over n values.
template <class Combine>
void combine_row(const float* gate, const float* up, int n, float* out, const Combine& combine) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, combine(load(gate + i), load(up + i)));
  if (i < n) {
    const int rest = n - i;
    store_first(out + i, rest, combine(load_first(gate + i, rest), load_first(up + i, rest)));
  }
}

void gate(ElementFunction function, const float* gate, const float* up, std::ptrdiff_t stride,
          int rows, int n, float* out, std::ptrdiff_t out_stride) {
  with_function(function, [&](auto f) {
    const auto combine = [](Lanes g, Lanes u) { return decltype(f)::apply(g) * u; };
    for (int r = 0; r < rows; ++r) {
      combine_row(gate + r * stride, up + r * stride, n, out + r * out_stride, combine);
    }
  });
}

void clamped_swiglu(float limit, const float* gate, const float* up, std::ptrdiff_t stride,
                    int rows, int n, float* out, std::ptrdiff_t out_stride) {
  const Lanes high = splat(limit);
  const Lanes low = splat(-limit);
  const auto combine = [=](Lanes g, Lanes u) {
    const Lanes c = min(high, g);
    const Lanes factor = min(high, max(low, u)) + splat(1.0f);
    return divide(c, splat(1.0f) + exp(splat(-1.702f) * c)) * factor;
  };
  for (int r = 0; r < rows; ++r) {
    combine_row(gate + r * stride, up + r * stride, n, out + r * out_stride, combine);
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
      rms_norm, layer_norm, gate, clamped_swiglu, l2_norm, activate, add, add_scaled, scale, clamp,
      softcap, rotate
};

}  // namespace rbee::cpu::RBEE_ISA
