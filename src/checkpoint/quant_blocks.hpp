// The blocks of the quantised types, byte for byte as in a GGUF file. Data in a file need not be
// aligned for them: copy a block out before use. d, m and dmin are float16 unless said otherwise;
// y is the value of an element and q its code. BlockQ40 is that of Q4_0, and so on.
// Layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
#pragma once
#include <cstdint>

namespace rbee {

struct BlockQ40 {  // 32 elements: y = d (q - 8)
  std::uint16_t d;
  std::uint8_t qs[16];  // low nibble of byte j: element j; high nibble: element j + 16
};

struct BlockQ41 {  // 32 elements: y = d q + m
  std::uint16_t d, m;
  std::uint8_t qs[16];  // as Q4_0
};

struct BlockQ50 {  // 32 elements: y = d (q - 16)
  std::uint16_t d;
  std::uint8_t qh[4];   // bit j, little-endian: bit 4 of element j
  std::uint8_t qs[16];  // the low four bits, as Q4_0
};

struct BlockQ51 {  // 32 elements: y = d q + m
  std::uint16_t d, m;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};

struct BlockQ80 {  // 32 elements: y = d q
  std::uint16_t d;
  std::int8_t qs[32];
};

// The K types hold 256 elements in sub-blocks with scales of their own.

struct BlockQ2K {           // 16 sub-blocks of 16: y = d scale q - dmin min
  std::uint8_t scales[16];  // low nibble: scale; high nibble: min
  std::uint8_t qs[64];      // element 128 h + 32 s + l: bits 2s and 2s + 1 of qs[32 h + l]
  std::uint16_t d, dmin;
};

struct BlockQ3K {           // 16 sub-blocks of 16: y = d (scale - 32) (q - 4)
  std::uint8_t hmask[32];   // bit 4 h + s of hmask[l]: bit 2 of the element below
  std::uint8_t qs[64];      // the low two bits, as Q2_K
  std::uint8_t scales[12];  // 16 of 6 bits: low nibbles in bytes 0-7, high pairs in bytes 8-11
  std::uint16_t d;
};

struct BlockQ4K {  // 8 sub-blocks of 32: y = d scale q - dmin min
  std::uint16_t d, dmin;
  std::uint8_t scales[12];  // 8 pairs of 6 bits (see scale_and_min in dequantize.cpp)
  std::uint8_t qs[128];     // chunks of 32 bytes: low nibbles sub-block 2c, high ones 2c + 1
};

struct BlockQ5K {  // as Q4_K, with a fifth bit
  std::uint16_t d, dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32];  // bit b of qh[l]: bit 4 of element l of sub-block b
  std::uint8_t qs[128];
};

struct BlockQ6K {        // 16 sub-blocks of 16: y = d scale (q - 32)
  std::uint8_t ql[128];  // low four bits: see dequantize.cpp
  std::uint8_t qh[64];   // high two bits
  std::int8_t scales[16];
  std::uint16_t d;
};

struct BlockQ8K {  // 256 elements: y = d q
  float d;
  std::int8_t qs[256];
  std::int16_t bsums[16];  // sums of 16 codes each, which products with the K types use
};

// The types below look their codes up in a table of 16 numbers (codebook_blocks.hpp).

struct BlockMxfp4 {     // 32 elements: y = 2^(e - 128) table[q] (OCP Microscaling Formats v1.0)
  std::uint8_t e;       // the table is that of E2M1 doubled, hence 128
  std::uint8_t qs[16];  // as Q4_0
};

struct BlockIq4Nl {  // 32 elements: y = d table[q]
  std::uint16_t d;
  std::uint8_t qs[16];  // as Q4_0
};

struct BlockIq4Xs {  // 8 sub-blocks of 32: y = d (scale - 32) table[q]
  std::uint16_t d;
  std::uint16_t scales_h;    // bits 2b and 2b + 1: the high bits of the scale of sub-block b
  std::uint8_t scales_l[4];  // nibble b: its low bits
  std::uint8_t qs[128];      // 16 bytes a sub-block, each as Q4_0
};

struct BlockNvfp4 {     // 4 sub-blocks of 16: y = E4M3(d) / 2 * table[q]
  std::uint8_t d[4];    // E4M3 whose sign does not count; 0x7F is zero
  std::uint8_t qs[32];  // 8 bytes a sub-block: low nibble of byte j: element j; high: j + 8
};

// The grid types store indices of groups of 8 (IQ3: 4) values in a grid of such groups
// (quant_grids.hpp), and s for each sub-block. A sign index of 7 bits holds the signs of 7
// elements; that of the eighth makes their number even.

struct BlockIq2Xxs {  // 8 sub-blocks of 32: y = d (2 s + 1) / 8 * sign * grid
  std::uint16_t d;
  std::uint8_t qs[64];  // 8 bytes a sub-block: 4 indices, then 4 sign indices and s (4 bits)
};

struct BlockIq2Xs {  // 16 sub-blocks of 16: y as IQ2_XXS
  std::uint16_t d;
  std::uint16_t qs[32];    // low 9 bits: index; high 7: sign index
  std::uint8_t scales[8];  // nibbles: s
};

struct BlockIq2S {  // 16 sub-blocks of 16: y as IQ2_XXS
  std::uint16_t d;
  std::uint8_t qs[32];     // low 8 bits of the indices
  std::uint8_t signs[32];  // a bit an element
  std::uint8_t qh[8];      // high 2 bits of the indices
  std::uint8_t scales[8];  // nibbles: s
};

struct BlockIq3Xxs {  // 8 sub-blocks of 32: y = d (2 s + 1) / 4 * sign * grid
  std::uint16_t d;
  std::uint8_t qs[64];     // indices
  std::uint8_t signs[32];  // 4 bytes a sub-block: 4 sign indices and s (4 bits)
};

struct BlockIq3S {  // 8 sub-blocks of 32: y = d (2 s + 1) * sign * grid
  std::uint16_t d;
  std::uint8_t qs[64];     // low 8 bits of the indices
  std::uint8_t qh[8];      // bit 8 of the indices
  std::uint8_t signs[32];  // a bit an element
  std::uint8_t scales[4];  // nibbles: s
};

struct BlockIq1S {  // 8 sub-blocks of 32: y = d (2 s + 1) (grid + delta), delta = 1/8 or -1/8
  std::uint16_t d;
  std::uint8_t qs[32];  // low 8 bits of the indices
  std::uint16_t qh[8];  // 4 x high 3 bits of the indices, s (3 bits), delta < 0
};

struct BlockIq1M {          // 16 sub-blocks of 16: y as IQ1_S, with a delta for each group of 8
  std::uint8_t qs[32];      // low 8 bits of the indices
  std::uint8_t qh[16];      // nibbles: high 3 bits of the index, delta < 0
  std::uint16_t scales[4];  // 4 x s (3 bits) and a nibble of the f16 d, the lowest first
};

// The types below hold one scale and codes of few values.

struct BlockTq10 {      // 256 elements: y = d (q - 1)
  std::uint8_t qs[48];  // bytes of 5 digits in base 3: see decode_digits in dequantize.cpp
  std::uint8_t qh[4];   // bytes of 4 digits
  std::uint16_t d;
};

struct BlockTq20 {      // 256 elements: y = d (q - 1)
  std::uint8_t qs[64];  // as Q2_K
  std::uint16_t d;
};

struct BlockQ10 {  // 128 elements: y = d (2 q - 1)
  std::uint16_t d;
  std::uint8_t qs[16];  // a bit an element, the lowest first
};

struct BlockQ20 {  // 64 elements: y = d (q - 1)
  std::uint16_t d;
  std::uint8_t qs[16];  // two bits an element, the lowest first
};

// Blocks of our own, in no file: what the encodings of safetensors repositories are brought to. 32
// elements each; nibbles as in Q4_0. Their d and m are float.

struct BlockF8 {  // y = d e4m3(q), see float8.hpp
  float d;
  std::uint8_t qs[32];
};

struct BlockInt4 {  // y = d (q - 8) + m
  float d, m;
  std::uint8_t qs[16];
};

struct BlockInt8 {  // y = d q + m
  float d, m;
  std::int8_t qs[32];
};

struct BlockCodebook4 {  // NF4 and FP4: y = d codebook[q], see codebooks.hpp
  float d;
  std::uint8_t qs[16];
};

static_assert(sizeof(BlockF8) == 36 && sizeof(BlockInt4) == 24);
static_assert(sizeof(BlockInt8) == 40 && sizeof(BlockCodebook4) == 20);
static_assert(sizeof(BlockQ40) == 18 && sizeof(BlockQ41) == 20);
static_assert(sizeof(BlockQ50) == 22 && sizeof(BlockQ51) == 24 && sizeof(BlockQ80) == 34);
static_assert(sizeof(BlockQ2K) == 84 && sizeof(BlockQ3K) == 110 && sizeof(BlockQ4K) == 144);
static_assert(sizeof(BlockQ5K) == 176 && sizeof(BlockQ6K) == 210 && sizeof(BlockQ8K) == 292);
static_assert(sizeof(BlockMxfp4) == 17 && sizeof(BlockIq4Nl) == 18 && sizeof(BlockIq4Xs) == 136);
static_assert(sizeof(BlockNvfp4) == 36 && sizeof(BlockIq2Xxs) == 66 && sizeof(BlockIq2Xs) == 74);
static_assert(sizeof(BlockIq2S) == 82 && sizeof(BlockIq3Xxs) == 98 && sizeof(BlockIq3S) == 110);
static_assert(sizeof(BlockIq1S) == 50 && sizeof(BlockIq1M) == 56 && sizeof(BlockTq10) == 54);
static_assert(sizeof(BlockTq20) == 66 && sizeof(BlockQ10) == 18 && sizeof(BlockQ20) == 18);

}  // namespace rbee
