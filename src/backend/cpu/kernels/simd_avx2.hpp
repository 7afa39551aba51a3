// AVX2 with FMA and F16C: a panel is two vectors of 8 rows.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace rbee::cpu::avx2 {
namespace {

constexpr int kLanes = 8;
using Floats = __m256;
using Ints = __m256i;  // 8 x 32 bits, or the bytes of 4 k for 8 rows

RBEE_INLINE Floats zero_floats() { return _mm256_setzero_ps(); }
RBEE_INLINE Floats load_floats(const void* p) {
  return _mm256_loadu_ps(static_cast<const float*>(p));
}
RBEE_INLINE Floats broadcast(const void* p) { return _mm256_set1_ps(load_scalar<float>(p)); }
RBEE_INLINE Floats load_halves(const void* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
RBEE_INLINE Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
RBEE_INLINE Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
RBEE_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
RBEE_INLINE Floats fnma(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
// a * b + c for products of plain numbers, where rounding in between is allowed.
RBEE_INLINE Floats mul_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

RBEE_INLINE __m256i first(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// The first n lanes, 0 <= n <= kLanes; the others are zero or stay as they are.
RBEE_INLINE Floats load_some(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
RBEE_INLINE void store_some(float* p, int n, Floats v) { _mm256_maskstore_ps(p, first(n), v); }

RBEE_INLINE Ints splat(std::uint32_t v) { return _mm256_set1_epi32(static_cast<int>(v)); }
RBEE_INLINE Ints load_ints(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
RBEE_INLINE Ints broadcast_int(const void* p) { return _mm256_set1_epi32(load_scalar<int>(p)); }
RBEE_INLINE Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
RBEE_INLINE Floats as_floats(Ints v) { return _mm256_castsi256_ps(v); }
RBEE_INLINE Ints bit_and(Ints a, Ints b) { return _mm256_and_si256(a, b); }
RBEE_INLINE Ints bit_or(Ints a, Ints b) { return _mm256_or_si256(a, b); }
// (a & mask) | b
RBEE_INLINE Ints and_or(Ints a, Ints mask, Ints b) { return bit_or(bit_and(a, mask), b); }
template <int n>
RBEE_INLINE Ints shift_left(Ints v) {
  return _mm256_slli_epi32(v, n);
}
template <int n>
RBEE_INLINE Ints shift_right(Ints v) {
  return _mm256_srli_epi32(v, n);
}
template <int n>
RBEE_INLINE Ints shift_right_signed(Ints v) {
  return _mm256_srai_epi32(v, n);
}

RBEE_INLINE Ints larger(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
// One byte for each lane.
RBEE_INLINE Ints load_bytes(const void* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p)));
}
// kLanes numbers of FP8 E4M3. As halves they are too small by 2^8; F16C reads subnormals whatever
// the mode. NaN codes give numbers.
RBEE_INLINE Floats load_e4m3(const void* p) {
  const __m128i codes = _mm_cvtepu8_epi16(_mm_loadl_epi64(static_cast<const __m128i*>(p)));
  const __m128i rest = _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x7F)), 7);
  const __m128i sign = _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x80)), 8);
  return _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(rest, sign)), _mm256_set1_ps(256.0F));
}
// What a table of 16 floats holds at indices below 16.
RBEE_INLINE Floats look_up(Ints index, const float (&table)[16]) {
  const Floats low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
  const Floats high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}
// A table of 16 bytes, and what it holds at indices below 16.
using Table = Ints;
RBEE_INLINE Table load_table(const std::uint8_t* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
RBEE_INLINE Ints lookup(Table table, Ints indices) { return _mm256_shuffle_epi8(table, indices); }

// Signed weights w = byte xor 0x80: |w| * (sign of w) q, so that a pair sum is at most
// 2 * 128 * 127 and does not saturate.
template <int groups, int T, class Codes>
RBEE_INLINE void dot_signed(const Codes& codes, const std::byte* q, Ints (&c)[T]) {
  const Ints ones = _mm256_set1_epi16(1);
  hide(q);
  unroll<T>([&](auto t) RBEE_LAMBDA { c[t] = _mm256_setzero_si256(); });
  unroll<groups>([&](auto g) RBEE_LAMBDA {
    const Ints w = _mm256_xor_si256(codes.template group<g.kValue>(), splat(0x80808080U));
    const Ints magnitude = _mm256_abs_epi8(w);
    unroll<T>([&](auto t) RBEE_LAMBDA {
      const Ints x = broadcast_int(q + 4 * (g.kValue * T + t.kValue));
      const Ints pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w));
      c[t] = _mm256_add_epi32(c[t], _mm256_madd_epi16(pairs, ones));
      if constexpr (T > 1) hide(c[t]);
    });
  });
}

// Pair sums are added up in 16 bits for as many groups as fit: groups * 2 * (2^bits - 1) * 127.
template <int bits>
constexpr int kGroupsInARow = bits <= 4   ? 8
                              : bits == 5 ? 4
                              : bits == 6 ? 2
                                          : 1;

// c[t] = sum over 4 * groups k of (code - offset) * q. codes.template group<g>() gives unsigned
// codes below 2^bits, q points to int8[groups][T][4], neg_sum to -sum(q) as i32[T].
template <int bits, int offset, int groups, int T, class Codes>
RBEE_INLINE void dot(const Codes& codes, const std::byte* q, const std::byte* neg_sum,
                     Ints (&c)[T]) {
  if constexpr (bits == 8) {
    static_assert(offset == 128);
    dot_signed<groups>(codes, q, c);
    return;
  }
  constexpr int run = kGroupsInARow<bits> < groups ? kGroupsInARow<bits> : groups;
  const Ints ones = _mm256_set1_epi16(1);
  hide(q);
  unroll<T>([&](auto t) RBEE_LAMBDA {
    if constexpr (offset == 0) {
      c[t] = _mm256_setzero_si256();
    } else {
      c[t] = shift_left<log2_of(offset)>(broadcast_int(neg_sum + 4 * t));
    }
  });
  unroll<groups / run>([&](auto r) RBEE_LAMBDA {
    Ints pairs[T];
    unroll<run>([&](auto i) RBEE_LAMBDA {
      constexpr int g = r.kValue * run + i.kValue;
      const Ints w = codes.template group<g>();
      unroll<T>([&](auto t) RBEE_LAMBDA {
        const Ints p = _mm256_maddubs_epi16(w, broadcast_int(q + 4 * (g * T + t.kValue)));
        pairs[t] = i.kValue == 0 ? p : _mm256_add_epi16(pairs[t], p);
        if constexpr (T > 1) hide(pairs[t]);
      });
    });
    unroll<T>([&](auto t) RBEE_LAMBDA {
      c[t] = _mm256_add_epi32(c[t], _mm256_madd_epi16(pairs[t], ones));
    });
  });
}

// dot for one token and both parts of a panel, whose codes are first and second: they share the
// activations, of which there are as many to load as weights.
template <int bits, int offset, int groups, class Codes>
RBEE_INLINE void dot_parts(const Codes& first, const Codes& second, const std::byte* q,
                           const std::byte* neg_sum, Ints (&c)[2]) {
  static_assert(bits < 8);
  constexpr int run = kGroupsInARow<bits> < groups ? kGroupsInARow<bits> : groups;
  const Ints ones = _mm256_set1_epi16(1);
  hide(q);
  unroll<groups / run>([&](auto r) RBEE_LAMBDA {
    Ints pairs[2];
    unroll<run>([&](auto i) RBEE_LAMBDA {
      constexpr int g = r.kValue * run + i.kValue;
      const Ints x = broadcast_int(q + 4 * g);
      const Ints a = _mm256_maddubs_epi16(first.template group<g>(), x);
      const Ints b = _mm256_maddubs_epi16(second.template group<g>(), x);
      pairs[0] = i.kValue == 0 ? a : _mm256_add_epi16(pairs[0], a);
      pairs[1] = i.kValue == 0 ? b : _mm256_add_epi16(pairs[1], b);
      hide(pairs[0]);
      hide(pairs[1]);
    });
    unroll<2>([&](auto part) RBEE_LAMBDA {
      const Ints sum = _mm256_madd_epi16(pairs[part], ones);
      c[part] = r.kValue == 0 ? sum : _mm256_add_epi32(c[part], sum);
    });
  });
  if constexpr (offset != 0) {
    const Ints shared = shift_left<log2_of(offset)>(broadcast_int(neg_sum));
    unroll<2>([&](auto part) RBEE_LAMBDA { c[part] = _mm256_add_epi32(c[part], shared); });
  }
}

}  // namespace
}  // namespace rbee::cpu::avx2
