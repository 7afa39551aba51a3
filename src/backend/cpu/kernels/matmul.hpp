// Products of activations with panel matrices: one table of functions per instruction set.
//
// Promise: an output depends on its weight row and its token's activations only, bit for bit,
// never on the number of tokens, the token's index, the panel range or the thread. For activations
// of kind q8 it is also the same on every instruction set.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/isa.hpp"
#include "backend/cpu/kernels/panel.hpp"

namespace rbee::cpu {

// Tokens per tile of converted activations. A buffer for n tokens is n / kTileTokens full tiles
// and one tile of the remaining tokens.
constexpr int kTileTokens = 8;

// What activations are converted to before they meet the weights.
//   f32:  unchanged. Tile of T tokens, per k: f32[T]; an odd last column is followed by a zero one.
//   bf16: rounded to nearest even; avx512 only. Per 2 k: bf16[T][2]; an odd last column is paired
//   with zero. q8:   blocks of 32 values, scale = max|x| / 127, q = round(x * (127 / max|x|)) to
//   nearest even.
//         Blocks with max|x| < 1e-30 count as zero; a NaN or infinity makes every product of its
//         block NaN or infinite. Per block: scale f32[T] | scale * sum(q) f32[T] | -sum(q) i32[T] |
//         -sum(first 16 q) i32[T] | -sum(last 16 q) i32[T] | q int8[8][T][4]
enum class ActType : std::uint8_t { f32, bf16, q8 };

struct MatmulKernels {
  Isa isa;

  // What activations weights of a type are multiplied with on this instruction set.
  ActType (*act_type)(PanelType type);

  // Buffer size for n_tokens rows of cols values, any n_tokens >= 0. Buffers are aligned to 64.
  // cols is a multiple of 32 for q8.
  std::size_t (*act_bytes)(ActType type, int n_tokens, int cols);

  // Converts tokens [begin, end) of x (token t at x + t * stride) into a buffer for n_tokens.
  // begin is a multiple of kTileTokens; so is end, unless end == n_tokens. Several threads may
  // convert disjoint ranges into one buffer.
  void (*convert)(ActType type, const float* x, std::ptrdiff_t stride, int n_tokens, int begin,
                  int end, int cols, std::byte* buffer);

  // v = sum over k of weight[row, k] * x[t, k] (+ bias[row] when bias is not null);
  // out[t * out_stride + row] = v, or += v with accumulate; for all n_tokens and for the rows of
  // panels [panel_begin, panel_end). act is a whole converted buffer. Writes valid rows only.
  void (*matmul)(const PanelMatrix& weight, int panel_begin, int panel_end, const std::byte* act,
                 int n_tokens, float* out, std::ptrdiff_t out_stride, const float* bias,
                 bool accumulate);
};

// The kernels of an instruction set, whether or not the processor has it.
const MatmulKernels& matmul_kernels(Isa isa) noexcept;

namespace base {
extern const MatmulKernels kMatmul;
}
namespace avx2 {
extern const MatmulKernels kMatmul;
}
namespace avx512 {
extern const MatmulKernels kMatmul;
}

}  // namespace rbee::cpu
