#include "backend/cpu/kernels/pack.hpp"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/pack_words.hpp"
#include "backend/cpu/kernels/panel_layout.hpp"
#include "checkpoint/codebook_blocks.hpp"

namespace rbee::cpu {
namespace {

void put_half(std::uint8_t* dst, int row, const std::uint8_t* half) {
  std::memcpy(dst + 2 * row, half, 2);
}

void put_columns(std::uint8_t* dst, int row, const std::uint8_t* values, int count) {
  for (int i = 0; i < count; i += 4) store_u32(dst + 16 * i + 4 * row, load_u32(values + i));
}

template <int halves>
void pack_q4(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int i = 0; i < halves; ++i) put_half(dst + 32 * i, row, src + 2 * i);
  put_nibbles(dst + 32 * halves, row, split_nibbles(src + 2 * halves));
}

template <int halves>
void pack_q5(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int i = 0; i < halves; ++i) put_half(dst + 32 * i, row, src + 2 * i);
  src += 2 * halves;
  put_bit_plane(dst + 32 * halves, row, split_bits(src), 0);
  put_nibbles(dst + 32 * halves + 64, row, split_nibbles(src + 4));
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
    const Codes codes = load_codes(src + 16 + 32 * (s / 4));
    put_crumbs(dst + 320 + 128 * s, row, codes, 2 * (s % 4));
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
    put_crumbs(dst + 288 + 192 * s, row, load_codes(src + 32 + 32 * (s / 4)), 2 * (s % 4));
    put_bit_plane(dst + 288 + 192 * s + 128, row, load_codes(src), s);
  }
}

// Scales and minima of Q4_K and Q5_K: 8 of 6 bits each in 12 bytes, split anew into 4 + 2 bits.
void pack_scales_k(const std::uint8_t* packed, std::uint8_t* dst, int row) {
  const std::uint32_t scales = load_u32(packed);  // 0..3; above them bits 4, 5 of 4..7
  const std::uint32_t mins = load_u32(packed + 4);
  const std::uint32_t rest = load_u32(packed + 8);  // bits 0..3 of scales and minima 4..7
  constexpr std::uint32_t kLow = 0x0F0F0F0FU, kTwo = 0x03030303U;
  std::uint8_t* word = dst + 4 * row;
  store_u32(word, (scales & kLow) | (mins & kLow) << 4);
  store_u32(word + 64, rest);
  store_u32(word + 128, (scales >> 4 & kTwo) | (mins >> 4 & kTwo) << 2 | (scales >> 6 & kTwo) << 4 |
                            (mins >> 6 & kTwo) << 6);
}

void pack_q4_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src);
  put_half(dst + 32, row, src + 2);
  pack_scales_k(src + 4, dst + 64, row);
  for (int s = 0; s < 8; ++s) {
    const Codes pairs = load_codes(src + 16 + 32 * (s / 2));
    put_nibbles(dst + 256 + 256 * s, row, bits_of(pairs, 4 * (s % 2), 15));
  }
}

void pack_q5_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src);
  put_half(dst + 32, row, src + 2);
  pack_scales_k(src + 4, dst + 64, row);
  for (int s = 0; s < 8; ++s) {
    const Codes pairs = load_codes(src + 48 + 32 * (s / 2));
    put_bit_plane(dst + 256 + 320 * s, row, load_codes(src + 16), s);
    put_nibbles(dst + 256 + 320 * s + 64, row, bits_of(pairs, 4 * (s % 2), 15));
  }
}

void pack_q6_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_half(dst, row, src + 208);
  put_columns(dst + 32, row, src + 192, 16);
  for (int s = 0; s < 8; ++s) {
    const Codes low = load_codes(src + 64 * (s / 4) + 32 * (s % 2));
    const Codes high = load_codes(src + 128 + 32 * (s / 4));
    put_nibbles(dst + 288 + 384 * s, row, bits_of(low, 4 * (s % 4 / 2), 15));
    put_crumbs(dst + 288 + 384 * s + 256, row, high, 2 * (s % 4));
  }
}

void pack_q8_k(const std::uint8_t* src, std::uint8_t* dst, int row) {
  std::memcpy(dst + 4 * row, src, 4);
  for (int s = 0; s < 8; ++s) put_bytes(dst + 64 + 512 * s, row, src + 4 + 32 * s);
}

void pack_mxfp4(const std::uint8_t* src, std::uint8_t* dst, int row) {
  dst[row] = src[0];
  put_nibbles(dst + 16, row, split_nibbles(src + 1));
}

// The sign of a scale does not count, and 0x7F stands for zero.
void pack_nvfp4(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 4; ++s) {
    std::uint8_t* part = dst + 288 * (s / 2);
    part[16 * (s % 2) + row] = src[s] == 0x7F ? 0 : src[s] & 0x7F;
  }
  for (int b = 0; b < 2; ++b) {
    std::uint8_t codes[32];
    for (int i = 0; i < 32; ++i) {
      const std::uint8_t byte = src[4 + 16 * b + i / 16 * 8 + i % 8];
      codes[i] = i % 16 < 8 ? byte & 15 : static_cast<std::uint8_t>(byte >> 4);
    }
    put_nibbles(dst + 288 * b + 32, row, load_codes(codes));
  }
}

// Types of 256 indices into a table, with a scale for each 32 or 16 of them.
template <PanelType panel>
void pack_codebook(const std::uint8_t* src, std::uint8_t* dst, int row) {
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
    const Codes codes = load_codes(block.codes + 32 * s);
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
    std::uint8_t codes[32];
    for (int i = 0; i < 32; ++i) {
      // Five digits a byte of 32 bytes, then of 16, then four digits of 4.
      const int k = 32 * s + i;
      const int byte = k < 160 ? k % 32 : k < 240 ? 32 + k % 16 : 48 + k % 4;
      const int digit = k < 160 ? k / 32 : k < 240 ? (k - 160) / 16 : (k - 240) / 4;
      codes[i] = static_cast<std::uint8_t>((src[byte] * kPowers[digit] & 255) * 3 >> 8);
    }
    put_scaled_crumbs(dst + 160 * s, row, src + 52, load_codes(codes));
  }
}

void pack_tq2_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 8; ++s) {
    const Codes codes = load_codes(src + 32 * (s / 4));
    put_scaled_crumbs(dst + 160 * s, row, src + 64, bits_of(codes, 2 * (s % 4), 3));
  }
}

void pack_q2_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 2; ++s) {
    std::uint8_t codes[32];
    for (int i = 0; i < 32; ++i) codes[i] = (src[2 + 8 * s + i / 4] >> 2 * (i % 4)) & 3;
    put_scaled_crumbs(dst + 160 * s, row, src, load_codes(codes));
  }
}

void pack_q1_0(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int s = 0; s < 4; ++s) {
    put_half(dst + 96 * s, row, src);
    put_bit_plane(dst + 96 * s + 32, row, split_bits(src + 2 + 4 * s), 0);
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
  put_float(dst, row, src);
  put_float(dst + 64, row, src + 4);
  put_nibbles(dst + 128, row, split_nibbles(src + 8));
}

void pack_int8(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_float(dst, row, src);
  put_float(dst + 64, row, src + 4);
  put_bytes(dst + 128, row, src + 8);
}

void pack_pairs(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_float(dst, row, src);
  // k and k + 16 share a byte in the file, k and k + 1 in the panel.
  src += 4;
  for (int i = 0; i < 8; ++i) {
    const int first = src[2 * i], second = src[2 * i + 1];
    std::uint8_t* out = dst + 64 + kPanelRows * i + row;
    out[0] = static_cast<std::uint8_t>((first & 15) | second << 4);
    out[8 * kPanelRows] = static_cast<std::uint8_t>(first >> 4 | (second & 0xF0));
  }
}

// f32 and pairs of bf16: four bytes a block.
void pack_word(const std::uint8_t* src, std::uint8_t* dst, int row) {
  std::memcpy(dst + 4 * row, src, 4);
}
void pack_four_words(const std::uint8_t* src, std::uint8_t* dst, int row) {
  put_words(dst, row, load_16(src));
}

void pack_f16(const std::uint8_t* src, std::uint8_t* dst, int row) { put_half(dst, row, src); }
void pack_eight_halves(const std::uint8_t* src, std::uint8_t* dst, int row) {
  for (int i = 0; i < 8; ++i) put_half(dst + 32 * i, row, src + 2 * i);
}

// As many rows are more streams than processors follow for themselves.
constexpr std::size_t kAhead = 512;

// The rows of one panel, of which there may be fewer than kPanelRows.
struct PanelRows {
  const std::uint8_t* src;
  std::size_t row_bytes;
  int count;
  std::uint8_t* dst;
};

// Blocks [begin, end) of each row, `at_once` of which one call of pack_block packs.
template <auto pack_block, int at_once = 1>
void pack_blocks(const PanelRows& rows, const BlockLayout& layout, int begin, int end) {
  const std::uint8_t* src = rows.src + static_cast<std::size_t>(begin) * layout.file_bytes;
  std::uint8_t* dst = rows.dst + static_cast<std::size_t>(begin) * layout.panel_bytes;
  for (int b = begin; b < end; b += at_once) {
    const std::uint8_t* block = src;
    for (int row = 0; row < rows.count; ++row, block += rows.row_bytes) {
      __builtin_prefetch(block + kAhead);
      pack_block(block, dst, row);
    }
    src += at_once * layout.file_bytes;
    dst += at_once * layout.panel_bytes;
  }
}

// Plain numbers: several at once, then one by one.
template <auto pack_several, int at_once, auto pack_one>
void pack_plain(const PanelRows& rows, const BlockLayout& layout, int blocks) {
  const int several = blocks / at_once * at_once;
  pack_blocks<pack_several, at_once>(rows, layout, 0, several);
  pack_blocks<pack_one>(rows, layout, several, blocks);
}

void pack_rows(PanelType type, const PanelRows& rows, const BlockLayout& layout, int blocks) {
  switch (type) {
    case PanelType::f32:
    case PanelType::bf16:
      return pack_plain<pack_four_words, 4, pack_word>(rows, layout, blocks);
    case PanelType::f16:
      return pack_plain<pack_eight_halves, 8, pack_f16>(rows, layout, blocks);
    case PanelType::q4_0:
      return pack_blocks<pack_q4<1>>(rows, layout, 0, blocks);
    case PanelType::q4_1:
      return pack_blocks<pack_q4<2>>(rows, layout, 0, blocks);
    case PanelType::q5_0:
      return pack_blocks<pack_q5<1>>(rows, layout, 0, blocks);
    case PanelType::q5_1:
      return pack_blocks<pack_q5<2>>(rows, layout, 0, blocks);
    case PanelType::q8_0:
      return pack_blocks<pack_q8_0>(rows, layout, 0, blocks);
    case PanelType::q2_k:
      return pack_blocks<pack_q2_k>(rows, layout, 0, blocks);
    case PanelType::q3_k:
      return pack_blocks<pack_q3_k>(rows, layout, 0, blocks);
    case PanelType::q4_k:
      return pack_blocks<pack_q4_k>(rows, layout, 0, blocks);
    case PanelType::q5_k:
      return pack_blocks<pack_q5_k>(rows, layout, 0, blocks);
    case PanelType::q6_k:
      return pack_blocks<pack_q6_k>(rows, layout, 0, blocks);
    case PanelType::q8_k:
      return pack_blocks<pack_q8_k>(rows, layout, 0, blocks);
    case PanelType::mxfp4:
      return pack_blocks<pack_mxfp4>(rows, layout, 0, blocks);
    case PanelType::iq4_nl:
      return pack_blocks<pack_q4<1>>(rows, layout, 0, blocks);
    case PanelType::nvfp4:
      return pack_blocks<pack_nvfp4>(rows, layout, 0, blocks);
    case PanelType::tq1_0:
      return pack_blocks<pack_tq1_0>(rows, layout, 0, blocks);
    case PanelType::tq2_0:
      return pack_blocks<pack_tq2_0>(rows, layout, 0, blocks);
    case PanelType::q1_0:
      return pack_blocks<pack_q1_0>(rows, layout, 0, blocks);
    case PanelType::q2_0:
      return pack_blocks<pack_q2_0>(rows, layout, 0, blocks);
    case PanelType::f8_e4m3:
      return pack_blocks<pack_f8>(rows, layout, 0, blocks);
    case PanelType::int4:
      return pack_blocks<pack_int4>(rows, layout, 0, blocks);
    case PanelType::int8:
      return pack_blocks<pack_int8>(rows, layout, 0, blocks);
    case PanelType::iq4_xs:
      return pack_blocks<pack_codebook<PanelType::iq4_xs>>(rows, layout, 0, blocks);
    case PanelType::iq3_xxs:
      return pack_blocks<pack_codebook<PanelType::iq3_xxs>>(rows, layout, 0, blocks);
    case PanelType::iq3_s:
      return pack_blocks<pack_codebook<PanelType::iq3_s>>(rows, layout, 0, blocks);
    case PanelType::iq2_xxs:
      return pack_blocks<pack_codebook<PanelType::iq2_xxs>>(rows, layout, 0, blocks);
    case PanelType::iq2_xs:
      return pack_blocks<pack_codebook<PanelType::iq2_xs>>(rows, layout, 0, blocks);
    case PanelType::iq2_s:
      return pack_blocks<pack_codebook<PanelType::iq2_s>>(rows, layout, 0, blocks);
    case PanelType::iq1_s:
      return pack_blocks<pack_codebook<PanelType::iq1_s>>(rows, layout, 0, blocks);
    case PanelType::iq1_m:
      return pack_blocks<pack_codebook<PanelType::iq1_m>>(rows, layout, 0, blocks);
    case PanelType::nf4:
    case PanelType::fp4:
      return pack_blocks<pack_pairs>(rows, layout, 0, blocks);
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
    pack_rows(type, {src, row_bytes, count, out}, layout, blocks);
    out += static_cast<std::size_t>(blocks) * layout.panel_bytes;
    if (cols % layout.values != 0) {  // bf16 only
      for (int row = 0; row < count; ++row) {
        std::memcpy(out + 4 * row, src + static_cast<std::size_t>(row + 1) * row_bytes - 2, 2);
      }
    }
  }
}

PanelMatrix from_panel(const PanelMatrix& matrix, int panel) noexcept {
  const std::size_t bytes =
      matrix.in_file ? kPanelRows * file_row_bytes(matrix.type, matrix.cols) : matrix.panel_bytes;
  PanelMatrix rest = matrix;
  rest.data += static_cast<std::size_t>(panel) * bytes;
  rest.rows -= panel * kPanelRows;
  return rest;
}

PanelMatrix packed_part(const PanelMatrix& matrix, int begin, int end,
                        std::byte* scratch) noexcept {
  PanelMatrix part = from_panel(matrix, begin);
  part.rows = std::min(part.rows, (end - begin) * kPanelRows);
  pack_panels(part.type, part.data, part.rows, part.cols, 0, end - begin, scratch);
  part.data = scratch;
  part.in_file = false;
  return part;
}

}  // namespace rbee::cpu
