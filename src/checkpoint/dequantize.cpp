#include "checkpoint/dequantize.hpp"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "checkpoint/codebook_blocks.hpp"
#include "checkpoint/codebooks.hpp"
#include "checkpoint/float16.hpp"
#include "checkpoint/float8.hpp"
#include "checkpoint/quant_blocks.hpp"

namespace rbee {
namespace {

int low(std::uint8_t byte) { return byte & 15; }
int high(std::uint8_t byte) { return byte >> 4; }

void decode(const BlockQ40& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(low(block.qs[j]) - 8);
    y[j + 16] = d * static_cast<float>(high(block.qs[j]) - 8);
  }
}

void decode(const BlockQ41& block, float* y) {
  const float d = f16_to_float(block.d), m = f16_to_float(block.m);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(low(block.qs[j])) + m;
    y[j + 16] = d * static_cast<float>(high(block.qs[j])) + m;
  }
}

// Bit 4 of element j, in place.
int fifth_bit(const std::uint8_t (&qh)[4], int j) { return ((qh[j / 8] >> (j % 8)) & 1) << 4; }

void decode(const BlockQ50& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>((low(block.qs[j]) | fifth_bit(block.qh, j)) - 16);
    y[j + 16] = d * static_cast<float>((high(block.qs[j]) | fifth_bit(block.qh, j + 16)) - 16);
  }
}

void decode(const BlockQ51& block, float* y) {
  const float d = f16_to_float(block.d), m = f16_to_float(block.m);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(low(block.qs[j]) | fifth_bit(block.qh, j)) + m;
    y[j + 16] = d * static_cast<float>(high(block.qs[j]) | fifth_bit(block.qh, j + 16)) + m;
  }
}

void decode(const BlockQ80& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(block.qs[j]);
}

void decode(const BlockQ2K& block, float* y) {
  const float d = f16_to_float(block.d), dmin = f16_to_float(block.dmin);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, shift = i % 128 / 32 * 2, l = i % 32;
    const std::uint8_t scales = block.scales[i / 16];
    const float scale = d * static_cast<float>(low(scales));
    const float min = dmin * static_cast<float>(high(scales));
    y[i] = scale * static_cast<float>((block.qs[32 * half + l] >> shift) & 3) - min;
  }
}

void decode(const BlockQ3K& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, s = i % 128 / 32, l = i % 32, k = i / 16;
    const int scale_low = k < 8 ? low(block.scales[k]) : high(block.scales[k - 8]);
    const int scale_high = (block.scales[8 + k % 4] >> (2 * (k / 4))) & 3;
    const float scale = d * static_cast<float>((scale_low | scale_high << 4) - 32);
    const int q_low = (block.qs[32 * half + l] >> (2 * s)) & 3;
    const int q_high = (block.hmask[l] >> (4 * half + s)) & 1;
    y[i] = scale * static_cast<float>((q_low | q_high << 2) - 4);
  }
}

struct ScaleAndMin {
  int scale, min;
};

// Sub-blocks 0-3 keep theirs in the low six bits of bytes b and b + 4; 4-7 in the nibbles of byte
// b + 4, with the two bits above them in what is left of bytes b - 4 and b.
ScaleAndMin scale_and_min(const std::uint8_t (&scales)[12], int b) {
  if (b < 4) return {scales[b] & 63, scales[b + 4] & 63};
  return {low(scales[b + 4]) | (scales[b - 4] >> 6) << 4, high(scales[b + 4]) | (scales[b] >> 6)
                                                                                    << 4};
}

void decode(const BlockQ4K& block, float* y) {
  const float d = f16_to_float(block.d), dmin = f16_to_float(block.dmin);
  for (int b = 0; b < 8; ++b) {
    const auto [s, m] = scale_and_min(block.scales, b);
    const float scale = d * static_cast<float>(s), min = dmin * static_cast<float>(m);
    for (int l = 0; l < 32; ++l) {
      const std::uint8_t byte = block.qs[b / 2 * 32 + l];
      y[32 * b + l] = scale * static_cast<float>(b % 2 == 0 ? low(byte) : high(byte)) - min;
    }
  }
}

void decode(const BlockQ5K& block, float* y) {
  const float d = f16_to_float(block.d), dmin = f16_to_float(block.dmin);
  for (int b = 0; b < 8; ++b) {
    const auto [s, m] = scale_and_min(block.scales, b);
    const float scale = d * static_cast<float>(s), min = dmin * static_cast<float>(m);
    for (int l = 0; l < 32; ++l) {
      const std::uint8_t byte = block.qs[b / 2 * 32 + l];
      const int q = (b % 2 == 0 ? low(byte) : high(byte)) | ((block.qh[l] >> b) & 1) << 4;
      y[32 * b + l] = scale * static_cast<float>(q) - min;
    }
  }
}

// In each half of 128 elements, those of quarter r take the nibble of ql and the bit pair of qh:
// quarters 0 and 1 the low nibbles of ql[0..63], 2 and 3 the high ones; pair r of qh[l].
void decode(const BlockQ6K& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, r = i % 128 / 32, l = i % 32;
    const std::uint8_t byte = block.ql[64 * half + r % 2 * 32 + l];
    const int pair = (block.qh[32 * half + l] >> (2 * r)) & 3;
    const int q = (r < 2 ? low(byte) : high(byte)) | pair << 4;
    const std::int8_t scale = block.scales[i / 16];
    y[i] = d * static_cast<float>(scale) * static_cast<float>(q - 32);
  }
}

void decode(const BlockQ8K& block, float* y) {
  for (int j = 0; j < 256; ++j) y[j] = block.d * static_cast<float>(block.qs[j]);
}

// 2^(e - 128): the two least are subnormal.
float power_of_two(std::uint8_t e) {
  return std::bit_cast<float>(e < 2 ? 0x00200000U << e : (e - 1U) << 23);
}

void decode_nibbles(const std::uint8_t (&qs)[16], float scale, const Codebook& table, float* y) {
  for (int j = 0; j < 16; ++j) {
    y[j] = scale * static_cast<float>(table.values[qs[j] & 15]);
    y[j + 16] = scale * static_cast<float>(table.values[qs[j] >> 4]);
  }
}

void decode(const BlockMxfp4& block, float* y) {
  decode_nibbles(block.qs, power_of_two(block.e), codebook(DType::mxfp4), y);
}

void decode(const BlockIq4Nl& block, float* y) {
  decode_nibbles(block.qs, f16_to_float(block.d), codebook(DType::iq4_nl), y);
}

// Half of an E4M3 number (bias 7, no infinities) without sign.
float half_of_e4m3(std::uint8_t bits) {
  const int exponent = (bits >> 3) & 15, fraction = bits & 7;
  if (bits == 0x7F) return 0;
  if (exponent == 0) return static_cast<float>(fraction) * 0x1p-10F;
  return std::ldexp(static_cast<float>(fraction + 8), exponent - 11);
}

void decode(const BlockNvfp4& block, float* y) {
  const auto& values = codebook(DType::nvfp4).values;
  for (int i = 0; i < 64; ++i) {
    const std::uint8_t byte = block.qs[i / 16 * 8 + i % 8];
    y[i] = half_of_e4m3(block.d[i / 16]) *
           static_cast<float>(values[i % 16 < 8 ? low(byte) : high(byte)]);
  }
}

// Element n * width + m is digit n of byte m, the most significant first. Such a byte is the
// digits' number times 256 / 243, rounded up: its product with 3 has the next digit above its eight
// bits.
float* decode_digits(const std::uint8_t* bytes, int width, int digits, float d, float* y) {
  for (int n = 0, power = 1; n < digits; ++n, power *= 3) {
    for (int m = 0; m < width; ++m) {
      const int rest = bytes[m] * power & 255;
      *y++ = d * static_cast<float>((rest * 3 >> 8) - 1);
    }
  }
  return y;
}

void decode(const BlockTq10& block, float* y) {
  const float d = f16_to_float(block.d);
  y = decode_digits(block.qs, 32, 5, d, y);
  y = decode_digits(block.qs + 32, 16, 5, d, y);
  decode_digits(block.qh, 4, 4, d, y);
}

void decode(const BlockTq20& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, shift = i % 128 / 32 * 2, l = i % 32;
    y[i] = d * static_cast<float>(((block.qs[32 * half + l] >> shift) & 3) - 1);
  }
}

void decode(const BlockQ10& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int i = 0; i < 128; ++i) y[i] = ((block.qs[i / 8] >> i % 8) & 1) != 0 ? d : -d;
}

void decode(const BlockQ20& block, float* y) {
  const float d = f16_to_float(block.d);
  for (int i = 0; i < 64; ++i) {
    y[i] = d * static_cast<float>(((block.qs[i / 4] >> 2 * (i % 4)) & 3) - 1);
  }
}

void decode_codebook_blocks(DType type, std::span<const std::byte> row, std::span<float> out) {
  const auto& [values, bits, unit] = codebook(type);
  for (std::size_t first = 0; first < out.size(); first += 256) {
    const CodebookBlock block =
        read_codebook_block(type, row.data() + first / 256 * info(type).block_bytes);
    const float d = f16_to_float(block.d) * unit;
    for (std::size_t i = 0; i < 256; ++i) {
      const std::size_t group = i / 16;
      out[first + i] =
          d * static_cast<float>(block.scales[group]) * static_cast<float>(values[block.codes[i]]);
    }
  }
}

void decode(const BlockF8& b, float* out) {
  for (int i = 0; i < 32; ++i) out[i] = b.d * e4m3_to_float(b.qs[i]);
}

void decode(const BlockInt4& b, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = b.d * static_cast<float>((b.qs[i] & 15) - 8) + b.m;
    out[i + 16] = b.d * static_cast<float>((b.qs[i] >> 4) - 8) + b.m;
  }
}

void decode(const BlockInt8& b, float* out) {
  for (int i = 0; i < 32; ++i) out[i] = b.d * static_cast<float>(b.qs[i]) + b.m;
}

// A block of a type whose codes stand in a table.
template <const std::array<float, 16>& codebook>
struct TableBlock : BlockCodebook4 {};

template <const std::array<float, 16>& codebook>
void decode(const TableBlock<codebook>& b, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = b.d * codebook[b.qs[i] & 15];
    out[i + 16] = b.d * codebook[b.qs[i] >> 4];
  }
}

template <class Block>
void decode_blocks(std::span<const std::byte> row, std::span<float> out) {
  const std::size_t count = row.size() / sizeof(Block);
  const std::size_t elements = count == 0 ? 0 : out.size() / count;
  for (std::size_t i = 0; i < count; ++i) {
    Block block;
    std::memcpy(&block, row.data() + i * sizeof block, sizeof block);
    decode(block, out.data() + i * elements);
  }
}

template <class Convert>
void convert16(std::span<const std::byte> row, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, row.data() + i * sizeof bits, sizeof bits);
    out[i] = convert(bits);
  }
}

}  // namespace

void dequantize_row(DType type, std::span<const std::byte> row, std::span<float> out) {
  assert(out.size() % static_cast<std::size_t>(info(type).block) == 0);
  assert(row.size() == row_bytes(type, out.size()));
  if (out.empty()) return;
  switch (type) {
    case DType::f32:
      std::memcpy(out.data(), row.data(), row.size());
      return;
    case DType::f16:
      return convert16(row, out, f16_to_float);
    case DType::bf16:
      return convert16(row, out, bf16_to_float);
    case DType::q4_0:
      return decode_blocks<BlockQ40>(row, out);
    case DType::q4_1:
      return decode_blocks<BlockQ41>(row, out);
    case DType::q5_0:
      return decode_blocks<BlockQ50>(row, out);
    case DType::q5_1:
      return decode_blocks<BlockQ51>(row, out);
    case DType::q8_0:
      return decode_blocks<BlockQ80>(row, out);
    case DType::q2_k:
      return decode_blocks<BlockQ2K>(row, out);
    case DType::q3_k:
      return decode_blocks<BlockQ3K>(row, out);
    case DType::q4_k:
      return decode_blocks<BlockQ4K>(row, out);
    case DType::q5_k:
      return decode_blocks<BlockQ5K>(row, out);
    case DType::q6_k:
      return decode_blocks<BlockQ6K>(row, out);
    case DType::q8_k:
      return decode_blocks<BlockQ8K>(row, out);
    case DType::mxfp4:
      return decode_blocks<BlockMxfp4>(row, out);
    case DType::iq4_nl:
      return decode_blocks<BlockIq4Nl>(row, out);
    case DType::nvfp4:
      return decode_blocks<BlockNvfp4>(row, out);
    case DType::tq1_0:
      return decode_blocks<BlockTq10>(row, out);
    case DType::tq2_0:
      return decode_blocks<BlockTq20>(row, out);
    case DType::q1_0:
      return decode_blocks<BlockQ10>(row, out);
    case DType::q2_0:
      return decode_blocks<BlockQ20>(row, out);
    case DType::iq4_xs:
    case DType::iq3_xxs:
    case DType::iq3_s:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
    case DType::iq1_s:
    case DType::iq1_m:
      return decode_codebook_blocks(type, row, out);
    case DType::f8_e4m3:
      return decode_blocks<BlockF8>(row, out);
    case DType::int4:
      return decode_blocks<BlockInt4>(row, out);
    case DType::int8:
      return decode_blocks<BlockInt8>(row, out);
    case DType::nf4:
      return decode_blocks<TableBlock<kNf4>>(row, out);
    case DType::fp4:
      return decode_blocks<TableBlock<kFp4>>(row, out);
  }
}

}  // namespace rbee
