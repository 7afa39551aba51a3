#include "checkpoint/codebook_blocks.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "checkpoint/quant_blocks.hpp"
#include "checkpoint/quant_grids.hpp"

namespace rbee {
namespace {

// E2M1 (OCP Microscaling Formats v1.0), doubled.
constexpr Codebook kFp4{{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}, 4, 1};

// Levels closer together where weights are frequent (llama.cpp, ggml-common.h, kvalues_iq4nl).
constexpr Codebook kIq4{
    {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}, 4, 1};

// Values of the grids; the highest bit of a code is the sign, that of delta for IQ1: 8 (grid +
// delta).
constexpr Codebook kIq3Xxs{
    {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62}, 4, 1.0F / 4};
constexpr Codebook kIq3S{{1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15}, 4, 1};
constexpr Codebook kIq2{{8, 25, 43, 0, -8, -25, -43, 0}, 3, 1.0F / 8};
constexpr Codebook kIq1{{-7, 1, 9, 0, -9, -1, 7, 0}, 3, 1.0F / 8};

std::uint32_t load_u32(const std::uint8_t* p) {
  std::uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

int nibble(const std::uint8_t* bytes, int i) { return (bytes[i / 2] >> 4 * (i % 2)) & 15; }

std::int8_t odd(int s) { return static_cast<std::int8_t>(2 * s + 1); }

// The signs of 8 elements from the index of 7 bits at `shift` of a word.
unsigned sign_bits(std::uint32_t word, int shift) {
  const unsigned index = (word >> shift) & 127;
  return index | (static_cast<unsigned>(std::popcount(index)) & 1U) << 7;
}

// A group of 8 or 4 elements of a grid, with the bits of `signs` above.
void put_group8(std::uint8_t* codes, unsigned group, unsigned signs) {
  for (int j = 0; j < 8; ++j) {
    codes[j] = static_cast<std::uint8_t>(((group >> 2 * j) & 3) | ((signs >> j) & 1) << 2);
  }
}
void put_group4(std::uint8_t* codes, unsigned group, unsigned signs) {
  for (int j = 0; j < 4; ++j) {
    codes[j] = static_cast<std::uint8_t>(((group >> 3 * j) & 7) | ((signs >> j) & 1) << 3);
  }
}

void read(const BlockIq4Xs& block, CodebookBlock& out) {
  out.d = block.d;
  for (int b = 0; b < 8; ++b) {
    const int high = (block.scales_h >> 2 * b) & 3;
    const int scale = (nibble(block.scales_l, b) | high << 4) - 32;
    std::fill_n(out.scales + 2 * b, 2, static_cast<std::int8_t>(scale));
    for (int j = 0; j < 16; ++j) {
      const std::uint8_t byte = block.qs[16 * b + j];
      out.codes[32 * b + j] = byte & 15;
      out.codes[32 * b + 16 + j] = static_cast<std::uint8_t>(byte >> 4);
    }
  }
}

void read(const BlockIq2Xxs& block, CodebookBlock& out) {
  out.d = block.d;
  for (int b = 0; b < 8; ++b) {
    const std::uint32_t word = load_u32(block.qs + 8 * b + 4);
    std::fill_n(out.scales + 2 * b, 2, odd(static_cast<int>(word >> 28)));
    for (int g = 0; g < 4; ++g) {
      put_group8(out.codes + 32 * b + 8 * g, kIq2XxsGrid[block.qs[8 * b + g]],
                 sign_bits(word, 7 * g));
    }
  }
}

void read(const BlockIq2Xs& block, CodebookBlock& out) {
  out.d = block.d;
  for (int i = 0; i < 16; ++i) out.scales[i] = odd(nibble(block.scales, i));
  for (int g = 0; g < 32; ++g) {
    put_group8(out.codes + 8 * g, kIq2XsGrid[block.qs[g] & 511], sign_bits(block.qs[g], 9));
  }
}

void read(const BlockIq2S& block, CodebookBlock& out) {
  out.d = block.d;
  for (int i = 0; i < 16; ++i) out.scales[i] = odd(nibble(block.scales, i));
  for (int g = 0; g < 32; ++g) {
    const int high = (block.qh[g / 4] >> 2 * (g % 4)) & 3;
    put_group8(out.codes + 8 * g, kIq2SGrid[block.qs[g] | high << 8], block.signs[g]);
  }
}

void read(const BlockIq3Xxs& block, CodebookBlock& out) {
  out.d = block.d;
  for (int b = 0; b < 8; ++b) {
    const std::uint32_t word = load_u32(block.signs + 4 * b);
    std::fill_n(out.scales + 2 * b, 2, odd(static_cast<int>(word >> 28)));
    for (int g = 0; g < 8; ++g) {
      put_group4(out.codes + 32 * b + 4 * g, kIq3XxsGrid[block.qs[8 * b + g]],
                 sign_bits(word, 7 * (g / 2)) >> 4 * (g % 2));
    }
  }
}

void read(const BlockIq3S& block, CodebookBlock& out) {
  out.d = block.d;
  for (int b = 0; b < 8; ++b) std::fill_n(out.scales + 2 * b, 2, odd(nibble(block.scales, b)));
  for (int g = 0; g < 64; ++g) {
    const int high = (block.qh[g / 8] >> g % 8) & 1;
    put_group4(out.codes + 4 * g, kIq3SGrid[block.qs[g] | high << 8],
               static_cast<unsigned>(nibble(block.signs, g)));
  }
}

void read(const BlockIq1S& block, CodebookBlock& out) {
  out.d = block.d;
  for (int b = 0; b < 8; ++b) {
    const int qh = block.qh[b];
    std::fill_n(out.scales + 2 * b, 2, odd((qh >> 12) & 7));
    for (int g = 0; g < 4; ++g) {
      const int high = (qh >> 3 * g) & 7;
      put_group8(out.codes + 32 * b + 8 * g, kIq1Grid[block.qs[4 * b + g] | high << 8],
                 (qh >> 15) != 0 ? 0xFF : 0);
    }
  }
}

void read(const BlockIq1M& block, CodebookBlock& out) {
  unsigned d = 0;
  for (int i = 0; i < 4; ++i) d |= static_cast<unsigned>(block.scales[i] >> 12) << 4 * i;
  out.d = static_cast<std::uint16_t>(d);
  for (int i = 0; i < 16; ++i) out.scales[i] = odd((block.scales[i / 4] >> 3 * (i % 4)) & 7);
  for (int g = 0; g < 32; ++g) {
    const int high = nibble(block.qh, g);
    put_group8(out.codes + 8 * g, kIq1Grid[block.qs[g] | (high & 7) << 8],
               (high & 8) != 0 ? 0xFF : 0);
  }
}

template <class Block>
CodebookBlock read_as(const std::byte* bytes) {
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  CodebookBlock out;
  read(block, out);
  return out;
}

}  // namespace

const Codebook& codebook(DType type) noexcept {
  switch (type) {
    case DType::mxfp4:
    case DType::nvfp4:
      return kFp4;
    case DType::iq3_xxs:
      return kIq3Xxs;
    case DType::iq3_s:
      return kIq3S;
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
      return kIq2;
    case DType::iq1_s:
    case DType::iq1_m:
      return kIq1;
    default:
      assert(type == DType::iq4_nl || type == DType::iq4_xs);
      return kIq4;
  }
}

CodebookBlock read_codebook_block(DType type, const std::byte* block) noexcept {
  switch (type) {
    case DType::iq3_xxs:
      return read_as<BlockIq3Xxs>(block);
    case DType::iq3_s:
      return read_as<BlockIq3S>(block);
    case DType::iq2_xxs:
      return read_as<BlockIq2Xxs>(block);
    case DType::iq2_xs:
      return read_as<BlockIq2Xs>(block);
    case DType::iq2_s:
      return read_as<BlockIq2S>(block);
    case DType::iq1_s:
      return read_as<BlockIq1S>(block);
    case DType::iq1_m:
      return read_as<BlockIq1M>(block);
    default:
      assert(type == DType::iq4_xs);
      return read_as<BlockIq4Xs>(block);
  }
}

}  // namespace rbee
