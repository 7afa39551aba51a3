// Panels: the packed layout of weight matrices. A panel holds kPanelRows consecutive output rows
// side by side, so that the lanes of a vector are rows: a product needs no horizontal sum, and one
// copy of the weights serves one token and many, on every instruction set.
//
// The bytes of a panel (r = row in the panel 0..15, j = 0..3; f16[16] means one value a row; all
// groups in ascending k; quantised values are stored unsigned, offset as in the type's definition):
//   f32         per k:    f32[16]
//   f16         per k:    f16[16]
//   bf16        per 2 k:  byte pairs 4r (k), 4r + 2 (k + 1); an odd last column is paired with zero
//   "nibbles"   per 32 k: byte 64h+4r+j, h = 0..3: low 4 bits k = 8h+j, high 4 bits k = 8h+4+j
//   "bit plane" per 32 k: byte 4r+j: bit g = the bit of k = 4g+j, g = 0..7
//   "crumbs"    per 32 k: byte 64s+4r+j, s = 0..1: bits 2g, 2g+1 = two bits of k = 16s+4g+j
//   "bytes"     per 32 k: byte 64g+4r+j: k = 4g+j
//   "columns"   of n values a row: byte 64v+4r+j = value 4v+j of row r
//   q4_0        per 32 k: d f16[16], nibbles                                             288 bytes
//   q4_1        per 32 k: d f16[16], m f16[16], nibbles                                  320
//   q5_0        per 32 k: d f16[16], bit plane (bit 4), nibbles                          352
//   q5_1        per 32 k: d f16[16], m f16[16], bit plane (bit 4), nibbles               384
//   q8_0        per 32 k: d f16[16], bytes (xor 0x80)                                    544
//   q2_k        per 256 k: d f16[16], dmin f16[16], columns of 16 (scale | min << 4),
//                          8 x crumbs                                                   1344
//   q3_k        per 256 k: d f16[16], columns of 16 (signed scale), 8 x (crumbs, bit plane (bit 2))
//                                                                                       1824
//   q4_k        per 256 k: d f16[16], dmin f16[16], columns of 8 (low 4 bits of scale | of min <<
//   4),
//                          columns of 4 (bits 4, 5 of scale and min of sub-blocks j: bits 0, 1 and
//                          2, 3; of 4+j: bits 4, 5 and 6, 7), 8 x nibbles                2304
//   q5_k        as q4_k, each nibbles preceded by its bit plane (bit 4)                  2816
//   q6_k        per 256 k: d f16[16], columns of 16 (signed scale), 8 x (nibbles, crumbs (bits 4,
//   5))
//                                                                                       3360
//   q8_k        per 256 k: d f32[16], 8 x bytes (xor 0x80)                               4160
//   mxfp4       per 32 k: e u8[16], nibbles                                              272
//   iq4_nl      per 32 k: d f16[16], nibbles                                             288
//   nvfp4       per 32 k: u8[16] scale of the first 16 k, u8[16] of the others (E4M3 without sign),
//                         nibbles                                                         288
//   iq4_xs, iq3_xxs, iq3_s
//               per 256 k: d f16[16], columns of 8 (signed scale), 8 x nibbles           2208
//   iq2_xxs, iq1_s
//               per 256 k: d f16[16], columns of 8 (signed scale), 8 x (crumbs, bit plane (bit 2))
//                                                                                       1696
//   iq2_xs, iq2_s, iq1_m
//               per 256 k: as q3_k                                                       1824
//   The codes of mxfp4 to iq1_m are indices into tables of 16 or 8 numbers, which differ with the
//   type (matmul_codebook_kernels.cpp).
//   tq1_0, tq2_0, q2_0
//               per 32 k: d f16[16], crumbs                                               160
//   q1_0        per 32 k: d f16[16], bit plane (bit 0)                                    96
//   f8_e4m3     per 32 k: d f32[16], then per k: u8[16]                                   576
//   int4        per 32 k: d f32[16], m f32[16], nibbles                                   384
//   int8        per 32 k: d f32[16], m f32[16], bytes (xor 0x80)                          640
//   nf4, fp4    per 32 k: d f32[16], then per 2 k: u8[16], low 4 bits k, high 4 bits k + 1
//                                                                                         320
// Rows beyond the matrix are zero throughout, scales included. A panel is padded to 64 bytes.
#pragma once
#include <cstddef>
#include <cstdint>

namespace rbee::cpu {

constexpr int kPanelRows = 16;

enum class PanelType : std::uint8_t {
  f32,
  f16,
  bf16,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  q8_k,
  mxfp4,
  iq4_nl,
  iq4_xs,
  nvfp4,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
  iq1_s,
  iq1_m,
  tq1_0,
  tq2_0,
  q1_0,
  q2_0,
  // Types of no GGUF file come last, as in DType.
  f8_e4m3,
  int4,
  int8,
  nf4,
  fp4,
};
constexpr int kPanelTypes = 34;

// A packed matrix; a view. rows and cols are those of the matrix; data holds
// ceil(rows / kPanelRows) panels of panel_bytes each and is aligned to 64 bytes; or, with in_file,
// the rows in file layout, of any alignment. Kernels want the former.
struct PanelMatrix {
  const std::byte* data;
  PanelType type;
  int rows;  // >= 1
  int cols;  // >= 1; a multiple of the k of a block
  std::size_t panel_bytes;
  float scale = 1;  // the values are these times what data holds
  bool in_file = false;
};

}  // namespace rbee::cpu
