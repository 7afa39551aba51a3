// How quantised safetensors lay out their codes, as EncodedMatrix or as sources of AffineMatrix.
// The shapes have been checked by whoever makes one of these.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "checkpoint/affine_encodings.hpp"
#include "checkpoint/encoded_matrix.hpp"
#include "checkpoint/float8.hpp"
#include "checkpoint/quant_blocks.hpp"
#include "checkpoint/stored_scales.hpp"

namespace rbee {

// Scales of groups of columns, [rows or 1, groups].
struct GroupScales {
  StoredScales values;
  std::size_t groups = 1;
  bool by_row = true;

  float at(std::size_t row, std::size_t group) const {
    return values[(by_row ? row * groups : 0) + group];
  }
};

// FP8 codes and a scale for each block of block_rows x block_cols.
class Fp8Matrix final : public EncodedMatrix {
 public:
  struct Scales {
    StoredScales values;
    std::size_t block_rows, block_cols, across;
  };
  Fp8Matrix(const StoredTensor& codes, Scales scales, DType type, std::size_t cols)
      : name_(codes), codes_(codes.bytes), scales_(std::move(scales)), type_(type), cols_(cols) {}

  void rows(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    std::byte* at = out.data();
    const auto first = static_cast<std::size_t>(begin);
    for (std::size_t r = first; r < first + static_cast<std::size_t>(n); ++r) {
      for (std::size_t k = 0; k < cols_; k += type_ == DType::f32 ? 1 : 32) at = write(r, k, at);
    }
  }

 private:
  float scale(std::size_t row, std::size_t k) const {
    return scales_.values[row / scales_.block_rows * scales_.across + k / scales_.block_cols];
  }

  std::byte* write(std::size_t row, std::size_t k, std::byte* out) const {
    const std::byte* codes = codes_.data() + row * cols_ + k;
    const bool nan = std::any_of(codes, codes + (type_ == DType::f32 ? 1 : 32), [](std::byte b) {
      return (b & std::byte{0x7f}) == std::byte{0x7f};
    });
    if (nan) name_.bad("numbers", "NaN");
    if (type_ == DType::f32) {
      const float value = scale(row, k) * e4m3_to_float(static_cast<std::uint8_t>(*codes));
      std::memcpy(out, &value, sizeof value);
      return out + sizeof value;
    }
    BlockF8 block{};
    block.d = scale(row, k);
    std::memcpy(block.qs, codes, sizeof block.qs);
    std::memcpy(out, &block, sizeof block);
    return out + sizeof block;
  }

  StoredName name_;
  std::span<const std::byte> codes_;
  Scales scales_;
  DType type_;
  std::size_t cols_;
};

// Of neighbouring elements, the lower nibble first.
inline unsigned nibble_at(std::span<const std::byte> codes, std::size_t element) noexcept {
  const auto pair = static_cast<unsigned>(codes[element / 2]);
  return element % 2 == 0 ? pair & 15U : pair >> 4U;
}

// MXFP4 as gpt-oss stores it: blocks [rows, groups, 16] of neighbouring elements, the lower nibble
// first, and exponents [rows, groups]. GGUF's block has element j beside element j + 16.
class Mxfp4Matrix final : public EncodedMatrix {
 public:
  Mxfp4Matrix(std::span<const std::byte> codes, std::span<const std::byte> exponents,
              std::size_t groups)
      : codes_(codes), exponents_(exponents), groups_(groups) {}

  void rows(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    const std::size_t first = static_cast<std::size_t>(begin) * groups_;
    const std::size_t count = static_cast<std::size_t>(n) * groups_;
    for (std::size_t b = 0; b < count; ++b) {
      BlockMxfp4 block{};
      block.e = static_cast<std::uint8_t>(exponents_[first + b]);
      const auto codes = codes_.subspan((first + b) * sizeof block.qs, sizeof block.qs);
      for (std::size_t j = 0; j < sizeof block.qs; ++j) {
        block.qs[j] =
            static_cast<std::uint8_t>(nibble_at(codes, j) | nibble_at(codes, j + 16) << 4U);
      }
      std::memcpy(out.data() + b * sizeof block, &block, sizeof block);
    }
  }

 private:
  std::span<const std::byte> codes_, exponents_;
  std::size_t groups_;
};

// NVFP4: codes [rows, cols / 2] of neighbouring elements, the lower nibble first, and a scale E4M3
// of each 16 of them. GGUF's block of 64 has element j of 16 beside element j + 8. The scale of the
// whole matrix is that of the tensor.
class Nvfp4Matrix final : public EncodedMatrix {
 public:
  Nvfp4Matrix(const StoredTensor& codes, const StoredTensor& scales, std::size_t cols)
      : name_(codes), codes_(codes.bytes), scales_(scales.bytes), blocks_(cols / 64) {}

  void rows(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    const std::size_t first = static_cast<std::size_t>(begin) * blocks_;
    const std::size_t count = static_cast<std::size_t>(n) * blocks_;
    for (std::size_t b = 0; b < count; ++b) {
      const BlockNvfp4 block = packed(first + b);
      std::memcpy(out.data() + b * sizeof block, &block, sizeof block);
    }
  }

 private:
  BlockNvfp4 packed(std::size_t b) const {
    BlockNvfp4 block{};
    for (std::size_t s = 0; s < 4; ++s) {
      block.d[s] = static_cast<std::uint8_t>(scales_[4 * b + s]);
      if (block.d[s] >= 0x7F) name_.bad("scales above zero", "one below, or NaN");
      const auto codes = codes_.subspan(32 * b + 8 * s, 8);
      for (std::size_t j = 0; j < 8; ++j) {
        block.qs[8 * s + j] =
            static_cast<std::uint8_t>(nibble_at(codes, j) | nibble_at(codes, j + 8) << 4U);
      }
    }
    return block;
  }

  StoredName name_;
  std::span<const std::byte> codes_, scales_;
  std::size_t blocks_;  // of a row
};

// Field number i of a word of fields of so many bits, the lowest first.
inline int field(int bits, std::uint32_t word, std::size_t i) noexcept {
  return static_cast<int>(word >> (static_cast<std::size_t>(bits) * i) & ((1U << bits) - 1));
}

// compressed-tensors: codes of `bits` bits, from the lowest bit on, in words along the columns;
// zero points packed the same way along the rows.
struct PackedSource {
  std::span<const std::byte> words;
  std::size_t words_per_row;
  int bits;
  std::size_t group;
  GroupScales scales;
  std::span<const std::byte> zeros;  // empty: symmetric

  std::size_t group_of(std::size_t k) const { return k / group; }
  float scale(std::size_t row, std::size_t g) const { return scales.at(row, g); }
  std::size_t per_word() const { return 32 / static_cast<std::size_t>(bits); }
  int code(std::size_t row, std::size_t k) const {
    return field(bits, word_at(words, row * words_per_row + k / per_word()), k % per_word());
  }
  int zero(std::size_t row, std::size_t g) const {
    if (zeros.empty()) return 1 << (bits - 1);
    return field(bits, word_at(zeros, row / per_word() * scales.groups + g), row % per_word());
  }
};

// GPTQ: words run down the input axis, zero points along the output axis; both are transposed here.
struct GptqSource {
  std::span<const std::byte> words;
  std::span<const std::byte> zeros;
  std::size_t rows;
  int bits;
  int zero_offset;  // 1 in the first version of the format
  std::size_t group;
  std::vector<std::uint32_t> groups;  // of each column; empty: k / group
  StoredScales scales;                // [groups, rows]

  std::size_t group_of(std::size_t k) const { return groups.empty() ? k / group : groups[k]; }
  float scale(std::size_t row, std::size_t g) const { return scales[g * rows + row]; }
  std::size_t per_word() const { return 32 / static_cast<std::size_t>(bits); }
  int code(std::size_t row, std::size_t k) const {
    return field(bits, word_at(words, k / per_word() * rows + row), k % per_word());
  }
  int zero(std::size_t row, std::size_t g) const {
    return zero_offset + field(bits, word_at(zeros, g * (rows / per_word()) + row / per_word()),
                               row % per_word());
  }
};

// AWQ: words run along the output axis, their nibbles in an order of its own.
struct AwqSource {
  std::span<const std::byte> words;
  std::span<const std::byte> zeros;
  std::size_t rows;
  std::size_t group;
  StoredScales scales;  // [groups, rows]

  std::size_t group_of(std::size_t k) const { return k / group; }
  float scale(std::size_t row, std::size_t g) const { return scales[g * rows + row]; }
  int nibble(std::span<const std::byte> from, std::size_t line, std::size_t row) const {
    constexpr std::array<unsigned, 8> kPlace{0, 4, 1, 5, 2, 6, 3, 7};
    return static_cast<int>(word_at(from, line * (rows / 8) + row / 8) >> 4 * kPlace[row % 8] & 15);
  }
  int code(std::size_t row, std::size_t k) const { return nibble(words, k, row); }
  int zero(std::size_t row, std::size_t g) const { return nibble(zeros, g, row); }
};

// Signed bytes row by row.
struct ByteSource {
  std::span<const std::byte> codes;
  std::size_t cols;
  GroupScales scales;

  std::size_t group_of(std::size_t) const { return 0; }
  float scale(std::size_t row, std::size_t g) const { return scales.at(row, g); }
  int code(std::size_t row, std::size_t k) const {
    return static_cast<std::int8_t>(codes[row * cols + k]) + 128;
  }
  int zero(std::size_t, std::size_t) const { return 128; }
};

// bitsandbytes: nibbles of the flattened matrix, the high one first, and a scale for each run of
// `run` elements.
class Codebook4Matrix final : public EncodedMatrix {
 public:
  Codebook4Matrix(std::span<const std::byte> codes, std::vector<float> scales, std::size_t run,
                  std::size_t cols)
      : codes_(codes), scales_(std::move(scales)), run_(run), cols_(cols) {}

  void rows(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    std::byte* at = out.data();
    const std::size_t first = static_cast<std::size_t>(begin) * cols_;
    for (std::size_t i = first; i < first + static_cast<std::size_t>(n) * cols_; i += 32) {
      BlockCodebook4 block{};
      block.d = scales_[i / run_];
      for (std::size_t j = 0; j < 16; ++j) {
        block.qs[j] = static_cast<std::uint8_t>(code(i + j) | code(i + j + 16) << 4);
      }
      std::memcpy(at, &block, sizeof block);
      at += sizeof block;
    }
  }

 private:
  int code(std::size_t i) const {
    const auto byte = static_cast<int>(codes_[i / 2]);
    return i % 2 == 0 ? byte >> 4 : byte & 15;
  }

  std::span<const std::byte> codes_;
  std::vector<float> scales_;
  std::size_t run_;
  std::size_t cols_;
};

}  // namespace rbee
