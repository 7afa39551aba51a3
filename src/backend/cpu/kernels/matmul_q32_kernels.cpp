// Products for the types of 32 values a block: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, and for those
// of one scale for more that panels repeat: Q1_0, Q2_0, TQ1_0, TQ2_0.
#include "backend/cpu/kernels/matmul_tile.hpp"
#include "backend/cpu/kernels/quant_codes.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// sum = fma(float(integer dot), d * scale, sum); with a minimum then
//   sum = fma(m, scale * sum(q), sum).
template <class Codes, int bits, int offset, bool min>
struct Format {
  static constexpr int kValues = 32;
  static constexpr std::size_t kCodes = min ? 64 : 32;  // offset of the codes
  static constexpr std::size_t kBytes = kCodes + Codes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    fetch_ahead<T, kBytes>(w, part);
    const Codes codes(w + kCodes, part);
    Ints c[T];
    dot<bits, offset, 8>(codes, x.q(), x.neg_sum(), c);
    const Floats d = load_halves(w + 2 * kLanes * part);
    each_token<T>([&](auto t) RBEE_LAMBDA {
      sums[t] = fma(to_floats(c[t]), mul(d, broadcast(x.scale(t))), sums[t]);
    });
    if constexpr (min) {
      const Floats m = load_halves(w + 32 + 2 * kLanes * part);
      each_token<T>([&](auto t)
                        RBEE_LAMBDA { sums[t] = fma(m, broadcast(x.scaled_sum(t)), sums[t]); });
    }
  }

#if defined(RBEE_ISA_avx2)
  // The same for one token and both parts of the panel.
  RBEE_MEMBER static void add_row(const std::byte* w, ActBlock<1> x,
                                  Floats (&sums)[kParts][1]) requires(bits < 8) {
    fetch_ahead<1, kBytes>(w, 0);
    Ints c[2];
    dot_parts<bits, offset, 8>(Codes(w + kCodes, 0), Codes(w + kCodes, 1), x.q(), x.neg_sum(), c);
    unroll<2>([&](auto part) RBEE_LAMBDA {
      const Floats d = load_halves(w + 2 * kLanes * part);
      Floats& sum = sums[part][0];
      sum = fma(to_floats(c[part]), mul(d, broadcast(x.scale(0))), sum);
      if constexpr (min) {
        sum = fma(load_halves(w + 32 + 2 * kLanes * part), broadcast(x.scaled_sum(0)), sum);
      }
    });
  }
#endif
};
using Q4_0 = Format<Nibbles, 4, 8, false>;
using Q4_1 = Format<Nibbles, 4, 0, true>;
using Q5_0 = Format<PlaneNibbles, 5, 16, false>;
using Q5_1 = Format<PlaneNibbles, 5, 0, true>;
using Q8_0 = Format<Bytes, 8, 128, false>;
using Q2_0 = Format<Crumbs, 2, 1, false>;
using Q1_0 = Format<DoubledPlane, 2, 1, false>;

}  // namespace

const TileKernels kTilesQ40 = kQuantisedTiles<Q4_0>;
const TileKernels kTilesQ41 = kQuantisedTiles<Q4_1>;
const TileKernels kTilesQ50 = kQuantisedTiles<Q5_0>;
const TileKernels kTilesQ51 = kQuantisedTiles<Q5_1>;
const TileKernels kTilesQ80 = kQuantisedTiles<Q8_0>;
const TileKernels kTilesQ20 = kQuantisedTiles<Q2_0>;
const TileKernels kTilesQ10 = kQuantisedTiles<Q1_0>;

}  // namespace rbee::cpu::RBEE_ISA
