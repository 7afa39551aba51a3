// Products for F32, F16 and BF16 weights. Each sum is one chain of fused multiply-adds in ascending
// k, so several vectors of rows are computed at once to hide their latency.
#include "backend/cpu/kernels/matmul_tile.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// A step reads kBytes of a panel and kActBytes of each token, as kRows rows of weights: row<i> is
// the i-th for one vector of output rows, and goes with the i-th value of each token.

struct F32 {
  static constexpr int kStep = 1;  // k of a step
  static constexpr int kRows = 1;
  static constexpr int kBytes = 64;
  static constexpr int kActBytes = 4;
  template <int>
  RBEE_MEMBER static Floats row(const std::byte* w) {
    return load_floats(w);
  }
  RBEE_MEMBER static Floats value(const std::byte* x) { return broadcast(x); }
  RBEE_MEMBER static Floats add(Floats row, Floats value, Floats sum) {
    return mul_add(row, value, sum);
  }
};

struct F16 : F32 {
  static constexpr int kBytes = 32;
  template <int>
  RBEE_MEMBER static Floats row(const std::byte* w) {
    return load_halves(w);
  }
};

#if defined(RBEE_ISA_avx512)
struct Bf16 {
  static constexpr int kStep = 2;
  static constexpr int kRows = 1;
  static constexpr int kBytes = 64;
  static constexpr int kActBytes = 4;
  template <int>
  RBEE_MEMBER static Ints row(const std::byte* w) {
    return load_ints(w);
  }
  RBEE_MEMBER static Ints value(const std::byte* x) { return broadcast_int(x); }
  RBEE_MEMBER static Floats add(Ints row, Ints value, Floats sum) {
    return dot_pairs(sum, row, value);
  }
};
#else
struct Bf16 : F32 {
  static constexpr int kStep = 2;
  static constexpr int kRows = 2;
  static constexpr int kActBytes = 8;
  template <int i>
  RBEE_MEMBER static Floats row(const std::byte* w) {
    const Ints pairs = load_ints(w);
    return as_floats(i == 0 ? shift_left<16>(pairs) : bit_and(pairs, splat(0xFFFF0000U)));
  }
};
#endif

// sums[i][t] += w[i] * x[t] for one step, n vectors of rows and T tokens. The smaller of the two
// stays in registers.
template <class F, int T, int n>
RBEE_INLINE void add_step(const std::byte* const (&w)[n], const std::byte* x,
                          Floats (&sums)[n][T]) {
  unroll<F::kRows>([&](auto r) RBEE_LAMBDA {
    const std::byte* values = x + 4 * T * r.kValue;
    if constexpr (T <= n) {
      decltype(F::value(x)) value[T];
      unroll<T>([&](auto t) RBEE_LAMBDA { value[t] = F::value(values + 4 * t); });
      unroll<n>([&](auto i) RBEE_LAMBDA {
        const auto row = F::template row<r.kValue>(w[i]);
        unroll<T>([&](auto t) RBEE_LAMBDA { sums[i][t] = F::add(row, value[t], sums[i][t]); });
      });
    } else {
      decltype(F::template row<0>(w[0])) row[n];
      unroll<n>([&](auto i) RBEE_LAMBDA { row[i] = F::template row<r.kValue>(w[i]); });
      unroll<T>([&](auto t) RBEE_LAMBDA {
        const auto value = F::value(values + 4 * t);
        unroll<n>([&](auto i) RBEE_LAMBDA { sums[i][t] = F::add(row[i], value, sums[i][t]); });
      });
    }
  });
}

// Vectors [v, v + n) of the args' panels.
template <class F, int T, int n>
RBEE_INLINE void vectors(const TileArgs& args, int v) {
  Floats sums[n][T];
  const std::byte* w[n];
  unroll<n>([&](auto i) RBEE_LAMBDA {
    const int panel = (v + i) / kParts;
    const int part = (v + i) % kParts;
    w[i] = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes +
           part * (F::kBytes / kParts);
    unroll<T>([&](auto t) RBEE_LAMBDA { sums[i][t] = zero_floats(); });
  });
  const std::byte* x = args.tile;
  for (int k = 0; k < args.cols; k += F::kStep) {
    add_step<F, T, n>(w, x, sums);
    unroll<n>([&](auto i) RBEE_LAMBDA { w[i] += F::kBytes; });
    x += F::kActBytes * T;
  }
  unroll<n>([&](auto i) RBEE_LAMBDA { store_rows(sums[i], args, (v + i) * kLanes); });
}

// Vectors [v, end), n at once as long as there are as many, then half as many, and so on.
template <class F, int T, int n>
RBEE_INLINE void all_vectors(const TileArgs& args, int v, int end) {
  for (; v + n <= end; v += n) vectors<F, T, n>(args, v);
  if constexpr (n > 1) all_vectors<F, T, n / 2>(args, v, end);
}

// Accumulators that fit the registers beside weights and activations.
constexpr int kAccumulators = kLanes == 16 ? 16 : 8;

constexpr int vectors_at_once(int tokens) {
  int n = 4 * kParts;
  while (n > 1 && n * tokens > kAccumulators) n /= 2;
  return n;
}

template <class F, int T>
void tile(const TileArgs& args) {
  all_vectors<F, T, vectors_at_once(T)>(args, 0, args.n_panels * kParts);
}

template <class F>
constexpr TileKernels kTiles{{tile<F, 1>, tile<F, 2>, tile<F, 3>, tile<F, 4>, tile<F, 5>,
                              tile<F, 6>, tile<F, 7>, tile<F, 8>}};

}  // namespace

const TileKernels kTilesF32 = kTiles<F32>;
const TileKernels kTilesF16 = kTiles<F16>;
const TileKernels kTilesBf16 = kTiles<Bf16>;

}  // namespace rbee::cpu::RBEE_ISA
