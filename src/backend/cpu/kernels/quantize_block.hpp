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

#if defined(RBEE_ISA_avx512)

RBEE_INLINE void quantize_block(const float* x, QuantizedBlock& block) {
  const __m512 low = _mm512_loadu_ps(x);
  const __m512 high = _mm512_loadu_ps(x + 16);
  const __m512i magnitude = splat(0x7FFFFFFF);
  const __m512i max = _mm512_max_epi32(bit_and(_mm512_castps_si512(low), magnitude),
                                       bit_and(_mm512_castps_si512(high), magnitude));
  const BlockScale s = block_scale(_mm512_reduce_max_epi32(max));
  const __m512 inverse = _mm512_set1_ps(s.inverse);
  const __m512i q_low = _mm512_cvtps_epi32(mul(low, inverse));
  const __m512i q_high = _mm512_cvtps_epi32(mul(high, inverse));
  _mm_store_si128(reinterpret_cast<__m128i*>(block.q), _mm512_cvtsepi32_epi8(q_low));
  _mm_store_si128(reinterpret_cast<__m128i*>(block.q + 16), _mm512_cvtsepi32_epi8(q_high));
  block.scale = s.scale;
  block.sum_low = _mm512_reduce_add_epi32(q_low);
  block.sum_high = _mm512_reduce_add_epi32(q_high);
}

#elif defined(RBEE_ISA_avx2)

RBEE_INLINE void quantize_block(const float* x, QuantizedBlock& block) {
  __m256 v[4];
  __m256i max = _mm256_setzero_si256();
  unroll<4>([&](auto i) RBEE_LAMBDA {
    v[i] = _mm256_loadu_ps(x + 8 * i);
    max = _mm256_max_epi32(max, bit_and(_mm256_castps_si256(v[i]), splat(0x7FFFFFFF)));
  });
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(max), _mm256_extracti128_si256(max, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(1, 0, 3, 2)));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(2, 3, 0, 1)));
  const BlockScale s = block_scale(_mm_cvtsi128_si32(m));
  const __m256 inverse = _mm256_set1_ps(s.inverse);
  __m256i q[4];
  unroll<4>([&](auto i) RBEE_LAMBDA { q[i] = _mm256_cvtps_epi32(mul(v[i], inverse)); });
  // The packs work within halves of 128 bits; the permutation puts the words of 4 in order.
  const __m256i words =
      _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_store_si256(reinterpret_cast<__m256i*>(block.q),
                     _mm256_permutevar8x32_epi32(words, order));
  block.scale = s.scale;
  const auto sum = [](__m256i a) RBEE_LAMBDA {
    __m128i r = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    r = _mm_add_epi32(r, _mm_shuffle_epi32(r, _MM_SHUFFLE(1, 0, 3, 2)));
    r = _mm_add_epi32(r, _mm_shuffle_epi32(r, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm_cvtsi128_si32(r);
  };
  block.sum_low = sum(_mm256_add_epi32(q[0], q[1]));
  block.sum_high = sum(_mm256_add_epi32(q[2], q[3]));
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
