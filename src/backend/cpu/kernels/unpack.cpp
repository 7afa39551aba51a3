#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "backend/cpu/kernels/pack.hpp"
#include "backend/cpu/kernels/panel_layout.hpp"
#include "checkpoint/codebook_blocks.hpp"
#include "checkpoint/codebooks.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/float8.hpp"

namespace rbee::cpu {
namespace {

using Codes = std::uint8_t[32];

void add_nibbles(const std::uint8_t* src, int row, Codes& codes) {
  for (int k = 0; k < 32; ++k) {
    const std::uint8_t byte = src[64 * (k / 8) + 4 * row + k % 4];
    codes[k] = k % 8 < 4 ? byte & 15 : static_cast<std::uint8_t>(byte >> 4);
  }
}

void add_bit_plane(const std::uint8_t* src, int row, int bit, Codes& codes) {
  for (int k = 0; k < 32; ++k) {
    const int value = (src[4 * row + k % 4] >> (k / 4)) & 1;
    codes[k] = static_cast<std::uint8_t>(codes[k] | value << bit);
  }
}

void add_crumbs(const std::uint8_t* src, int row, int bit, Codes& codes) {
  for (int k = 0; k < 32; ++k) {
    const int value = (src[64 * (k / 16) + 4 * row + k % 4] >> 2 * (k % 16 / 4)) & 3;
    codes[k] = static_cast<std::uint8_t>(codes[k] | value << bit);
  }
}

std::uint8_t column(const std::uint8_t* src, int row, int i) {
  return src[64 * (i / 4) + 4 * row + i % 4];
}

float half_at(const std::uint8_t* src, int row) {
  std::uint16_t h;
  std::memcpy(&h, src + 2 * row, sizeof h);
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16;
  const std::uint32_t exponent = (h >> 10) & 31U;
  const std::uint32_t mantissa = h & 1023U;
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -value : value;
  }
  const std::uint32_t bits = exponent == 31 ? 255U : exponent + 112U;
  return std::bit_cast<float>(sign | bits << 23 | mantissa << 13);
}

float float_at(const std::uint8_t* src, int row) {
  return std::bit_cast<float>(load_u32(src + 4 * row));
}

float bfloat_at(const std::uint8_t* src, int row, int k) {
  std::uint16_t h;
  std::memcpy(&h, src + 4 * row + 2 * k, sizeof h);
  return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16);
}

// Values are computed as the reference definitions of the types do, in f32.

void unpack_q4_0_to_q5_1(PanelType type, const std::uint8_t* src, int row, float* out) {
  Codes codes;
  const bool has_min = type == PanelType::q4_1 || type == PanelType::q5_1;
  const bool five = type == PanelType::q5_0 || type == PanelType::q5_1;
  const float d = half_at(src, row);
  const float m = has_min ? half_at(src + 32, row) : 0;
  const std::uint8_t* bytes = src + (has_min ? 64 : 32);
  add_nibbles(bytes + (five ? 64 : 0), row, codes);
  if (five) add_bit_plane(bytes, row, 4, codes);
  const int offset = has_min ? 0 : five ? 16 : 8;
  for (int k = 0; k < 32; ++k) {
    const float scaled = static_cast<float>(codes[k] - offset) * d;
    out[k] = has_min ? scaled + m : scaled;
  }
}

void unpack_bytes(const std::uint8_t* src, int row, float d, float* out) {
  for (int k = 0; k < 32; ++k) {
    const int value = src[64 * (k / 4) + 4 * row + k % 4] - 128;
    out[k] = static_cast<float>(value) * d;
  }
}

void unpack_q2_k(const std::uint8_t* src, int row, float* out) {
  const float d = half_at(src, row);
  const float dmin = half_at(src + 32, row);
  for (int s = 0; s < 8; ++s) {
    Codes codes = {};
    add_crumbs(src + 320 + 128 * s, row, 0, codes);
    for (int k = 0; k < 32; ++k) {
      const int scales = column(src + 64, row, 2 * s + k / 16);
      out[32 * s + k] = d * static_cast<float>(scales & 15) * static_cast<float>(codes[k]) -
                        dmin * static_cast<float>(scales >> 4);
    }
  }
}

void unpack_q3_k(const std::uint8_t* src, int row, float* out) {
  const float d = half_at(src, row);
  for (int s = 0; s < 8; ++s) {
    Codes codes = {};
    add_crumbs(src + 288 + 192 * s, row, 0, codes);
    add_bit_plane(src + 288 + 192 * s + 128, row, 2, codes);
    for (int k = 0; k < 32; ++k) {
      const auto scale = static_cast<std::int8_t>(column(src + 32, row, 2 * s + k / 16));
      out[32 * s + k] = d * static_cast<float>(scale) * static_cast<float>(codes[k] - 4);
    }
  }
}

void unpack_q4_k_q5_k(bool five, const std::uint8_t* src, int row, float* out) {
  const float d = half_at(src, row);
  const float dmin = half_at(src + 32, row);
  for (int s = 0; s < 8; ++s) {
    const int low = column(src + 64, row, s);
    const int high = column(src + 192, row, s % 4) >> (s < 4 ? 0 : 4);
    const float scale = d * static_cast<float>((low & 15) | (high & 3) << 4);
    const float min = dmin * static_cast<float>(low >> 4 | ((high >> 2) & 3) << 4);
    const std::uint8_t* block = src + 256 + (five ? 320 : 256) * s;
    Codes codes;
    add_nibbles(block + (five ? 64 : 0), row, codes);
    if (five) add_bit_plane(block, row, 4, codes);
    for (int k = 0; k < 32; ++k) out[32 * s + k] = scale * static_cast<float>(codes[k]) - min;
  }
}

void unpack_q6_k(const std::uint8_t* src, int row, float* out) {
  const float d = half_at(src, row);
  for (int s = 0; s < 8; ++s) {
    Codes codes;
    add_nibbles(src + 288 + 384 * s, row, codes);
    add_crumbs(src + 288 + 384 * s + 256, row, 4, codes);
    for (int k = 0; k < 32; ++k) {
      const auto scale = static_cast<std::int8_t>(column(src + 32, row, 2 * s + k / 16));
      out[32 * s + k] = d * static_cast<float>(scale) * static_cast<float>(codes[k] - 32);
    }
  }
}

// 32 indices into the table of a type, with one scale.
void unpack_indices(const Codes& codes, float scale, DType type, float* out) {
  for (int k = 0; k < 32; ++k) {
    out[k] = scale * static_cast<float>(codebook(type).values[codes[k]]);
  }
}

void unpack_scaled_nibbles(const std::uint8_t* src, int row, float scale, DType type, float* out) {
  Codes codes;
  add_nibbles(src, row, codes);
  unpack_indices(codes, scale, type, out);
}

void unpack_nvfp4(const std::uint8_t* src, int row, float* out) {
  for (int b = 0; b < 2; ++b, src += 288) {
    float values[32];
    unpack_scaled_nibbles(src + 32, row, 1, DType::nvfp4, values);
    for (int k = 0; k < 32; ++k) {
      const int scale = src[16 * (k / 16) + row];
      const int exponent = scale >> 3;
      const int fraction = exponent == 0 ? scale : (scale & 7) + 8;
      // Half of an E4M3 number.
      out[32 * b + k] =
          std::ldexp(static_cast<float>(fraction), std::max(exponent, 1) - 11) * values[k];
    }
  }
}

void unpack_codebook(PanelType panel, const std::uint8_t* src, int row, float* out) {
  const auto type = static_cast<DType>(panel);
  const float d = half_at(src, row) * codebook(type).unit;
  const int n_scales = codebook_scales(panel);
  const std::uint8_t* bytes = src + 32 + 16 * n_scales;
  for (int s = 0; s < 8; ++s) {
    Codes codes = {};
    if (codebook(type).bits == 4) {
      add_nibbles(bytes + 256 * s, row, codes);
    } else {
      add_crumbs(bytes + 192 * s, row, 0, codes);
      add_bit_plane(bytes + 192 * s + 128, row, 2, codes);
    }
    unpack_indices(codes, d, type, out + 32 * s);
    for (int k = 32 * s; k < 32 * s + 32; ++k) {
      const auto scale = static_cast<std::int8_t>(column(src + 32, row, k * n_scales / 256));
      out[k] *= static_cast<float>(scale);
    }
  }
}

// Blocks of 32 in two bits, or one, a code.
void unpack_scaled_crumbs(const std::uint8_t* src, int row, int blocks, float* out) {
  for (int s = 0; s < blocks; ++s, src += 160) {
    Codes codes = {};
    add_crumbs(src + 32, row, 0, codes);
    for (int k = 0; k < 32; ++k) {
      out[32 * s + k] = half_at(src, row) * static_cast<float>(codes[k] - 1);
    }
  }
}
void unpack_q1_0(const std::uint8_t* src, int row, float* out) {
  for (int s = 0; s < 4; ++s, src += 96) {
    Codes codes = {};
    add_bit_plane(src + 32, row, 0, codes);
    for (int k = 0; k < 32; ++k) {
      out[32 * s + k] = half_at(src, row) * static_cast<float>(2 * codes[k] - 1);
    }
  }
}

void unpack_f8(const std::uint8_t* src, int row, float* out) {
  const float d = float_at(src, row);
  for (int k = 0; k < 32; ++k) out[k] = d * e4m3_to_float(src[64 + kPanelRows * k + row]);
}

void unpack_int4(const std::uint8_t* src, int row, float* out) {
  Codes codes;
  add_nibbles(src + 128, row, codes);
  const float d = float_at(src, row);
  const float m = float_at(src + 64, row);
  for (int k = 0; k < 32; ++k) out[k] = d * static_cast<float>(codes[k] - 8) + m;
}

void unpack_int8(const std::uint8_t* src, int row, float* out) {
  unpack_bytes(src + 128, row, float_at(src, row), out);
  const float m = float_at(src + 64, row);
  for (int k = 0; k < 32; ++k) out[k] += m;
}

void unpack_pairs(const std::array<float, 16>& table, const std::uint8_t* src, int row,
                  float* out) {
  const float d = float_at(src, row);
  for (int i = 0; i < 16; ++i) {
    const std::uint8_t pair = src[64 + kPanelRows * i + row];
    out[2 * i] = d * table[pair & 15];
    out[2 * i + 1] = d * table[pair >> 4];
  }
}

void unpack_block(PanelType type, const std::uint8_t* src, int row, float* out) {
  switch (type) {
    case PanelType::f32:
      *out = float_at(src, row);
      break;
    case PanelType::f16:
      *out = half_at(src, row);
      break;
    case PanelType::bf16:
      out[0] = bfloat_at(src, row, 0);
      out[1] = bfloat_at(src, row, 1);
      break;
    case PanelType::q4_0:
    case PanelType::q4_1:
    case PanelType::q5_0:
    case PanelType::q5_1:
      unpack_q4_0_to_q5_1(type, src, row, out);
      break;
    case PanelType::q8_0:
      unpack_bytes(src + 32, row, half_at(src, row), out);
      break;
    case PanelType::q2_k:
      unpack_q2_k(src, row, out);
      break;
    case PanelType::q3_k:
      unpack_q3_k(src, row, out);
      break;
    case PanelType::q4_k:
    case PanelType::q5_k:
      unpack_q4_k_q5_k(type == PanelType::q5_k, src, row, out);
      break;
    case PanelType::q6_k:
      unpack_q6_k(src, row, out);
      break;
    case PanelType::q8_k:
      for (int s = 0; s < 8; ++s) {
        unpack_bytes(src + 64 + 512 * s, row, float_at(src, row), out + 32 * s);
      }
      break;
    case PanelType::mxfp4:
      unpack_scaled_nibbles(src + 16, row, std::ldexp(1.0F, src[row] - 128), DType::mxfp4, out);
      break;
    case PanelType::iq4_nl:
      unpack_scaled_nibbles(src + 32, row, half_at(src, row), DType::iq4_nl, out);
      break;
    case PanelType::nvfp4:
      unpack_nvfp4(src, row, out);
      break;
    case PanelType::iq4_xs:
    case PanelType::iq3_xxs:
    case PanelType::iq3_s:
    case PanelType::iq2_xxs:
    case PanelType::iq2_xs:
    case PanelType::iq2_s:
    case PanelType::iq1_s:
    case PanelType::iq1_m:
      unpack_codebook(type, src, row, out);
      break;
    case PanelType::tq1_0:
    case PanelType::tq2_0:
      unpack_scaled_crumbs(src, row, 8, out);
      break;
    case PanelType::q2_0:
      unpack_scaled_crumbs(src, row, 2, out);
      break;
    case PanelType::q1_0:
      unpack_q1_0(src, row, out);
      break;
    case PanelType::f8_e4m3:
      unpack_f8(src, row, out);
      break;
    case PanelType::int4:
      unpack_int4(src, row, out);
      break;
    case PanelType::int8:
      unpack_int8(src, row, out);
      break;
    case PanelType::nf4:
      unpack_pairs(kNf4, src, row, out);
      break;
    case PanelType::fp4:
      unpack_pairs(kFp4, src, row, out);
      break;
  }
}

void unpack_panel_row(const PanelMatrix& matrix, int row, float* out) {
  const BlockLayout& layout = block_layout(matrix.type);
  const int panel = row / kPanelRows;
  const auto* src = reinterpret_cast<const std::uint8_t*>(matrix.data) +
                    static_cast<std::size_t>(panel) * matrix.panel_bytes;
  const int blocks = matrix.cols / layout.values;
  for (int b = 0; b < blocks; ++b) {
    unpack_block(matrix.type, src, row % kPanelRows, out + b * layout.values);
    src += layout.panel_bytes;
  }
  if (matrix.cols % layout.values != 0) {  // bf16 only
    out[matrix.cols - 1] = bfloat_at(src, row % kPanelRows, 0);
  }
}

}  // namespace

void unpack_row(const PanelMatrix& matrix, int row, float* out) noexcept {
  const auto cols = static_cast<std::size_t>(matrix.cols);
  if (matrix.in_file) {
    const std::size_t bytes = file_row_bytes(matrix.type, matrix.cols);
    dequantize_row(static_cast<DType>(matrix.type),
                   {matrix.data + static_cast<std::size_t>(row) * bytes, bytes}, {out, cols});
  } else {
    unpack_panel_row(matrix, row, out);
  }
  if (matrix.scale != 1) {
    for (std::size_t c = 0; c < cols; ++c) out[c] *= matrix.scale;
  }
}

}  // namespace rbee::cpu
