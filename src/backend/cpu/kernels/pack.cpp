#include "backend/cpu/kernels/pack.hpp"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/panel_layout.hpp"
#include "checkpoint/codebook_blocks.hpp"

namespace rbee::cpu {
namespace {

using Codes = std::uint8_t[32];  // one value of a row each, in the order of k

// Four codes at a time: byte j of the words below belongs to k = 4g + j.
void put_nibbles(std::uint8_t* dst, int row, const Codes& codes) {
  for (int h = 0; h < 4; ++h) {
    const std::uint32_t low = load_u32(codes + 8 * h) & 0x0F0F0F0FU;
    const std::uint32_t high = load_u32(codes + 8 * h + 4) & 0x0F0F0F0FU;
    store_u32(dst + 64 * h + 4 * row, low | high << 4);
  }
}

void put_bit_plane(std::uint8_t* dst, int row, const Codes& codes, int bit) {
  std::uint32_t plane = 0;
  for (int g = 0; g < 8; ++g) plane |= ((load_u32(codes + 4 * g) >> bit) & 0x01010101U) << g;
  store_u32(dst + 4 * row, plane);
}

void put_crumbs(std::uint8_t* dst, int row, const Codes& codes, int bit) {
  for (int s = 0; s < 2; ++s) {
    std::uint32_t word = 0;
    for (int g = 0; g < 4; ++g) {
      word |= ((load_u32(codes + 16 * s + 4 * g) >> bit) & 0x03030303U) << 2 * g;
    }
    store_u32(dst + 64 * s + 4 * row, word);
  }
}

void put_bytes(std::uint8_t* dst, int row, const std::uint8_t* values) {
  for (int g = 0; g < 8; ++g) {
    store_u32(dst + 64 * g + 4 * row, load_u32(values + 4 * g) ^ 0x80808080U);
  }
}

void put_half(std::uint8_t* dst, int row, const std::uint8_t* half) {
  std::memcpy(dst + 2 * row, half, 2);
}

void put_columns(std::uint8_t* dst, int row, const std::uint8_t* values, int count) {
  for (int i = 0; i < count; i += 4) store_u32(dst + 16 * i + 4 * row, load_u32(values + i));
}

// Q4_0 to Q5_1 keep k = 0..15 in the low and 16..31 in the high nibbles of 16 bytes.
void split_nibbles(const std::uint8_t* bytes, Codes& codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = bytes[i] & 15;
    codes[16 + i] = static_cast<std::uint8_t>(bytes[i] >> 4);
  }
}

void add_bits(const std::uint8_t* bits, Codes& codes) {
  const std::uint32_t word = load_u32(bits);
  for (int i = 0; i < 32; ++i) {
    codes[i] = static_cast<std::uint8_t>(codes[i] | ((word >> i) & 1) << 4);
  }
}

void pack_q4(const std::uint8_t* src, std::uint8_t* dst, int row, int halves) {
  Codes codes;
  for (int i = 0; i < halves; ++i) put_half(dst + 32 * i, row, src + 2 * i);
  split_nibbles(src + 2 * halves, codes);
  put_nibbles(dst + 32 * halves, row, codes);
}

void pack_q5(const std::uint8_t* src, std::uint8_t* dst, int row, int halves) {
  Codes codes;
  for (int i = 0; i < halves; ++i) put_half(dst + 32 * i, row, src + 2 * i);
  split_nibbles(src + 2 * halves + 4, codes);
  add_bits(src + 2 * halves, codes);
  put_bit_plane(dst + 32 * halves, row, codes, 4);
  put_nibbles(dst + 32 * halves + 64, row, codes);
}

void pack_q8_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src);
  put_bytes(dst + 32, row, src + 2);
}

void pack_q2_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src + 80);
  put_half(dst + 32, row, src + 82);
  put_columns(dst + 64, row, src, 16);
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    const std::uint8_t* bytes = src + 16 + 32 * (s / 4);
    for (int i = 0; i < 32; ++i) codes[i] = (bytes[i] >> 2 * (s % 4)) & 3;
    put_crumbs(dst + 320 + 128 * s, row, codes, 0);
  }
}

void pack_q3_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  const std::uint8_t* packed = src + 96;  // 16 scales of 6 bits, offset 32
  std::uint8_t scales[16];
  for (int i = 0; i < 16; ++i) {
    const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
    const int high = (packed[8 + i % 4] >> 2 * (i / 4)) & 3;
    scales[i] = static_cast<std::uint8_t>((low | high << 4) - 32);
  }
  put_half(dst, row, src + 108);
  put_columns(dst + 32, row, scales, 16);
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    const std::uint8_t* bytes = src + 32 + 32 * (s / 4);
    for (int i = 0; i < 32; ++i) {
      codes[i] =
          static_cast<std::uint8_t>(((bytes[i] >> 2 * (s % 4)) & 3) | ((src[i] >> s) & 1) << 2);
    }
    put_crumbs(dst + 288 + 192 * s, row, codes, 0);
    put_bit_plane(dst + 288 + 192 * s + 128, row, codes, 2);
  }
}

// Scales and minima of Q4_K and Q5_K: 8 of 6 bits each in 12 bytes, split anew into 4 + 2 bits.
void pack_scales_k(const std::uint8_t* packed, std::uint8_t* dst, int row) {
  std::uint8_t low[8];
  std::uint8_t high[4] = {};
  for (int i = 0; i < 8; ++i) {
    int scale = packed[i] & 63;
    int min = packed[i + 4] & 63;
    if (i >= 4) {
      scale = (packed[i + 4] & 15) | packed[i - 4] >> 6 << 4;
      min = packed[i + 4] >> 4 | packed[i] >> 6 << 4;
    }
    low[i] = static_cast<std::uint8_t>((scale & 15) | (min & 15) << 4);
    const int bits = (scale >> 4 | min >> 4 << 2) << (i < 4 ? 0 : 4);
    high[i % 4] = static_cast<std::uint8_t>(high[i % 4] | bits);
  }
  put_columns(dst, row, low, 8);
  put_columns(dst + 128, row, high, 4);
}

void pack_q4_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src);
  put_half(dst + 32, row, src + 2);
  pack_scales_k(src + 4, dst + 64, row);
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    const std::uint8_t* bytes = src + 16 + 32 * (s / 2);
    for (int i = 0; i < 32; ++i) codes[i] = (bytes[i] >> 4 * (s % 2)) & 15;
    put_nibbles(dst + 256 + 256 * s, row, codes);
  }
}

void pack_q5_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src);
  put_half(dst + 32, row, src + 2);
  pack_scales_k(src + 4, dst + 64, row);
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    const std::uint8_t* bytes = src + 48 + 32 * (s / 2);
    for (int i = 0; i < 32; ++i) {
      codes[i] = static_cast<std::uint8_t>(((bytes[i] >> 4 * (s % 2)) & 15) |
                                           ((src[16 + i] >> s) & 1) << 4);
    }
    put_bit_plane(dst + 256 + 320 * s, row, codes, 4);
    put_nibbles(dst + 256 + 320 * s + 64, row, codes);
  }
}

void pack_q6_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src + 208);
  put_columns(dst + 32, row, src + 192, 16);
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    const std::uint8_t* low = src + 64 * (s / 4) + 32 * (s % 2);
    const std::uint8_t* high = src + 128 + 32 * (s / 4);
    for (int i = 0; i < 32; ++i) {
      codes[i] = static_cast<std::uint8_t>(((low[i] >> 4 * (s % 4 / 2)) & 15) |
                                           ((high[i] >> 2 * (s % 4)) & 3) << 4);
    }
    put_nibbles(dst + 288 + 384 * s, row, codes);
    put_crumbs(dst + 288 + 384 * s + 256, row, codes, 4);
  }
}

void pack_q8_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  std::memcpy(dst + 4 * row, src, 4);
  for (int s = 0; s < 8; ++s) put_bytes(dst + 64 + 512 * s, row, src + 4 + 32 * s);
}

void pack_mxfp4(const std::uint8_t* src, std::uint8_t* dst, int row) {
  Codes codes;
  dst[row] = src[0];
  split_nibbles(src + 1, codes);
  put_nibbles(dst + 16, row, codes);
}

// The sign of a scale does not count, and 0x7F stands for zero.
void pack_nvfp4(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 4; ++s) {
    std::uint8_t* part = dst + 288 * (s / 2);
    part[16 * (s % 2) + row] = src[s] == 0x7F ? 0 : src[s] & 0x7F;
  }
  for (int b = 0; b < 2; ++b) {
    Codes codes;
    for (int i = 0; i < 32; ++i) {
      const std::uint8_t byte = src[4 + 16 * b + i / 16 * 8 + i % 8];
      codes[i] = i % 16 < 8 ? byte & 15 : static_cast<std::uint8_t>(byte >> 4);
    }
    put_nibbles(dst + 288 * b + 32, row, codes);
  }
}

// Types of 256 indices into a table, with a scale for each 32 or 16 of them.
void pack_codebook(PanelType panel, const std::uint8_t* src, std::uint8_t* dst, int row) {
  const auto type = static_cast<DType>(panel);
  const CodebookBlock block = read_codebook_block(type, reinterpret_cast<const std::byte*>(src));
  const int n_scales = codebook_scales(panel);
  const bool nibbles = codebook(type).bits == 4;
  std::uint8_t scales[16];
  for (int s = 0; s < n_scales; ++s) {
    scales[s] = static_cast<std::uint8_t>(block.scales[s * 16 / n_scales]);
  }
  std::memcpy(dst + 2 * row, &block.d, 2);
  put_columns(dst + 32, row, scales, n_scales);
  dst += 32 + 16 * n_scales;
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    std::memcpy(codes, block.codes + 32 * s, sizeof codes);
    if (nibbles) {
      put_nibbles(dst + 256 * s, row, codes);
    } else {
      put_crumbs(dst + 192 * s, row, codes, 0);
      put_bit_plane(dst + 192 * s + 128, row, codes, 2);
    }
  }
}

// Types of one scale and two bits a code go into blocks of 32: 160 bytes of a panel each.
void put_scaled_crumbs(std::uint8_t* dst, int row, const std::uint8_t* half, const Codes& codes) {
  put_half(dst, row, half);
  put_crumbs(dst + 32, row, codes, 0);
}

void pack_tq1_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  static constexpr int kPowers[] = {1, 3, 9, 27, 81};
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    for (int i = 0; i < 32; ++i) {
      // Five digits a byte of 32 bytes, then of 16, then four digits of 4.
      const int k = 32 * s + i;
      const int byte = k < 160 ? k % 32 : k < 240 ? 32 + k % 16 : 48 + k % 4;
      const int digit = k < 160 ? k / 32 : k < 240 ? (k - 160) / 16 : (k - 240) / 4;
      codes[i] = static_cast<std::uint8_t>((src[byte] * kPowers[digit] & 255) * 3 >> 8);
    }
    put_scaled_crumbs(dst + 160 * s, row, src + 52, codes);
  }
}

void pack_tq2_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    for (int i = 0; i < 32; ++i) codes[i] = (src[32 * (s / 4) + i] >> 2 * (s % 4)) & 3;
    put_scaled_crumbs(dst + 160 * s, row, src + 64, codes);
  }
}

void pack_q2_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 2; ++s) {
    Codes codes;
    for (int i = 0; i < 32; ++i) codes[i] = (src[2 + 8 * s + i / 4] >> 2 * (i % 4)) & 3;
    put_scaled_crumbs(dst + 160 * s, row, src, codes);
  }
}

void pack_q1_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 4; ++s) {
    Codes codes;
    for (int i = 0; i < 32; ++i) codes[i] = (src[2 + 4 * s + i / 8] >> i % 8) & 1;
    put_half(dst + 96 * s, row, src);
    put_bit_plane(dst + 96 * s + 32, row, codes, 0);
  }
}

void put_float(std::uint8_t* dst, int row, const std::uint8_t* value) {
  std::memcpy(dst + 4 * row, value, 4);
}

void pack_f8(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_float(dst, row, src);
  for (int k = 0; k < 32; ++k) dst[64 + kPanelRows * k + row] = src[4 + k];
}

void pack_int4(const std::uint8_t* src, std::uint8_t* dst, int row) {
  Codes codes;
  put_float(dst, row, src);
  put_float(dst + 64, row, src + 4);
  split_nibbles(src + 8, codes);
  put_nibbles(dst + 128, row, codes);
}

void pack_int8(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_float(dst, row, src);
  put_float(dst + 64, row, src + 4);
  put_bytes(dst + 128, row, src + 8);
}

void pack_pairs(const std::uint8_t* src, std::uint8_t* dst, int row) {
  Codes codes;
  put_float(dst, row, src);
  split_nibbles(src + 4, codes);
  for (int i = 0; i < 16; ++i) {
    dst[64 + kPanelRows * i + row] =
        static_cast<std::uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4);
  }
}

void pack_block(PanelType type, const std::uint8_t* src, std::uint8_t* dst, int row) {
  switch (type) {
    case PanelType::f32:
    case PanelType::bf16:
      std::memcpy(dst + 4 * row, src, 4);
      break;
    case PanelType::f16:
      put_half(dst, row, src);
      break;
    case PanelType::q4_0:
      pack_q4(src, dst, row, 1);
      break;
    case PanelType::q4_1:
      pack_q4(src, dst, row, 2);
      break;
    case PanelType::q5_0:
      pack_q5(src, dst, row, 1);
      break;
    case PanelType::q5_1:
      pack_q5(src, dst, row, 2);
      break;
    case PanelType::q8_0:
      pack_q8_0(src, dst, row);
      break;
    case PanelType::q2_k:
      pack_q2_k(src, dst, row);
      break;
    case PanelType::q3_k:
      pack_q3_k(src, dst, row);
      break;
    case PanelType::q4_k:
      pack_q4_k(src, dst, row);
      break;
    case PanelType::q5_k:
      pack_q5_k(src, dst, row);
      break;
    case PanelType::q6_k:
      pack_q6_k(src, dst, row);
      break;
    case PanelType::q8_k:
      pack_q8_k(src, dst, row);
      break;
    case PanelType::mxfp4:
      pack_mxfp4(src, dst, row);
      break;
    case PanelType::iq4_nl:
      pack_q4(src, dst, row, 1);
      break;
    case PanelType::nvfp4:
      pack_nvfp4(src, dst, row);
      break;
    case PanelType::iq4_xs:
    case PanelType::iq3_xxs:
    case PanelType::iq3_s:
    case PanelType::iq2_xxs:
    case PanelType::iq2_xs:
    case PanelType::iq2_s:
    case PanelType::iq1_s:
    case PanelType::iq1_m:
      pack_codebook(type, src, dst, row);
      break;
    case PanelType::tq1_0:
      pack_tq1_0(src, dst, row);
      break;
    case PanelType::tq2_0:
      pack_tq2_0(src, dst, row);
      break;
    case PanelType::q1_0:
      pack_q1_0(src, dst, row);
      break;
    case PanelType::q2_0:
      pack_q2_0(src, dst, row);
      break;
    case PanelType::f8_e4m3:
      pack_f8(src, dst, row);
      break;
    case PanelType::int4:
      pack_int4(src, dst, row);
      break;
    case PanelType::int8:
      pack_int8(src, dst, row);
      break;
    case PanelType::nf4:
    case PanelType::fp4:
      pack_pairs(src, dst, row);
      break;
  }
}

}  // namespace

int panel_count(int rows) noexcept { return (rows + kPanelRows - 1) / kPanelRows; }

std::size_t panel_bytes(PanelType type, int cols) noexcept {
  const BlockLayout& layout = block_layout(type);
  const int blocks = (cols + layout.values - 1) / layout.values;
  return (static_cast<std::size_t>(blocks) * layout.panel_bytes + 63) / 64 * 64;
}

std::size_t file_row_bytes(PanelType type, int cols) noexcept {
  const BlockLayout& layout = block_layout(type);
  return static_cast<std::size_t>(cols) * layout.file_bytes /
         static_cast<std::size_t>(layout.values);
}

void pack_panels(PanelType type, const std::byte* file_rows, int rows, int cols, int panel_begin,
                 int panel_end, std::byte* dst) noexcept {
  const BlockLayout& layout = block_layout(type);
  const std::size_t row_bytes = file_row_bytes(type, cols);
  const std::size_t bytes = panel_bytes(type, cols);
  const int blocks = cols / layout.values;
  for (int panel = panel_begin; panel < panel_end; ++panel) {
    const int first = panel * kPanelRows;
    const int count = std::min(kPanelRows, rows - first);
    const auto* src = reinterpret_cast<const std::uint8_t*>(file_rows) +
                      static_cast<std::size_t>(first) * row_bytes;
    auto* out = reinterpret_cast<std::uint8_t*>(dst) + static_cast<std::size_t>(panel) * bytes;
    // Bytes that no row writes: missing rows, an unpaired last column, padding.
    if (count < kPanelRows || static_cast<std::size_t>(blocks) * layout.panel_bytes != bytes) {
      std::memset(out, 0, bytes);
    }
    for (int b = 0; b < blocks; ++b) {
      const std::uint8_t* block = src + static_cast<std::size_t>(b) * layout.file_bytes;
      for (int row = 0; row < count; ++row, block += row_bytes) {
        pack_block(type, block, out, row);
      }
      out += layout.panel_bytes;
    }
    if (cols % layout.values != 0) {  // bf16 only
      for (int row = 0; row < count; ++row) {
        std::memcpy(out + 4 * row, src + static_cast<std::size_t>(row + 1) * row_bytes - 2, 2);
      }
    }
  }
}

}  // namespace rbee::cpu
