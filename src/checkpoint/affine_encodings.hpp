// Matrices of whole codes with a scale and an offset for each group of columns:
// value(row, k) = scale(row, group of k) * (code(row, k) - zero(row, group of k)).
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "checkpoint/encoded_matrix.hpp"
#include "checkpoint/float16.hpp"
#include "checkpoint/quant_blocks.hpp"
#include "core/dtype.hpp"

namespace rbee {

// Word number i of a tensor of 32-bit words.
inline std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t i) noexcept {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + i * sizeof word, sizeof word);
  return word;
}

// Blocks of 32 need groups that are whole numbers of them; other shapes are decoded to F32.
inline DType affine_type(int bits, std::int64_t cols, std::int64_t group) noexcept {
  if (cols % 32 != 0 || (group % 32 != 0 && group < cols)) return DType::f32;
  return bits <= 4 ? DType::int4 : DType::int8;
}

// Source: rows and columns as std::size_t;
//   int code(row, k), float scale(row, group), int zero(row, group), std::size_t group_of(k).
template <class Source>
class AffineMatrix final : public EncodedMatrix {
 public:
  AffineMatrix(Source source, DType type, std::size_t cols)
      : source_(std::move(source)), type_(type), cols_(cols) {}

  void rows(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const override {
    const std::size_t row_size = row_bytes(type_, cols_);
    const auto first = static_cast<std::size_t>(begin);
    const auto step = static_cast<std::size_t>(info(type_).block) == 32 ? 32 : cols_;
    // Columns outside, rows inside: the codes of some encodings lie row beside row.
    for (std::size_t k = 0; k < cols_; k += step) {
      for (std::size_t r = 0; r < static_cast<std::size_t>(n); ++r) {
        write(first + r, k, out.data() + r * row_size + row_bytes(type_, k));
      }
    }
  }

 private:
  void write(std::size_t row, std::size_t k, std::byte* out) const {
    if (type_ == DType::int4) return write_int4(row, k, out);
    if (type_ == DType::int8) return write_int8(row, k, out);
    for (; k < cols_; ++k, out += row_bytes(type_, 1)) write_plain(row, k, out);
  }

  void write_int4(std::size_t row, std::size_t k, std::byte* out) const {
    const std::size_t group = source_.group_of(k);
    BlockInt4 block{};
    block.d = source_.scale(row, group);
    block.m = block.d * static_cast<float>(8 - source_.zero(row, group));
    for (std::size_t i = 0; i < 16; ++i) {
      block.qs[i] =
          static_cast<std::uint8_t>(source_.code(row, k + i) | source_.code(row, k + 16 + i) << 4);
    }
    std::memcpy(out, &block, sizeof block);
  }

  void write_int8(std::size_t row, std::size_t k, std::byte* out) const {
    const std::size_t group = source_.group_of(k);
    BlockInt8 block{};
    block.d = source_.scale(row, group);
    block.m = block.d * static_cast<float>(128 - source_.zero(row, group));
    for (std::size_t i = 0; i < 32; ++i) {
      block.qs[i] = static_cast<std::int8_t>(source_.code(row, k + i) - 128);
    }
    std::memcpy(out, &block, sizeof block);
  }

  void write_plain(std::size_t row, std::size_t k, std::byte* out) const {
    const std::size_t group = source_.group_of(k);
    const float value = source_.scale(row, group) *
                        static_cast<float>(source_.code(row, k) - source_.zero(row, group));
    if (type_ == DType::f16) {
      const std::uint16_t half = float_to_f16(value);
      std::memcpy(out, &half, sizeof half);
    } else {
      std::memcpy(out, &value, sizeof value);
    }
  }

  Source source_;
  DType type_;
  std::size_t cols_;
};

}  // namespace rbee
