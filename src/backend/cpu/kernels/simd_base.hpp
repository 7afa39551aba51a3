// Plain x86-64 (SSE2): a panel is four vectors of 4 rows. Correct on every processor; fused
// operations are emulated exactly, so that quantised products equal those of the other builds.
#pragma once
#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

namespace rbee::cpu::base {
namespace {

constexpr int kLanes = 4;
using Floats = __m128;
using Ints = __m128i;  // 4 x 32 bits, or the bytes of 4 k for 4 rows

RBEE_INLINE Floats zero_floats() { return _mm_setzero_ps(); }
RBEE_INLINE Floats load_floats(const void* p) { return _mm_loadu_ps(static_cast<const float*>(p)); }
RBEE_INLINE Floats broadcast(const void* p) { return _mm_set1_ps(load_scalar<float>(p)); }
RBEE_INLINE Floats add(Floats a, Floats b) { return _mm_add_ps(a, b); }
RBEE_INLINE Floats mul(Floats a, Floats b) { return _mm_mul_ps(a, b); }

RBEE_INLINE Ints splat(std::uint32_t v) { return _mm_set1_epi32(static_cast<int>(v)); }
RBEE_INLINE Ints load_ints(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
RBEE_INLINE Ints broadcast_int(const void* p) { return _mm_set1_epi32(load_scalar<int>(p)); }
RBEE_INLINE Floats to_floats(Ints v) { return _mm_cvtepi32_ps(v); }
RBEE_INLINE Floats as_floats(Ints v) { return _mm_castsi128_ps(v); }
RBEE_INLINE Ints bit_and(Ints a, Ints b) { return _mm_and_si128(a, b); }
RBEE_INLINE Ints bit_or(Ints a, Ints b) { return _mm_or_si128(a, b); }
// (a & mask) | b
RBEE_INLINE Ints and_or(Ints a, Ints mask, Ints b) { return bit_or(bit_and(a, mask), b); }
RBEE_INLINE Ints select(Ints mask, Ints a, Ints b) {
  return bit_or(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b));
}
template <int n>
RBEE_INLINE Ints shift_left(Ints v) {
  return _mm_slli_epi32(v, n);
}
template <int n>
RBEE_INLINE Ints shift_right(Ints v) {
  return _mm_srli_epi32(v, n);
}
template <int n>
RBEE_INLINE Ints shift_right_signed(Ints v) {
  return _mm_srai_epi32(v, n);
}

RBEE_INLINE Ints larger(Ints a, Ints b) { return select(_mm_cmpgt_epi32(a, b), a, b); }
// One byte for each lane.
RBEE_INLINE Ints load_bytes(const void* p) {
  const Ints zero = _mm_setzero_si128();
  const Ints bytes = _mm_cvtsi32_si128(load_scalar<int>(p));
  return _mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zero), zero);
}
// kLanes numbers of FP8 E4M3; NaN codes give numbers.
RBEE_INLINE Floats load_e4m3(const void* p) {
  const Ints codes = load_bytes(p);
  const Ints rest = bit_and(codes, splat(0x7F));
  const Ints normal = shift_left<20>(_mm_add_epi32(rest, splat(120U << 3)));
  const Ints small = _mm_castps_si128(mul(to_floats(rest), _mm_set1_ps(0x1p-9F)));
  const Ints is_small = _mm_cmplt_epi32(rest, splat(8));
  return as_floats(
      bit_or(shift_left<24>(bit_and(codes, splat(0x80))), select(is_small, small, normal)));
}
// What a table of 16 floats holds at indices below 16.
RBEE_INLINE Floats look_up(Ints index, const float (&table)[16]) {
  alignas(16) int at[4];
  _mm_store_si128(reinterpret_cast<Ints*>(at), index);
  return _mm_setr_ps(table[at[0]], table[at[1]], table[at[2]], table[at[3]]);
}
// A table of 16 bytes, and what it holds at indices below 16. SSE2 has no such instruction.
using Table = const std::uint8_t*;
RBEE_INLINE Table load_table(const std::uint8_t* p) { return p; }
[[maybe_unused]] __attribute__((noinline)) Ints lookup(Table table, Ints indices) {
  std::uint8_t bytes[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), indices);
  for (std::uint8_t& byte : bytes) byte = table[byte];
  return load_ints(bytes);
}

// The floats of the f16 numbers in the low halves of the lanes.
RBEE_INLINE Floats floats_of_halves(Ints h) {
  const Ints sign = shift_left<16>(bit_and(h, splat(0x8000)));
  const Ints magnitude = bit_and(h, splat(0x7FFF));
  const Ints normal = _mm_add_epi32(shift_left<13>(magnitude), splat(112U << 23));
  // Denormal halves are small integers times 2^-24; infinities and NaN keep a full exponent.
  const Ints small = _mm_castps_si128(mul(to_floats(magnitude), _mm_set1_ps(0x1p-24F)));
  const Ints special = bit_or(shift_left<13>(magnitude), splat(255U << 23));
  const Ints is_small = _mm_cmplt_epi32(magnitude, splat(1 << 10));
  const Ints is_special = _mm_cmpgt_epi32(magnitude, splat(0x7BFF));
  return as_floats(bit_or(sign, select(is_small, small, select(is_special, special, normal))));
}
RBEE_INLINE Floats load_halves(const void* p) {
  return floats_of_halves(
      _mm_unpacklo_epi16(_mm_loadl_epi64(static_cast<const __m128i*>(p)), _mm_setzero_si128()));
}

// Two lanes of a * b + c, rounded once. The product of floats is exact in double; the sum is
// rounded to odd, after which rounding to float cannot round twice (Boldo & Melquiond, 2008,
// "Emulation of FMA and correctly rounded sums").
RBEE_INLINE __m128 fma_pair(Floats a, Floats b, Floats c) {
  const __m128d product = _mm_mul_pd(_mm_cvtps_pd(a), _mm_cvtps_pd(b));
  const __m128d addend = _mm_cvtps_pd(c);
  const __m128d sum = _mm_add_pd(product, addend);
  const __m128d part = _mm_sub_pd(sum, product);
  const __m128d error =
      _mm_add_pd(_mm_sub_pd(product, _mm_sub_pd(sum, part)), _mm_sub_pd(addend, part));
  // Where the error is a number other than zero and the last bit of the sum is even: one step
  // towards the error, that is up in magnitude where both have the same sign.
  const __m128d zero = _mm_setzero_pd();
  const Ints bits = _mm_castpd_si128(sum);
  const Ints one = _mm_set_epi32(0, 1, 0, 1);
  const Ints inexact =
      _mm_castpd_si128(_mm_and_pd(_mm_cmpneq_pd(error, zero), _mm_cmpord_pd(error, error)));
  const Ints step = _mm_and_si128(_mm_andnot_si128(bits, one), inexact);  // 1 or 0
  const Ints differ = _mm_castpd_si128(_mm_xor_pd(error, sum));
  const Ints down = _mm_shuffle_epi32(_mm_srai_epi32(differ, 31), _MM_SHUFFLE(3, 3, 1, 1));
  const Ints signed_step =
      _mm_sub_epi64(_mm_xor_si128(step, _mm_and_si128(down, splat(~0U))), down);
  return _mm_cvtpd_ps(_mm_castsi128_pd(_mm_add_epi64(bits, signed_step)));
}
// A call costs less than the code of so many copies.
[[maybe_unused]] __attribute__((noinline)) Floats fma(Floats a, Floats b, Floats c) {
  return _mm_movelh_ps(fma_pair(a, b, c),
                       fma_pair(_mm_movehl_ps(a, a), _mm_movehl_ps(b, b), _mm_movehl_ps(c, c)));
}
RBEE_INLINE Floats fnma(Floats a, Floats b, Floats c) {
  return fma(_mm_xor_ps(a, _mm_set1_ps(-0.0F)), b, c);
}
// a * b + c for products of plain numbers, where rounding in between is allowed.
RBEE_INLINE Floats mul_add(Floats a, Floats b, Floats c) { return add(mul(a, b), c); }

// The first n lanes, 0 <= n <= kLanes; the others are zero or stay as they are.
RBEE_INLINE Floats load_some(const float* p, int n) {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load_floats(lanes);
}
RBEE_INLINE void store_some(float* p, int n, Floats v) {
  float lanes[kLanes];
  _mm_storeu_ps(lanes, v);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

// c[t] = sum over 4 * groups k of (code - offset) * q. codes.template group<g>() gives unsigned
// codes below 2^bits, q points to int8[groups][T][4], neg_sum to -sum(q) as i32[T].
template <int bits, int offset, int groups, int T, class Codes>
RBEE_INLINE void dot(const Codes& codes, const std::byte* q, const std::byte* neg_sum,
                     Ints (&c)[T]) {
  const Ints zero = _mm_setzero_si128();
  Ints low[T];  // two sums for each of rows 0 and 1; high: 2 and 3
  Ints high[T];
  for (int t = 0; t < T; ++t) low[t] = high[t] = zero;
  unroll<groups>([&](auto g) RBEE_LAMBDA {
    const Ints w = codes.template group<g.kValue>();
    const Ints w_low = _mm_unpacklo_epi8(w, zero);
    const Ints w_high = _mm_unpackhi_epi8(w, zero);
    for (int t = 0; t < T; ++t) {
      const Ints bytes = broadcast_int(q + 4 * (g.kValue * T + t));
      const Ints x = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
      low[t] = _mm_add_epi32(low[t], _mm_madd_epi16(w_low, x));
      high[t] = _mm_add_epi32(high[t], _mm_madd_epi16(w_high, x));
    }
  });
  for (int t = 0; t < T; ++t) {
    const Floats a = as_floats(low[t]);
    const Floats b = as_floats(high[t]);
    const Ints even = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    const Ints odd = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
    c[t] = _mm_add_epi32(even, odd);
    if constexpr (offset != 0) {
      c[t] = _mm_add_epi32(c[t], shift_left<log2_of(offset)>(broadcast_int(neg_sum + 4 * t)));
    }
  }
}

}  // namespace
}  // namespace rbee::cpu::base
