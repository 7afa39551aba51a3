// Conversion of activations to the tiles the products read (matmul.hpp, ActType).
#include "backend/cpu/kernels/matmul_tile.hpp"
#include "backend/cpu/kernels/quantize_block.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// T tokens of f32, per k: f32[T].
void tile_f32(const float* x, std::ptrdiff_t stride, int tokens, int cols, std::byte* tile) {
  for (int t = 0; t < tokens; ++t) {
    const float* row = x + t * stride;
    std::byte* out = tile + 4 * t;
    for (int k = 0; k < cols; ++k, out += 4 * tokens) __builtin_memcpy(out, row + k, 4);
  }
}

#if defined(RBEE_ISA_avx512)
// T tokens of bf16, per 2 k: bf16[T][2].
void tile_bf16(const float* x, std::ptrdiff_t stride, int tokens, int cols, std::byte* tile) {
  for (int t = 0; t < tokens; ++t) {
    const float* row = x + t * stride;
    std::byte* out = tile + 4 * t;
    for (int k = 0; k < cols; k += 16) {
      const int n = cols - k < 16 ? cols - k : 16;
      std::uint32_t pairs[8];
      const __m256bh rounded = _mm512_cvtneps_pbh(load_some(row + k, n));
      __builtin_memcpy(pairs, &rounded, sizeof pairs);
      for (int i = 0; 2 * i < n; ++i, out += 4 * tokens) __builtin_memcpy(out, pairs + i, 4);
    }
  }
}
#endif

// Token by token: rows of many models lie a multiple of 4 KB apart, and walking 8 of them at once
// would use one set of the L1 cache.
void tile_q8(const float* x, std::ptrdiff_t stride, int tokens, int cols, std::byte* tile) {
  const auto bytes = static_cast<std::size_t>(tokens) * 4;  // of one value of each token
  for (int t = 0; t < tokens; ++t) {
    const float* row = x + t * stride;
    std::byte* out = tile + 4 * t;
    for (int k = 0; k < cols; k += 32, out += 13 * bytes) {
      QuantizedBlock block;
      quantize_block(row + k, block);
      const std::int32_t sum = block.sum_low + block.sum_high;
      const float scaled_sum = block.scale * static_cast<float>(sum);
      const std::int32_t neg_sums[3] = {-sum, -block.sum_low, -block.sum_high};
      __builtin_memcpy(out, &block.scale, 4);
      __builtin_memcpy(out + bytes, &scaled_sum, 4);
      for (std::size_t i = 0; i < 3; ++i) {
        __builtin_memcpy(out + (2 + i) * bytes, neg_sums + i, 4);
      }
      for (std::size_t g = 0; g < 8; ++g) {
        __builtin_memcpy(out + (5 + g) * bytes, block.q + 4 * g, 4);
      }
    }
  }
}

}  // namespace

std::size_t act_bytes(ActType type, int n_tokens, int cols) {
  const auto tokens = static_cast<std::size_t>(n_tokens);
  const auto k = static_cast<std::size_t>(cols);
  switch (type) {
    case ActType::q8:
      return tokens * (k / 32) * 52;
    case ActType::bf16:
      return tokens * ((k + 1) / 2) * 4;
    case ActType::f32:
      break;
  }
  // BF16 weights are read by pairs, so an odd last column is followed by a zero.
  return tokens * ((k + 1) / 2) * 8;
}

void convert(ActType type, const float* x, std::ptrdiff_t stride, int n_tokens, int begin, int end,
             int cols, std::byte* buffer) {
  for (int t = begin; t < end; t += kTileTokens) {
    const int left = n_tokens - t;
    const int tokens = left < kTileTokens ? left : kTileTokens;
    std::byte* tile = buffer + act_bytes(type, t, cols);
    const float* rows = x + t * stride;
    switch (type) {
      case ActType::q8:
        tile_q8(rows, stride, tokens, cols, tile);
        break;
#if defined(RBEE_ISA_avx512)
      case ActType::bf16:
        tile_bf16(rows, stride, tokens, cols, tile);
        break;
#else
      case ActType::bf16:  // this instruction set multiplies none (act_type)
        break;
#endif
      case ActType::f32:
        tile_f32(rows, stride, tokens, cols, tile);
        if (cols % 2 != 0) {
          __builtin_memset(tile + 4 * static_cast<std::ptrdiff_t>(cols) * tokens, 0,
                           4 * static_cast<std::size_t>(tokens));
        }
        break;
    }
  }
}

}  // namespace rbee::cpu::RBEE_ISA
