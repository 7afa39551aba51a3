// Products for the types of 32 values a block: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
#include "backend/cpu/kernels/matmul_tile.hpp"
#include "backend/cpu/kernels/quant_codes.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

template <class C, int b, int o, bool m>
struct Format {
  using Codes = C;
  static constexpr int kBits = b;
  static constexpr int kOffset = o;
  static constexpr bool kMin = m;                        // adds m, a second f16 a row
  static constexpr std::size_t kCodes = kMin ? 64 : 32;  // offset of the codes
  static constexpr std::size_t kBytes = kCodes + Codes::kBytes;
};
using Q4_0 = Format<Nibbles, 4, 8, false>;
using Q4_1 = Format<Nibbles, 4, 0, true>;
using Q5_0 = Format<PlaneNibbles, 5, 16, false>;
using Q5_1 = Format<PlaneNibbles, 5, 0, true>;
using Q8_0 = Format<Bytes, 8, 128, false>;

// sums[part][t] += the products of one block:
//   sum = fma(float(integer dot), d * scale, sum); then sum = fma(m, scale * sum(q), sum).
template <class F, int T>
RBEE_INLINE void add_block(const std::byte* w, ActBlock<T> x, Floats (&sums)[kParts][T]) {
  each_part<T>([&](auto part) RBEE_LAMBDA {
    const typename F::Codes codes(w + F::kCodes, part);
    Ints c[T];
    dot<F::kBits, F::kOffset, 8>(codes, x.q(), x.neg_sum(), c);
    const Floats d = load_halves(w + 2 * kLanes * part);
    each_token<T>([&](auto t) RBEE_LAMBDA {
      sums[part][t] = fma(to_floats(c[t]), mul(d, broadcast(x.scale(t))), sums[part][t]);
    });
    if constexpr (F::kMin) {
      const Floats m = load_halves(w + 32 + 2 * kLanes * part);
      each_token<T>([&](auto t) RBEE_LAMBDA {
        sums[part][t] = fma(m, broadcast(x.scaled_sum(t)), sums[part][t]);
      });
    }
  });
}

template <class F, int T>
void tile(const TileArgs& args) {
  Floats sums[kParts][T];
  each_part<T>([&](auto part) RBEE_LAMBDA {
    each_token<T>([&](auto t) RBEE_LAMBDA { sums[part][t] = zero_floats(); });
  });
  const std::byte* w = args.panels;
  ActBlock<T> x{args.tile};
  for (int k = 0; k < args.cols; k += 32) {
    add_block<F, T>(w, x, sums);
    w += F::kBytes;
    x.p += ActBlock<T>::kBytes;
  }
  each_part<T>([&](auto part) RBEE_LAMBDA { store_rows(sums[part], args, part * kLanes); });
}

template <class F>
constexpr TileKernels kTiles{{tile<F, 1>, tile<F, 2>, tile<F, 3>, tile<F, 4>, tile<F, 5>,
                              tile<F, 6>, tile<F, 7>, tile<F, 8>}};

}  // namespace

const TileKernels kTilesQ40 = kTiles<Q4_0>;
const TileKernels kTilesQ41 = kTiles<Q4_1>;
const TileKernels kTilesQ50 = kTiles<Q5_0>;
const TileKernels kTilesQ51 = kTiles<Q5_1>;
const TileKernels kTilesQ80 = kTiles<Q8_0>;

}  // namespace rbee::cpu::RBEE_ISA
