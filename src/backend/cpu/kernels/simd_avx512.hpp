// AVX-512 (F, BW, DQ, VL, VNNI, BF16): a panel is one vector.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace rbee::cpu::avx512 {
namespace {

constexpr int kLanes = 16;
using Floats = __m512;
using Ints = __m512i;  // 16 x 32 bits, or the bytes of 4 k for 16 rows

RBEE_INLINE Floats zero_floats() { return _mm512_setzero_ps(); }
RBEE_INLINE Floats load_floats(const void* p) { return _mm512_loadu_ps(p); }
RBEE_INLINE Floats broadcast(const void* p) { return _mm512_set1_ps(load_scalar<float>(p)); }
RBEE_INLINE Floats load_halves(const void* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
RBEE_INLINE Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
RBEE_INLINE Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
RBEE_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
RBEE_INLINE Floats fnma(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }
// a * b + c for products of plain numbers, where rounding in between is allowed.
RBEE_INLINE Floats mul_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

RBEE_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1U << n) - 1U); }
// The first n lanes, 0 <= n <= kLanes; the others are zero or stay as they are.
RBEE_INLINE Floats load_some(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
RBEE_INLINE void store_some(float* p, int n, Floats v) { _mm512_mask_storeu_ps(p, first(n), v); }

RBEE_INLINE Ints splat(std::uint32_t v) { return _mm512_set1_epi32(static_cast<int>(v)); }
RBEE_INLINE Ints load_ints(const void* p) { return _mm512_loadu_si512(p); }
RBEE_INLINE Ints broadcast_int(const void* p) { return _mm512_set1_epi32(load_scalar<int>(p)); }
RBEE_INLINE Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
RBEE_INLINE Ints bit_and(Ints a, Ints b) { return _mm512_and_si512(a, b); }
RBEE_INLINE Ints bit_or(Ints a, Ints b) { return _mm512_or_si512(a, b); }
// (a & mask) | b
RBEE_INLINE Ints and_or(Ints a, Ints mask, Ints b) {
  return _mm512_ternarylogic_epi32(a, mask, b, 0xEA);
}
template <int n>
RBEE_INLINE Ints shift_left(Ints v) {
  return _mm512_slli_epi32(v, n);
}
template <int n>
RBEE_INLINE Ints shift_right(Ints v) {
  return _mm512_srli_epi32(v, n);
}
template <int n>
RBEE_INLINE Ints shift_right_signed(Ints v) {
  return _mm512_srai_epi32(v, n);
}

RBEE_INLINE Floats as_floats(Ints v) { return _mm512_castsi512_ps(v); }
RBEE_INLINE Ints larger(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
// One byte for each lane.
RBEE_INLINE Ints load_bytes(const void* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
// kLanes numbers of FP8 E4M3. As halves they are too small by 2^8; F16C reads subnormals whatever
// the mode. NaN codes give numbers.
RBEE_INLINE Floats load_e4m3(const void* p) {
  const __m256i codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  const __m256i rest = _mm256_slli_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(0x7F)), 7);
  const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(0x80)), 8);
  return _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(rest, sign)), _mm512_set1_ps(256.0F));
}
// What a table of 16 floats holds at indices below 16.
RBEE_INLINE Floats look_up(Ints index, const float (&table)[16]) {
  return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
}
// A table of 16 bytes, and what it holds at indices below 16.
using Table = Ints;
RBEE_INLINE Table load_table(const std::uint8_t* p) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
RBEE_INLINE Ints lookup(Table table, Ints indices) { return _mm512_shuffle_epi8(table, indices); }

// sum + the products of pairs of bf16.
RBEE_INLINE Floats dot_pairs(Floats sum, Ints a, Ints b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

// c[t] = sum over 4 * groups k of (code - offset) * q. codes.template group<g>() gives unsigned
// codes below 2^bits, q points to int8[groups][T][4], neg_sum to -sum(q) as i32[T].
template <int bits, int offset, int groups, int T, class Codes>
RBEE_INLINE void dot(const Codes& codes, const std::byte* q, const std::byte* neg_sum,
                     Ints (&c)[T]) {
  unroll<T>([&](auto t) RBEE_LAMBDA {
    if constexpr (offset == 0) {
      c[t] = _mm512_setzero_si512();
    } else {
      c[t] = shift_left<log2_of(offset)>(broadcast_int(neg_sum + 4 * t));
    }
  });
  unroll<groups>([&](auto g) RBEE_LAMBDA {
    const Ints w = codes.template group<g.kValue>();
    unroll<T>([&](auto t) RBEE_LAMBDA {
      c[t] = _mm512_dpbusd_epi32(c[t], w, broadcast_int(q + 4 * (g.kValue * T + t.kValue)));
    });
  });
}

}  // namespace
}  // namespace rbee::cpu::avx512
