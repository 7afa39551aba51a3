// Products of blocks of 256 values with one f16 scale d, times 2^unit, and signed 8-bit scales sc.
// For *_kernels.cpp files only.
#pragma once
#include "backend/cpu/kernels/matmul_tile.hpp"
#include "backend/cpu/kernels/quant_codes.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

template <int unit>
RBEE_INLINE Floats load_scaled_halves(const std::byte* p) {
  const Floats d = load_halves(p);
  if constexpr (unit == 0) return d;
  return mul(d, as_floats(splat((127U + unit) << 23)));
}

// A signed scale for each 16 of 256 values.
//   v = float(dot low) * (d * sc low); v = fma(float(dot high), d * sc high, v);
//   sum = fma(v, scale, sum)
template <class Codes, int bits, int offset, int unit = 0>
struct SignedScale16 {
  static constexpr int kValues = 256;
  static constexpr std::size_t kBytes = 288 + 8 * Codes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    const std::byte* columns = w + 32 + part * kPartBytes;
    const std::byte* bytes = w + 288;
    for (int s = 0; s < 8; s += 2, columns += 64) {
      Ints scales = load_ints(columns);
      for (int i = 0; i < 2; ++i) {
        // Read again for each 32 values: a register less in use while they are multiplied.
        const std::byte* head = w + 2 * kLanes * part;
        hide(head);
        const Floats d = load_scaled_halves<unit>(head);
        const Floats low = mul(d, to_floats(shift_right_signed<24>(shift_left<24>(scales))));
        const Floats high = mul(d, to_floats(shift_right_signed<24>(shift_left<16>(scales))));
        scales = shift_right<16>(scales);
        fetch_ahead<T, Codes::kBytes>(bytes, part);
        const Codes codes(bytes, part);
        Floats v[T];
        Ints c[T];
        dot<bits, offset, 4>(codes, x.q(), x.neg_sum_low(), c);
        each_token<T>([&](auto t) RBEE_LAMBDA { v[t] = mul(to_floats(c[t]), low); });
        dot<bits, offset, 4>(SecondHalf<Codes>{codes}, x.q_high(), x.neg_sum_high(), c);
        each_token<T>([&](auto t) RBEE_LAMBDA {
          v[t] = fma(to_floats(c[t]), high, v[t]);
          sums[t] = fma(v[t], broadcast(x.scale(t)), sums[t]);
        });
        bytes += Codes::kBytes;
        x.p += ActBlock<T>::kBytes;
      }
    }
  }

#if defined(RBEE_ISA_avx2)
  // The same for one token and both parts of the panel.
  RBEE_MEMBER static void add_row(const std::byte* w, ActBlock<1> x, Floats (&sums)[kParts][1]) {
    const std::byte* columns = w + 32;
    const std::byte* bytes = w + 288;
    for (int s = 0; s < 8; s += 2, columns += 64) {
      Ints scales[2];
      unroll<2>([&](auto part)
                    RBEE_LAMBDA { scales[part] = load_ints(columns + part * kPartBytes); });
      for (int i = 0; i < 2; ++i) {
        fetch_ahead<1, Codes::kBytes>(bytes, 0);
        const Codes first(bytes, 0), second(bytes, 1);
        Ints low[2], high[2];
        dot_parts<bits, offset, 4>(first, second, x.q(), x.neg_sum_low(), low);
        dot_parts<bits, offset, 4>(SecondHalf<Codes>{first}, SecondHalf<Codes>{second}, x.q_high(),
                                   x.neg_sum_high(), high);
        unroll<2>([&](auto part) RBEE_LAMBDA {
          const Ints packed = scales[part];
          const Floats d = load_scaled_halves<unit>(w + 2 * kLanes * part);
          const Floats of_low = mul(d, to_floats(shift_right_signed<24>(shift_left<24>(packed))));
          const Floats of_high = mul(d, to_floats(shift_right_signed<24>(shift_left<16>(packed))));
          const Floats v = fma(to_floats(high[part]), of_high, mul(to_floats(low[part]), of_low));
          sums[part][0] = fma(v, broadcast(x.scale(0)), sums[part][0]);
          scales[part] = shift_right<16>(packed);
        });
        bytes += Codes::kBytes;
        x.p += ActBlock<1>::kBytes;
      }
    }
  }
#endif
};

// A signed scale for each 32 of 256 values: sum = fma(float(integer dot), d * sc * scale, sum).
template <class Codes, int bits, int offset, int unit = 0>
struct SignedScale32 {
  static constexpr int kValues = 256;
  static constexpr std::size_t kBytes = 160 + 8 * Codes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    const Floats d = load_scaled_halves<unit>(w + 2 * kLanes * part);
    const std::byte* columns = w + 32 + part * kPartBytes;
    const std::byte* bytes = w + 160;
    for (int v = 0; v < 2; ++v, columns += 64) {
      Ints scales = load_ints(columns);
      for (int j = 0; j < 4; ++j) {
        const Floats scale = mul(d, to_floats(shift_right_signed<24>(shift_left<24>(scales))));
        scales = shift_right<8>(scales);
        fetch_ahead<T, Codes::kBytes>(bytes, part);
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

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
