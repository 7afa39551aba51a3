// Products for the types whose codes are indices into a table: MXFP4, IQ4_NL, IQ4_XS.
#include "backend/cpu/kernels/matmul_tile.hpp"
#include "backend/cpu/kernels/quant_codes.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// The numbers of checkpoint/codebook_blocks.cpp, which kernels may not include.
constexpr CodeTable kFp4 =
    code_table({0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}, 16);
constexpr CodeTable kIq4 =
    code_table({-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}, 128);

// A f16 scale for each row, or the exponent of one.
struct Halves {
  static constexpr std::size_t kBytes = 32;
  RBEE_MEMBER static Floats load(const std::byte* w, int part) {
    return load_halves(w + 2 * kLanes * part);
  }
};
// 2^(e - 128), for e = 0 too, which no exponent of a float stands for. e = 255, which the standard
// calls NaN, gives infinity.
struct Exponents {
  static constexpr std::size_t kBytes = 16;
  RBEE_MEMBER static Floats load(const std::byte* w, int part) {
    const Ints e = shift_left<23>(load_bytes(w + kLanes * part));
    return mul(as_floats(larger(e, splat(1U << 22))), as_floats(splat(126U << 23)));
  }
};

// One scale for 32 values: sum = fma(float(integer dot), d * scale, sum).
template <class Scales, class Codes, int bits, int offset>
struct Scale32 {
  static constexpr int kValues = 32;
  static constexpr std::size_t kBytes = Scales::kBytes + Codes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    const Codes codes(w + Scales::kBytes, part);
    Ints c[T];
    dot<bits, offset, 8>(codes, x.q(), x.neg_sum(), c);
    const Floats d = Scales::load(w, part);
    each_token<T>([&](auto t) RBEE_LAMBDA {
      sums[t] = fma(to_floats(c[t]), mul(d, broadcast(x.scale(t))), sums[t]);
    });
  }
};

// A signed scale for each 32 of 256 values: sum = fma(float(integer dot), d * sc * scale, sum).
template <class Codes, int bits, int offset>
struct SignedScale32 {
  static constexpr int kValues = 256;
  static constexpr std::size_t kBytes = 160 + 8 * Codes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    const Floats d = load_halves(w + 2 * kLanes * part);
    const std::byte* columns = w + 32 + part * kPartBytes;
    const std::byte* bytes = w + 160;
    for (int v = 0; v < 2; ++v, columns += 64) {
      Ints scales = load_ints(columns);
      for (int j = 0; j < 4; ++j) {
        const Floats scale = mul(d, to_floats(shift_right_signed<24>(shift_left<24>(scales))));
        scales = shift_right<8>(scales);
        Ints c[T];
        dot<bits, offset, 8>(Codes(bytes, part), x.q(), x.neg_sum(), c);
        each_token<T>([&](auto t) RBEE_LAMBDA {
          sums[t] = fma(to_floats(c[t]), mul(scale, broadcast(x.scale(t))), sums[t]);
        });
        bytes += Codes::kBytes;
        x.p += ActBlock<T>::kBytes;
      }
    }
  }
};

using Mxfp4 = Scale32<Exponents, Indices<kFp4>, 5, 16>;
using Iq4Nl = Scale32<Halves, Indices<kIq4>, 8, 128>;
using Iq4Xs = SignedScale32<Indices<kIq4>, 8, 128>;

}  // namespace

const TileKernels kTilesMxfp4 = kQuantisedTiles<Mxfp4>;
const TileKernels kTilesIq4Nl = kQuantisedTiles<Iq4Nl>;
const TileKernels kTilesIq4Xs = kQuantisedTiles<Iq4Xs>;

}  // namespace rbee::cpu::RBEE_ISA
