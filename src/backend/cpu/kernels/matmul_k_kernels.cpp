// Products for the K types: blocks of 256 values, in 8 sub-blocks of 32.
#include "backend/cpu/kernels/matmul_signed_scale.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// Q4_K (Nibbles), Q5_K (PlaneNibbles): scale and min of 6 bits for each sub-block.
//   sum = fma(float(integer dot), d * sc * scale, sum); sum = fma(-dmin * m, scale * sum(q), sum)
template <class Codes, int bits>
struct ScaleMin {
  static constexpr int kValues = 256;
  static constexpr std::size_t kBytes = 256 + 8 * Codes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    const Floats d = load_halves(w + 2 * kLanes * part);
    const Floats dmin = load_halves(w + 32 + 2 * kLanes * part);
    const std::byte* columns = w + 64 + part * kPartBytes;
    const Ints high = load_ints(columns + 128);
    const std::byte* codes = w + 256;
    unroll<2>([&](auto v) RBEE_LAMBDA {
      const Ints low = load_ints(columns + 64 * v);
      Ints scales = and_or(shift < v == 0 ? 4 : 0 > (high), splat(0x30303030U),
                           bit_and(low, splat(0x0F0F0F0FU)));
      Ints mins = and_or(shift < v == 0 ? 2 : -2 > (high), splat(0x30303030U),
                         bit_and(shift_right<4>(low), splat(0x0F0F0F0FU)));
      for (int j = 0; j < 4; ++j) {
        const Floats scale = mul(d, to_floats(bit_and(scales, splat(0xFF))));
        const Floats min = mul(dmin, to_floats(bit_and(mins, splat(0xFF))));
        scales = shift_right<8>(scales);
        mins = shift_right<8>(mins);
        fetch_ahead<T, Codes::kBytes>(codes, part);
        Ints c[T];
        dot<bits, 0, 8>(Codes(codes, part), x.q(), x.neg_sum(), c);
        each_token<T>([&](auto t) RBEE_LAMBDA {
          sums[t] = fma(to_floats(c[t]), mul(scale, broadcast(x.scale(t))), sums[t]);
        });
        each_token<T>(
            [&](auto t) RBEE_LAMBDA { sums[t] = fnma(min, broadcast(x.scaled_sum(t)), sums[t]); });
        codes += Codes::kBytes;
        x.p += ActBlock<T>::kBytes;
      }
    });
  }

#if defined(RBEE_ISA_avx2)
  // The same for one token and both parts of the panel.
  RBEE_MEMBER static void add_row(const std::byte* w, ActBlock<1> x, Floats (&sums)[kParts][1]) {
    const std::byte* codes = w + 256;
    for (int v = 0; v < 2; ++v) {
      Ints scales[2], mins[2];
      unroll<2>([&](auto part) RBEE_LAMBDA {
        const std::byte* columns = w + 64 + part * kPartBytes;
        const Ints low = load_ints(columns + 64 * v);
        const Ints high = load_ints(columns + 128);
        const Ints two_of_scale = v == 0 ? shift<4>(high) : high;
        const Ints two_of_min = v == 0 ? shift<2>(high) : shift<-2>(high);
        scales[part] = and_or(two_of_scale, splat(0x30303030U), bit_and(low, splat(0x0F0F0F0FU)));
        mins[part] = and_or(two_of_min, splat(0x30303030U),
                            bit_and(shift_right<4>(low), splat(0x0F0F0F0FU)));
      });
      for (int j = 0; j < 4; ++j) {
        fetch_ahead<1, Codes::kBytes>(codes, 0);
        Ints c[2];
        dot_parts<bits, 0, 8>(Codes(codes, 0), Codes(codes, 1), x.q(), x.neg_sum(), c);
        unroll<2>([&](auto part) RBEE_LAMBDA {
          const Floats scale = mul(load_halves(w + 2 * kLanes * part),
                                   to_floats(bit_and(scales[part], splat(0xFF))));
          const Floats min = mul(load_halves(w + 32 + 2 * kLanes * part),
                                 to_floats(bit_and(mins[part], splat(0xFF))));
          scales[part] = shift_right<8>(scales[part]);
          mins[part] = shift_right<8>(mins[part]);
          Floats& sum = sums[part][0];
          sum = fma(to_floats(c[part]), mul(scale, broadcast(x.scale(0))), sum);
          sum = fnma(min, broadcast(x.scaled_sum(0)), sum);
        });
        codes += Codes::kBytes;
        x.p += ActBlock<1>::kBytes;
      }
    }
  }
#endif
};

// Q2_K: scale and min of 4 bits for each 16 values.
//   v = float(dot low) * (d * sc low); v = fma(-sum(q) low, dmin * m low, v); then the high half:
//   v = fma(float(dot high), d * sc high, v); v = fma(-sum(q) high, dmin * m high, v);
//   sum = fma(v, scale, sum)
struct ScaleMin16 {
  static constexpr int kValues = 256;
  static constexpr std::size_t kBytes = 320 + 8 * Crumbs::kBytes;

  // Scales are unpacked when they are needed: beside three arrays there are no registers for all.
  template <int half, int T>
  RBEE_MEMBER static void add_half(Ints packed, Floats d, Floats dmin, const std::byte* neg_sum,
                                   const Ints (&c)[T], Floats (&v)[T]) {
    hide(packed);
    const Floats scale = mul(d, to_floats(shift_right<28>(shift_left<28 - 8 * half>(packed))));
    const Floats min = mul(dmin, to_floats(shift_right<28>(shift_left<24 - 8 * half>(packed))));
    each_token<T>([&](auto t) RBEE_LAMBDA {
      v[t] = half == 0 ? mul(to_floats(c[t]), scale) : fma(to_floats(c[t]), scale, v[t]);
      v[t] = fma(to_floats(broadcast_int(neg_sum + 4 * t)), min, v[t]);
    });
  }

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    const Floats d = load_halves(w + 2 * kLanes * part);
    const Floats dmin = load_halves(w + 32 + 2 * kLanes * part);
    const std::byte* columns = w + 64 + part * kPartBytes;
    const std::byte* bytes = w + 320;
    for (int s = 0; s < 8; s += 2, columns += 64) {
      Ints packed = load_ints(columns);
      for (int i = 0; i < 2; ++i) {
        fetch_ahead<T, Crumbs::kBytes>(bytes, part);
        const Crumbs codes(bytes, part);
        Floats v[T];
        Ints c[T];
        dot<2, 0, 4>(codes, x.q(), x.neg_sum_low(), c);
        add_half<0>(packed, d, dmin, x.neg_sum_low(), c, v);
        dot<2, 0, 4>(SecondHalf<Crumbs>{codes}, x.q_high(), x.neg_sum_high(), c);
        add_half<1>(packed, d, dmin, x.neg_sum_high(), c, v);
        each_token<T>([&](auto t)
                          RBEE_LAMBDA { sums[t] = fma(v[t], broadcast(x.scale(t)), sums[t]); });
        packed = shift_right<16>(packed);
        bytes += Crumbs::kBytes;
        x.p += ActBlock<T>::kBytes;
      }
    }
  }
};

// Q8_K: one f32 scale for all 256 values.
struct Scale256 {
  static constexpr int kValues = 256;
  static constexpr std::size_t kBytes = 64 + 8 * Bytes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    const Floats d = load_floats(w + part * kPartBytes);
    const std::byte* bytes = w + 64;
    for (int s = 0; s < 8; ++s) {
      fetch_ahead<T, Bytes::kBytes>(bytes, part);
      Ints c[T];
      dot<8, 128, 8>(Bytes(bytes, part), x.q(), x.neg_sum(), c);
      each_token<T>([&](auto t) RBEE_LAMBDA {
        sums[t] = fma(to_floats(c[t]), mul(d, broadcast(x.scale(t))), sums[t]);
      });
      bytes += Bytes::kBytes;
      x.p += ActBlock<T>::kBytes;
    }
  }
};

using Q2K = ScaleMin16;
using Q3K = SignedScale16<CrumbsPlane, 3, 4>;
using Q4K = ScaleMin<Nibbles, 4>;
using Q5K = ScaleMin<PlaneNibbles, 5>;
using Q6K = SignedScale16<NibblesCrumbs, 6, 32>;
using Q8K = Scale256;

}  // namespace

const TileKernels kTilesQ2K = kQuantisedTiles<Q2K>;
const TileKernels kTilesQ3K = kQuantisedTiles<Q3K>;
const TileKernels kTilesQ4K = kQuantisedTiles<Q4K>;
const TileKernels kTilesQ5K = kQuantisedTiles<Q5K>;
const TileKernels kTilesQ6K = kQuantisedTiles<Q6K>;
const TileKernels kTilesQ8K = kQuantisedTiles<Q8K>;

}  // namespace rbee::cpu::RBEE_ISA
