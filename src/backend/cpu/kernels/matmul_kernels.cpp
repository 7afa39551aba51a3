// The table of this instruction set and the walk over panels and token tiles.
#include "backend/cpu/kernels/matmul_tile.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

#if defined(RBEE_ISA_avx512)
constexpr ActType kWithBf16 = ActType::bf16;
#else
constexpr ActType kWithBf16 = ActType::f32;
#endif

ActType act_type(PanelType type) {
  if (type == PanelType::bf16) return kWithBf16;
  const bool exact = type < PanelType::bf16 || type == PanelType::f8_e4m3 ||
                     type == PanelType::nf4 || type == PanelType::fp4;
  return exact ? ActType::f32 : ActType::q8;
}

const TileKernels& tile_kernels(PanelType type) {
  switch (type) {
    case PanelType::f32:
      break;
    case PanelType::f16:
      return kTilesF16;
    case PanelType::bf16:
      return kTilesBf16;
    case PanelType::q4_0:
      return kTilesQ40;
    case PanelType::q4_1:
      return kTilesQ41;
    case PanelType::q5_0:
      return kTilesQ50;
    case PanelType::q5_1:
      return kTilesQ51;
    case PanelType::q8_0:
      return kTilesQ80;
    case PanelType::q2_k:
      return kTilesQ2K;
    case PanelType::q3_k:
      return kTilesQ3K;
    case PanelType::q4_k:
      return kTilesQ4K;
    case PanelType::q5_k:
      return kTilesQ5K;
    case PanelType::q6_k:
      return kTilesQ6K;
    case PanelType::q8_k:
      return kTilesQ8K;
    case PanelType::mxfp4:
      return kTilesMxfp4;
    case PanelType::iq4_nl:
      return kTilesIq4Nl;
    case PanelType::iq4_xs:
      return kTilesIq4Xs;
    case PanelType::nvfp4:
      return kTilesNvfp4;
    case PanelType::iq3_xxs:
      return kTilesIq3Xxs;
    case PanelType::iq3_s:
      return kTilesIq3S;
    case PanelType::iq2_xxs:
      return kTilesIq2Xxs;
    case PanelType::iq2_xs:
    case PanelType::iq2_s:
      return kTilesIq2S;
    case PanelType::iq1_s:
      return kTilesIq1S;
    case PanelType::iq1_m:
      return kTilesIq1M;
    case PanelType::tq1_0:
    case PanelType::tq2_0:
    case PanelType::q2_0:
      return kTilesQ20;
    case PanelType::q1_0:
      return kTilesQ10;
    case PanelType::f8_e4m3:
      return kTilesF8;
    case PanelType::int4:
      return kTilesInt4;
    case PanelType::int8:
      return kTilesInt8;
    case PanelType::nf4:
      return kTilesNf4;
    case PanelType::fp4:
      return kTilesFp4;
  }
  return kTilesF32;
}

// Panels walked together with each tile. Quantised types have enough to do with one.
int panels_at_once(PanelType type, int n_tokens) {
  if (act_type(type) == ActType::q8) return 1;
  return n_tokens <= 4 ? 4 : 2;
}

// Panels outside, tiles inside: panels come from memory once and stay in cache for all tiles.
void matmul(const PanelMatrix& weight, int panel_begin, int panel_end, const std::byte* act,
            int n_tokens, float* out, std::ptrdiff_t out_stride, const float* bias,
            bool accumulate) {
  const TileKernels& kernels = tile_kernels(weight.type);
  const std::size_t token_bytes = act_bytes(act_type(weight.type), 1, weight.cols);
  const int step = panels_at_once(weight.type, n_tokens);
  for (int panel = panel_begin; panel < panel_end; panel += step) {
    const int row = panel * kPanelRows;
    const int n_panels = panel_end - panel < step ? panel_end - panel : step;
    const int rows = weight.rows - row;
    TileArgs args{.panels = weight.data + static_cast<std::size_t>(panel) * weight.panel_bytes,
                  .panel_bytes = weight.panel_bytes,
                  .n_panels = n_panels,
                  .cols = weight.cols,
                  .tile = act,
                  .out = out + row,
                  .out_stride = out_stride,
                  .bias = bias != nullptr ? bias + row : nullptr,
                  .scale = weight.scale,
                  .rows = rows,
                  .accumulate = accumulate};
    for (int t = 0; t < n_tokens; t += kTileTokens) {
      const int tokens = n_tokens - t < kTileTokens ? n_tokens - t : kTileTokens;
      kernels.by_tokens[tokens - 1](args);
      args.tile += kTileTokens * token_bytes;
      args.out += kTileTokens * out_stride;
    }
  }
}

}  // namespace

extern const MatmulKernels kMatmul{.isa = Isa::RBEE_ISA,
                                   .act_type = act_type,
                                   .act_bytes = act_bytes,
                                   .convert = convert,
                                   .matmul = matmul};

}  // namespace rbee::cpu::RBEE_ISA
