// Products for the types whose codes are indices into a table: MXFP4, NVFP4, IQ4_NL, IQ4_XS.
#include "backend/cpu/kernels/matmul_signed_scale.hpp"

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
    fetch_ahead<T, kBytes>(w, part);
    const Codes codes(w + Scales::kBytes, part);
    Ints c[T];
    dot<bits, offset, 8>(codes, x.q(), x.neg_sum(), c);
    const Floats d = Scales::load(w, part);
    each_token<T>([&](auto t) RBEE_LAMBDA {
      sums[t] = fma(to_floats(c[t]), mul(d, broadcast(x.scale(t))), sums[t]);
    });
  }
};

// A scale for each 16 of 32 values: v = float(dot low) * low; v = fma(float(dot high), high, v);
// sum = fma(v, scale, sum). The scales are halves of E4M3 numbers.
template <class Codes, int bits, int offset>
struct Scale16 {
  static constexpr int kValues = 32;
  static constexpr std::size_t kBytes = 32 + Codes::kBytes;

  RBEE_MEMBER static Floats load_scale(const std::byte* w, int part) {
    return mul(load_e4m3(w + kLanes * part), as_floats(splat(126U << 23)));
  }

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    fetch_ahead<T, kBytes>(w, part);
    const Codes codes(w + 32, part);
    const Floats low = load_scale(w, part);
    const Floats high = load_scale(w + 16, part);
    Floats v[T];
    Ints c[T];
    dot<bits, offset, 4>(codes, x.q(), x.neg_sum_low(), c);
    each_token<T>([&](auto t) RBEE_LAMBDA { v[t] = mul(to_floats(c[t]), low); });
    dot<bits, offset, 4>(SecondHalf<Codes>{codes}, x.q_high(), x.neg_sum_high(), c);
    each_token<T>([&](auto t) RBEE_LAMBDA {
      v[t] = fma(to_floats(c[t]), high, v[t]);
      sums[t] = fma(v[t], broadcast(x.scale(t)), sums[t]);
    });
  }
};

using Mxfp4 = Scale32<Exponents, Indices<Nibbles, kFp4>, 5, 16>;
using Nvfp4 = Scale16<Indices<Nibbles, kFp4>, 5, 16>;
using Iq4Nl = Scale32<Halves, Indices<Nibbles, kIq4>, 8, 128>;
using Iq4Xs = SignedScale32<Indices<Nibbles, kIq4>, 8, 128>;

}  // namespace

const TileKernels kTilesMxfp4 = kQuantisedTiles<Mxfp4>;
const TileKernels kTilesNvfp4 = kQuantisedTiles<Nvfp4>;
const TileKernels kTilesIq4Nl = kQuantisedTiles<Iq4Nl>;
const TileKernels kTilesIq4Xs = kQuantisedTiles<Iq4Xs>;

}  // namespace rbee::cpu::RBEE_ISA
