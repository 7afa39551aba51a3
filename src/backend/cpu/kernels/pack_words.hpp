// The codes of 32 values of one row, and how they are put among the words of a panel (panel.hpp).
// SSE2, which every x86-64 processor has. For pack.cpp only.
#pragma once
#include <emmintrin.h>

#include <cstdint>

#include "backend/cpu/kernels/panel_layout.hpp"

namespace rbee::cpu {

// One byte for each value: k = 0 .. 15 and 16 .. 31.
struct Codes {
  __m128i low;
  __m128i high;
};

inline __m128i load_16(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline __m128i bytes_of(int value) { return _mm_set1_epi8(static_cast<char>(value)); }

inline Codes load_codes(const std::uint8_t* p) { return {load_16(p), load_16(p + 16)}; }

// Bits [shift, shift + n) of each of 16 bytes, where mask is 2^n - 1.
inline __m128i bits_of(__m128i bytes, int shift, int mask) {
  return _mm_and_si128(_mm_srl_epi16(bytes, _mm_cvtsi32_si128(shift)), bytes_of(mask));
}
inline Codes bits_of(const Codes& bytes, int shift, int mask) {
  return {bits_of(bytes.low, shift, mask), bits_of(bytes.high, shift, mask)};
}

// Q4_0 to Q5_1 keep k = 0..15 in the low and 16..31 in the high nibbles of 16 bytes.
inline Codes split_nibbles(const std::uint8_t* bytes) {
  const __m128i both = load_16(bytes);
  return {bits_of(both, 0, 15), bits_of(both, 4, 15)};
}

// 32 bits, one for each value, from the lowest on.
inline Codes split_bits(const std::uint8_t* bits) {
  __m128i bytes = _mm_cvtsi32_si128(static_cast<int>(load_u32(bits)));
  bytes = _mm_unpacklo_epi8(bytes, bytes);
  bytes = _mm_unpacklo_epi16(bytes, bytes);  // each byte four times
  const __m128i own = _mm_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
  const auto spread = [&](__m128i eightfold) {
    const __m128i set = _mm_cmpeq_epi8(_mm_and_si128(eightfold, own), own);
    return _mm_and_si128(set, bytes_of(1));
  };
  return {spread(_mm_unpacklo_epi32(bytes, bytes)), spread(_mm_unpackhi_epi32(bytes, bytes))};
}

inline std::uint32_t first_word(__m128i v) {
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(v));
}

// The four words of a vector, each a row's share of 64 bytes.
inline void put_words(std::uint8_t* dst, int row, __m128i words) {
  dst += 4 * row;
  store_u32(dst, first_word(words));
  store_u32(dst + 64, first_word(_mm_shuffle_epi32(words, 1)));
  store_u32(dst + 128, first_word(_mm_shuffle_epi32(words, 2)));
  store_u32(dst + 192, first_word(_mm_shuffle_epi32(words, 3)));
}

inline void put_nibbles(std::uint8_t* dst, int row, const Codes& codes) {
  // Words k = 8h + 4 + j move above words k = 8h + j.
  const auto join = [](__m128i v) {
    v = _mm_and_si128(v, bytes_of(15));
    return _mm_castsi128_ps(_mm_or_si128(v, _mm_srli_epi64(v, 28)));
  };
  put_words(
      dst, row,
      _mm_castps_si128(_mm_shuffle_ps(join(codes.low), join(codes.high), _MM_SHUFFLE(2, 0, 2, 0))));
}

// The words of a together in the first word, those of b in the third.
inline __m128i any_of_words(__m128i a, __m128i b) {
  const __m128i both = _mm_or_si128(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
  return _mm_or_si128(both, _mm_shuffle_epi32(both, _MM_SHUFFLE(2, 3, 0, 1)));
}

// What the words of v are multiplied with moves bits up within bytes.
inline __m128i move_up(__m128i v, int first, int second, int third, int fourth) {
  const auto pair = [](int n) { return n << 16 | n; };
  return _mm_mullo_epi16(v, _mm_setr_epi32(pair(first), pair(second), pair(third), pair(fourth)));
}

inline void put_bit_plane(std::uint8_t* dst, int row, const Codes& codes, int bit) {
  const Codes ones = bits_of(codes, bit, 1);
  const __m128i halves =
      _mm_or_si128(move_up(ones.low, 1, 2, 4, 8), move_up(ones.high, 16, 32, 64, 128));
  store_u32(dst + 4 * row, first_word(any_of_words(halves, halves)));
}

inline void put_crumbs(std::uint8_t* dst, int row, const Codes& codes, int bit) {
  const Codes crumbs = bits_of(codes, bit, 3);
  const __m128i words =
      any_of_words(move_up(crumbs.low, 1, 4, 16, 64), move_up(crumbs.high, 1, 4, 16, 64));
  store_u32(dst + 4 * row, first_word(words));
  store_u32(dst + 64 + 4 * row, first_word(_mm_unpackhi_epi64(words, words)));
}

inline void put_bytes(std::uint8_t* dst, int row, const std::uint8_t* values) {
  const Codes codes = load_codes(values);
  put_words(dst, row, _mm_xor_si128(codes.low, bytes_of(0x80)));
  put_words(dst + 256, row, _mm_xor_si128(codes.high, bytes_of(0x80)));
}

}  // namespace rbee::cpu
