#include "checkpoint/codebook_blocks.hpp"

#include <algorithm>
#include <cstring>

#include "checkpoint/quant_blocks.hpp"

namespace rbee {
namespace {

// E2M1 (OCP Microscaling Formats v1.0), doubled.
constexpr Codebook kFp4{{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}, 1};

// Levels closer together where weights are frequent (llama.cpp, ggml-common.h, kvalues_iq4nl).
constexpr Codebook kIq4{{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113},
                        1};

void read(const BlockIq4Xs& block, CodebookBlock& out) {
  out.d = block.d;
  for (int b = 0; b < 8; ++b) {
    const int low = (block.scales_l[b / 2] >> 4 * (b % 2)) & 15;
    const int high = (block.scales_h >> 2 * b) & 3;
    std::fill_n(out.scales + 2 * b, 2, static_cast<std::int8_t>((low | high << 4) - 32));
    for (int j = 0; j < 16; ++j) {
      const std::uint8_t byte = block.qs[16 * b + j];
      out.codes[32 * b + j] = byte & 15;
      out.codes[32 * b + 16 + j] = static_cast<std::uint8_t>(byte >> 4);
    }
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

const Codebook& codebook(DType type) noexcept { return type == DType::mxfp4 ? kFp4 : kIq4; }

CodebookBlock read_codebook_block(DType, const std::byte* block) noexcept {
  return read_as<BlockIq4Xs>(block);
}

}  // namespace rbee
