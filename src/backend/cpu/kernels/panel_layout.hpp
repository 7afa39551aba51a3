// Sizes of blocks in files and in panels, and the placement of codes within a panel (panel.hpp).
// Shared by packing and unpacking; not for kernels.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backend/cpu/kernels/panel.hpp"

namespace rbee::cpu {

struct BlockLayout {
  int values;               // k of a block
  std::size_t file_bytes;   // of one row
  std::size_t panel_bytes;  // of 16 rows
};

// By PanelType. bf16 is packed by pairs; an odd row of it has a last pair of one file value.
inline constexpr std::array<BlockLayout, kPanelTypes> kBlockLayouts{{
    {1, 4, 64},        // f32
    {1, 2, 32},        // f16
    {2, 4, 64},        // bf16
    {32, 18, 288},     // q4_0
    {32, 20, 320},     // q4_1
    {32, 22, 352},     // q5_0
    {32, 24, 384},     // q5_1
    {32, 34, 544},     // q8_0
    {256, 84, 1344},   // q2_k
    {256, 110, 1824},  // q3_k
    {256, 144, 2304},  // q4_k
    {256, 176, 2816},  // q5_k
    {256, 210, 3360},  // q6_k
    {256, 292, 4160},  // q8_k
    {32, 17, 272},     // mxfp4
    {32, 18, 288},     // iq4_nl
    {256, 136, 2208},  // iq4_xs
    {64, 36, 576},     // nvfp4
    {256, 66, 1696},   // iq2_xxs
    {256, 74, 1824},   // iq2_xs
    {256, 82, 1824},   // iq2_s
    {256, 98, 2208},   // iq3_xxs
    {256, 110, 2208},  // iq3_s
    {256, 50, 1696},   // iq1_s
    {256, 56, 1824},   // iq1_m
    {256, 54, 1280},   // tq1_0
    {256, 66, 1280},   // tq2_0
    {128, 18, 384},    // q1_0
    {64, 18, 320},     // q2_0
    {32, 36, 576},     // f8_e4m3
    {32, 24, 384},     // int4
    {32, 40, 640},     // int8
    {32, 20, 320},     // nf4
    {32, 20, 320},     // fp4
}};

inline const BlockLayout& block_layout(PanelType type) noexcept {
  return kBlockLayouts[static_cast<std::size_t>(type)];
}

// Signed scales of a block of the types iq4_xs to iq1_m.
inline int codebook_scales(PanelType type) noexcept {
  const bool each_16 =
      type == PanelType::iq2_xs || type == PanelType::iq2_s || type == PanelType::iq1_m;
  return each_16 ? 16 : 8;
}

inline std::uint32_t load_u32(const std::uint8_t* p) noexcept {
  std::uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store_u32(std::uint8_t* p, std::uint32_t v) noexcept { std::memcpy(p, &v, sizeof v); }

}  // namespace rbee::cpu
