// Quantises 32 activations (matmul.hpp, ActType::q8). For *_kernels.cpp files only. Every
// instruction set gives the same bits: maxima and sums are of integers, and each value is rounded
// once.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/simd.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

struct BlockScale {
  float scale;
  float inverse;
};

// From the bits of max|x|. Bit patterns of magnitudes compare like the numbers, and a NaN is above
// them all, so that it reaches the scale and with it every product of the block.
RBEE_INLINE BlockScale block_scale(std::int32_t max_bits) {
  const float max = __builtin_bit_cast(float, max_bits);
  if (max < 1e-30F) return {0, 0};
  return {max / 127.0F, 127.0F / max};
}

struct QuantizedBlock {
  alignas(32) std::int8_t q[32];
  float scale;
  std::int32_t sum_low;   // of q[0 .. 16)
  std::int32_t sum_high;  // of q[16 .. 32)
};

#if !defined(RBEE_ISA_base)

// Sums of the first and the last 16 of 32 bytes, from sums of 4.
RBEE_INLINE void store_sums(__m256i fours, QuantizedBlock& block) {
  fours = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, _MM_SHUFFLE(1, 0, 3, 2)));
  fours = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, _MM_SHUFFLE(2, 3, 0, 1)));
  block.sum_low = _mm_cvtsi128_si32(_mm256_castsi256_si128(fours));
  block.sum_high = _mm_cvtsi128_si32(_mm256_extracti128_si256(fours, 1));
}

RBEE_INLINE std::int32_t greatest(__m256i v) {
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(1, 0, 3, 2)));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(2, 3, 0, 1)));
  return _mm_cvtsi128_si32(m);
}

#endif

#if defined(RBEE_ISA_avx512)

RBEE_INLINE void quantize_block(const float* x, QuantizedBlock& block) {
  const __m512 low = _mm512_loadu_ps(x);
  const __m512 high = _mm512_loadu_ps(x + 16);
  const __m512i magnitude = splat(0x7FFFFFFF);
  const __m512i max = _mm512_max_epi32(bit_and(_mm512_castps_si512(low), magnitude),
                                       bit_and(_mm512_castps_si512(high), magnitude));
  const BlockScale s = block_scale(
      greatest(_mm256_max_epi32(_mm512_castsi512_si256(max), _mm512_extracti32x8_epi32(max, 1))));
  const __m512 inverse = _mm512_set1_ps(s.inverse);
  const __m256i q = _mm256_set_m128i(_mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(mul(high, inverse))),
                                     _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(mul(low, inverse))));
  _mm256_store_si256(reinterpret_cast<__m256i*>(block.q), q);
  block.scale = s.scale;
  store_sums(_mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), q), block);
}

#elif defined(RBEE_ISA_avx2)

RBEE_INLINE void quantize_block(const float* x, QuantizedBlock& block) {
  __m256 v[4];
  __m256i max = _mm256_setzero_si256();
  unroll<4>([&](auto i) RBEE_LAMBDA {
    v[i] = _mm256_loadu_ps(x + 8 * i);
    max = _mm256_max_epi32(max, bit_and(_mm256_castps_si256(v[i]), splat(0x7FFFFFFF)));
  });
  const BlockScale s = block_scale(greatest(max));
  const __m256 inverse = _mm256_set1_ps(s.inverse);
  __m256i q[4];
  unroll<4>([&](auto i) RBEE_LAMBDA { q[i] = _mm256_cvtps_epi32(mul(v[i], inverse)); });
  // The packs work within halves of 128 bits; the permutation puts the words of 4 in order.
  const __m256i words =
      _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i bytes =
      _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_store_si256(reinterpret_cast<__m256i*>(block.q), bytes);
  block.scale = s.scale;
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  store_sums(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)), block);
}

#else

RBEE_INLINE void quantize_block(const float* x, QuantizedBlock& block) {
  std::int32_t max = 0;
  for (int i = 0; i < 32; ++i) {
    const std::int32_t bits = load_scalar<std::int32_t>(x + i) & 0x7FFFFFFF;
    max = bits > max ? bits : max;
  }
  const BlockScale s = block_scale(max);
  std::int32_t sums[2] = {};
  for (int i = 0; i < 32; i += 4) {
    const Ints q = _mm_cvtps_epi32(mul(load_floats(x + i), _mm_set1_ps(s.inverse)));
    const Ints words = _mm_packs_epi32(q, q);
    const int bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
    __builtin_memcpy(block.q + i, &bytes, 4);
    const Ints pairs = _mm_add_epi32(q, _mm_shuffle_epi32(q, _MM_SHUFFLE(1, 0, 3, 2)));
    sums[i / 16] +=
        _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, _MM_SHUFFLE(2, 3, 0, 1))));
  }
  block.scale = s.scale;
  block.sum_low = sums[0];
  block.sum_high = sums[1];
}

#endif

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
