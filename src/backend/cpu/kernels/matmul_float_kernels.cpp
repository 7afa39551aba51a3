// Products for F32, F16 and BF16 weights. Each sum is one chain of fused multiply-adds in ascending
// k, so several vectors of rows are computed at once to hide their latency.
#include "backend/cpu/kernels/matmul_tile.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// add: sums[i][t] += the step's weights, for `n` vectors of rows with weights at w[i], times the
// T tokens at x.

struct F32 {
  static constexpr int kStep = 1;              // k of a step
  static constexpr std::size_t kBytes = 64;    // of a panel, a step
  static constexpr std::size_t kActBytes = 4;  // of a token, a step
  template <int T, int n>
  RBEE_MEMBER static void add(const std::byte* const (&w)[n], const std::byte* x,
                              Floats (&sums)[n][T]) {
    unroll<n>([&](auto i) RBEE_LAMBDA {
      const Floats row = load_floats(w[i]);
      unroll<T>([&](auto t)
                    RBEE_LAMBDA { sums[i][t] = mul_add(row, broadcast(x + 4 * t), sums[i][t]); });
    });
  }
};

struct F16 {
  static constexpr int kStep = 1;
  static constexpr std::size_t kBytes = 32;
  static constexpr std::size_t kActBytes = 4;
  template <int T, int n>
  RBEE_MEMBER static void add(const std::byte* const (&w)[n], const std::byte* x,
                              Floats (&sums)[n][T]) {
    unroll<n>([&](auto i) RBEE_LAMBDA {
      const Floats row = load_halves(w[i]);
      unroll<T>([&](auto t)
                    RBEE_LAMBDA { sums[i][t] = mul_add(row, broadcast(x + 4 * t), sums[i][t]); });
    });
  }
};

struct Bf16 {
  static constexpr int kStep = 2;
  static constexpr std::size_t kBytes = 64;
#if defined(RBEE_ISA_avx512)
  static constexpr std::size_t kActBytes = 4;
  template <int T, int n>
  RBEE_MEMBER static void add(const std::byte* const (&w)[n], const std::byte* x,
                              Floats (&sums)[n][T]) {
    unroll<n>([&](auto i) RBEE_LAMBDA {
      const Ints pairs = load_ints(w[i]);
      unroll<T>([&](auto t) RBEE_LAMBDA {
        sums[i][t] = dot_pairs(sums[i][t], pairs, broadcast_int(x + 4 * t));
      });
    });
  }
#else
  static constexpr std::size_t kActBytes = 8;
  template <int T, int n>
  RBEE_MEMBER static void add(const std::byte* const (&w)[n], const std::byte* x,
                              Floats (&sums)[n][T]) {
    unroll<n>([&](auto i) RBEE_LAMBDA {
      const Ints pairs = load_ints(w[i]);
      const Floats even = as_floats(shift_left<16>(pairs));
      const Floats odd = as_floats(bit_and(pairs, splat(0xFFFF0000U)));
      unroll<T>([&](auto t)
                    RBEE_LAMBDA { sums[i][t] = mul_add(even, broadcast(x + 4 * t), sums[i][t]); });
      unroll<T>([&](auto t) RBEE_LAMBDA {
        sums[i][t] = mul_add(odd, broadcast(x + 4 * (T + t)), sums[i][t]);
      });
    });
  }
#endif
};

// Vectors [v, v + n) of the args' panels.
template <class F, int T, int n>
RBEE_INLINE void vectors(const TileArgs& args, int v) {
  Floats sums[n][T];
  const std::byte* w[n];
  unroll<n>([&](auto i) RBEE_LAMBDA {
    const int panel = (v + i) / kParts;
    const int part = (v + i) % kParts;
    w[i] = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes +
           static_cast<std::size_t>(part) * (F::kBytes / kParts);
    unroll<T>([&](auto t) RBEE_LAMBDA { sums[i][t] = zero_floats(); });
  });
  const std::byte* x = args.tile;
  for (int k = 0; k < args.cols; k += F::kStep) {
    F::template add<T, n>(w, x, sums);
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
