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

const float* row(const Rows& rows, int t) { return rows.data + t * rows.stride; }

Lanes silu(Lanes x) { return x * sigmoid(x); }

void selective_scan(const ScanChannels& s, int tokens, int n) {
  for (int i = 0; i < n; i += kLanes) {
    const int rest = n - i;
    const Lanes d = load_part(s.d + i, rest);
    for (int t = 0; t < tokens; ++t) {
      const Lanes x = load_part(row(s.x, t) + i, rest);
      const Lanes step = softplus(load_part(row(s.dt, t) + i, rest));
      const Lanes input = step * x;
      const float* b = row(s.b, t);
      const float* c = row(s.c, t);
      Lanes y = d * x;
      for (int k = 0; k < s.state_size; ++k) {
        float* place = s.state + k * n + i;
        const Lanes decay = exp(step * load_part(s.a + k * s.a_stride + i, rest));
        const Lanes h = fma(decay, load_part(place, rest), input * splat(b[k]));
        store_part(place, rest, h);
        y = fma(h, splat(c[k]), y);
      }
      y = y * silu(load_part(row(s.gate, t) + i, rest));
      store_part(s.out + t * s.out_stride + i, rest, y);
    }
  }
}

float first_of(Lanes v) {
  alignas(64) float values[kLanes];
  store(values, v);
  return values[0];
}

// Vectors of values that are computed side by side, to hide the latency of the additions.
constexpr int kGroup = 4;

// state[k][v] = decay state[k][v] + x[v] b[k], y[v] = the sum of state[k][v] c[k], for G vectors of
// v from i on; rest values are left, of which the last vector may hold fewer than kLanes.
template <int G>
void ssd_group(const SsdHead& head, int t, float decay, float step, int size, int i) {
  const int rest = size - i;
  const auto part = [rest](int g) { return rest - g * kLanes; };
  const float* b = row(head.b, t);
  const float* c = row(head.c, t);
  Lanes input[G], y[G];
  for (int g = 0; g < G; ++g) {
    const Lanes x = load_part(row(head.x, t) + i + g * kLanes, part(g));
    input[g] = x * splat(step);
    y[g] = x * splat(head.d);
  }
  const Lanes by = splat(decay);
  for (int k = 0; k < head.state_size; ++k) {
    float* place = head.state + k * size + i;
    const Lanes bk = splat(b[k]);
    const Lanes ck = splat(c[k]);
    for (int g = 0; g < G; ++g) {
      const Lanes s = fma(by, load_part(place + g * kLanes, part(g)), input[g] * bk);
      store_part(place + g * kLanes, part(g), s);
      y[g] = fma(s, ck, y[g]);
    }
  }
  for (int g = 0; g < G; ++g) {
    const Lanes gate = silu(load_part(row(head.gate, t) + i + g * kLanes, part(g)));
    store_part(head.out + t * head.out_stride + i + g * kLanes, part(g), y[g] * gate);
  }
}

void ssd_scan(const SsdHead& head, int tokens, int size) {
  for (int t = 0; t < tokens; ++t) {
    const Lanes raw = softplus(splat(*row(head.dt, t) + head.dt_bias));
    const Lanes step = min(max(raw, splat(head.dt_min)), splat(head.dt_max));
    const float decay = first_of(exp(step * splat(head.a)));
    const float by = first_of(step);
    int i = 0;
    for (; i + kGroup * kLanes <= size; i += kGroup * kLanes) {
      ssd_group<kGroup>(head, t, decay, by, size, i);
    }
    for (; i < size; i += kLanes) ssd_group<1>(head, t, decay, by, size, i);
  }
}

// What the heads of RWKV sum over their keys: in the same order on every call.
struct Wkv6Token {
  const float* r;
  const float* k;
  const float* v;
  const float* w;
  float own;  // the sum of r u k: what this token gives to itself
};

template <int G>
void wkv6_group(const Wkv6Token& token, int size, int i, float* state, float* out) {
  const int rest = size - i;
  const auto part = [rest](int g) { return rest - g * kLanes; };
  Lanes v[G], y[G];
  for (int g = 0; g < G; ++g) {
    v[g] = load_part(token.v + i + g * kLanes, part(g));
    y[g] = v[g] * splat(token.own);
  }
  for (int k = 0; k < size; ++k) {
    float* place = state + k * size + i;
    const Lanes rk = splat(token.r[k]);
    const Lanes kk = splat(token.k[k]);
    const Lanes wk = splat(token.w[k]);
    for (int g = 0; g < G; ++g) {
      const Lanes s = load_part(place + g * kLanes, part(g));
      y[g] = fma(s, rk, y[g]);
      store_part(place + g * kLanes, part(g), fma(wk, s, v[g] * kk));
    }
  }
  for (int g = 0; g < G; ++g) store_part(out + i + g * kLanes, part(g), y[g]);
}

void wkv6(const Wkv6Head& head, int tokens, int size) {
  for (int t = 0; t < tokens; ++t) {
    Wkv6Token token{row(head.r, t), row(head.k, t), row(head.v, t), head.w, 0};
    Lanes own = splat(0);
    for (int i = 0; i < size; i += kLanes) {
      const int rest = size - i;
      own = fma(load_part(token.r + i, rest) * load_part(head.u + i, rest),
                load_part(token.k + i, rest), own);
      if (head.w != nullptr) continue;
      const Lanes rate = exp(load_part(row(head.decay, t) + i, rest));
      store_part(head.scratch + i, rest, exp(splat(0.0f) - rate));
    }
    token.own = sum(own);
    if (head.w == nullptr) token.w = head.scratch;
    float* out = head.out + t * head.out_stride;
    int i = 0;
    for (; i + kGroup * kLanes <= size; i += kGroup * kLanes) {
      wkv6_group<kGroup>(token, size, i, head.state, out);
    }
    for (; i < size; i += kLanes) wkv6_group<1>(token, size, i, head.state, out);
  }
}

struct Wkv7Token {
  const float* r;
  float* w;      // decay
  float* kappa;  // the normalised key: what is looked up and removed
  float* ka;     // κ a
  float* k;
  float* v;
  float bonus = 0;
};

// The vectors of one token.
Wkv7Token wkv7_token(const Wkv7Head& head, int t, int size) {
  float* scratch = head.scratch;
  Wkv7Token token{.r = row(head.r, t),
                  .w = scratch,
                  .kappa = scratch + size,
                  .ka = scratch + 2 * size,
                  .k = scratch + 3 * size,
                  .v = scratch + 4 * size};
  Lanes squares = splat(0);
  Lanes bonus = splat(0);
  for (int i = 0; i < size; i += kLanes) {
    const int rest = size - i;
    const auto at = [i, rest](const float* p) { return load_part(p + i, rest); };
    const Lanes key = at(row(head.k, t));
    const Lanes rate = sigmoid(at(row(head.rate, t)));
    const Lanes kappa = key * at(head.key_scale);
    const Lanes k = key * fma(rate - splat(1.0f), at(head.key_rate), splat(1.0f));
    Lanes v = at(row(head.v, t));
    if (head.first.data != nullptr) {
      v = fma(at(row(head.first, t)) - v, sigmoid(at(row(head.first_gate, t))), v);
    }
    squares = fma(kappa, kappa, squares);
    bonus = fma(at(token.r) * k, at(head.bonus_scale), bonus);
    constexpr float kMostDecay = -0.606530660f;  // -exp(-1/2)
    store_part(token.w + i, rest, exp(splat(kMostDecay) * sigmoid(at(row(head.decay, t)))));
    store_part(token.kappa + i, rest, kappa);
    store_part(token.ka + i, rest, rate);
    store_part(token.k + i, rest, k);
    store_part(token.v + i, rest, v);
  }
  const float length = __builtin_sqrtf(sum(squares));
  const Lanes by = splat(1.0f / (length > 1e-12f ? length : 1e-12f));
  for (int i = 0; i < size; i += kLanes) {
    const int rest = size - i;
    const Lanes kappa = load_part(token.kappa + i, rest) * by;
    store_part(token.kappa + i, rest, kappa);
    store_part(token.ka + i, rest, kappa * load_part(token.ka + i, rest));
  }
  token.bonus = sum(bonus);
  return token;
}

template <int G>
void wkv7_group(const Wkv7Token& token, int size, int i, float* state, float* out) {
  const int rest = size - i;
  const auto part = [rest](int g) { return rest - g * kLanes; };
  Lanes removed[G], v[G], y[G];
  for (int g = 0; g < G; ++g) {
    removed[g] = y[g] = splat(0);
    v[g] = load_part(token.v + i + g * kLanes, part(g));
  }
  for (int k = 0; k < size; ++k) {
    const float* place = state + k * size + i;
    const Lanes kappa = splat(token.kappa[k]);
    for (int g = 0; g < G; ++g) {
      removed[g] = fma(load_part(place + g * kLanes, part(g)), kappa, removed[g]);
    }
  }
  for (int g = 0; g < G; ++g) removed[g] = splat(0) - removed[g];
  for (int k = 0; k < size; ++k) {
    float* place = state + k * size + i;
    const Lanes wk = splat(token.w[k]);
    const Lanes ka = splat(token.ka[k]);
    const Lanes kk = splat(token.k[k]);
    const Lanes rk = splat(token.r[k]);
    for (int g = 0; g < G; ++g) {
      const Lanes old = load_part(place + g * kLanes, part(g));
      const Lanes s = fma(old, wk, fma(removed[g], ka, v[g] * kk));
      store_part(place + g * kLanes, part(g), s);
      y[g] = fma(s, rk, y[g]);
    }
  }
  for (int g = 0; g < G; ++g) store_part(out + i + g * kLanes, part(g), y[g]);
}

void wkv7(const Wkv7Head& head, int tokens, int size) {
  for (int t = 0; t < tokens; ++t) {
    const Wkv7Token token = wkv7_token(head, t, size);
    float* out = head.out + t * head.out_stride;
    int i = 0;
    for (; i + kGroup * kLanes <= size; i += kGroup * kLanes) {
      wkv7_group<kGroup>(token, size, i, head.state, out);
    }
    for (; i < size; i += kLanes) wkv7_group<1>(token, size, i, head.state, out);
    float* bonus = head.bonus + t * head.out_stride;
    for (int j = 0; j < size; ++j) bonus[j] = token.bonus * token.v[j];
  }
}

struct KdaToken {
  float* q;
  float* k;
  float* w;   // decay
  float* wk;  // w k: what is looked up in the state before it decays
  const float* v;
  float beta = 0;
};

// x / sqrt(sum of squares + eps) * scale.
void normalise(const float* x, float scale, int size, float* out) {
  constexpr float kEps = 1e-6f;
  Lanes squares = splat(0);
  for (int i = 0; i < size; i += kLanes) {
    const Lanes part = load_part(x + i, size - i);
    squares = fma(part, part, squares);
  }
  const Lanes by = splat(scale / __builtin_sqrtf(sum(squares) + kEps));
  for (int i = 0; i < size; i += kLanes) {
    store_part(out + i, size - i, load_part(x + i, size - i) * by);
  }
}

KdaToken kda_token(const KdaHead& head, int t, int size) {
  float* scratch = head.scratch;
  KdaToken token{.q = scratch,
                 .k = scratch + size,
                 .w = scratch + 2 * size,
                 .wk = scratch + 3 * size,
                 .v = row(head.v, t)};
  normalise(row(head.q, t), head.scale, size, token.q);
  normalise(row(head.k, t), 1, size, token.k);
  for (int i = 0; i < size; i += kLanes) {
    const int rest = size - i;
    const Lanes raw =
        load_part(row(head.decay, t) + i, rest) + load_part(head.decay_bias + i, rest);
    const Lanes w = exp(splat(head.rate) * softplus(raw));
    store_part(token.w + i, rest, w);
    store_part(token.wk + i, rest, w * load_part(token.k + i, rest));
  }
  token.beta = first_of(sigmoid(splat(*row(head.beta, t))));
  return token;
}

template <int G>
void kda_group(const KdaToken& token, int size, int i, float* state, float* out) {
  const int rest = size - i;
  const auto part = [rest](int g) { return rest - g * kLanes; };
  Lanes change[G], y[G];
  for (int g = 0; g < G; ++g) change[g] = y[g] = splat(0);
  for (int k = 0; k < size; ++k) {
    const float* place = state + k * size + i;
    const Lanes wk = splat(token.wk[k]);
    for (int g = 0; g < G; ++g) {
      change[g] = fma(load_part(place + g * kLanes, part(g)), wk, change[g]);
    }
  }
  for (int g = 0; g < G; ++g) {
    change[g] = (load_part(token.v + i + g * kLanes, part(g)) - change[g]) * splat(token.beta);
  }
  for (int k = 0; k < size; ++k) {
    float* place = state + k * size + i;
    const Lanes wk = splat(token.w[k]);
    const Lanes kk = splat(token.k[k]);
    const Lanes qk = splat(token.q[k]);
    for (int g = 0; g < G; ++g) {
      const Lanes old = load_part(place + g * kLanes, part(g));
      const Lanes s = fma(old, wk, change[g] * kk);
      store_part(place + g * kLanes, part(g), s);
      y[g] = fma(s, qk, y[g]);
    }
  }
  for (int g = 0; g < G; ++g) store_part(out + i + g * kLanes, part(g), y[g]);
}

void kda(const KdaHead& head, int tokens, int size) {
  for (int t = 0; t < tokens; ++t) {
    const KdaToken token = kda_token(head, t, size);
    float* out = head.out + t * head.out_stride;
    int i = 0;
    for (; i + kGroup * kLanes <= size; i += kGroup * kLanes) {
      kda_group<kGroup>(token, size, i, head.state, out);
    }
    for (; i < size; i += kLanes) kda_group<1>(token, size, i, head.state, out);
  }
}

void subtract(const float* a, const float* b, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = a[i] - b[i];
}

void lerp(const float* x, const float* delta, const float* factors, const float* more, int n,
          float* out) {
  for (int i = 0; i < n; i += kLanes) {
    const int rest = n - i;
    Lanes factor = load_part(factors + i, rest);
    if (more != nullptr) factor = factor + load_part(more + i, rest);
    store_part(out + i, rest, fma(load_part(delta + i, rest), factor, load_part(x + i, rest)));
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
      convolve, selective_scan, ssd_scan, wkv6, wkv7, kda, subtract, lerp
};

}  // namespace rbee::cpu::RBEE_ISA
