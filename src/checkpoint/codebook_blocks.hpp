// The types whose codes stand for a table of small integers, and, of those with 256 elements a
// block, what a block says in whatever form: what packing for a device starts from.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/dtype.hpp"

namespace rbee {

struct Codebook {
  std::array<std::int8_t, 16> values;
  int bits;    // of a code: 3 (eight values) or 4
  float unit;  // a power of two
};

// y = d * unit * scales[i / 16] * values[codes[i]]; the product is exact in f32.
struct CodebookBlock {
  std::uint16_t d;  // f16
  std::int8_t scales[16];
  std::uint8_t codes[256];
};

// Precondition: type is MXFP4, NVFP4, IQ4_NL or one that read_codebook_block takes.
const Codebook& codebook(DType type) noexcept;

// Reads one block as it is in a file. Precondition: type is IQ4_XS, IQ3_*, IQ2_* or IQ1_*.
CodebookBlock read_codebook_block(DType type, const std::byte* block) noexcept;

}  // namespace rbee
