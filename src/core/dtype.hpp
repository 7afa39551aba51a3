// Storage types of tensors: plain numbers and the block-quantised types of GGUF.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace rbee {

enum class DType : std::uint8_t {
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
  // Blocks of 32 with float32 scales, made from the encodings of safetensors repositories.
  f8_e4m3,
  int4,
  int8,
  nf4,
  fp4,
};

// Whether GGUF files can hold the type; the others exist in memory only.
constexpr bool is_gguf_type(DType type) noexcept { return type < DType::f8_e4m3; }

struct DTypeInfo {
  std::string_view name;    // "Q4_K": the GGUF spelling
  int block;                // elements per block; a row is a whole number of blocks
  std::size_t block_bytes;  // bytes per block
  bool quantised;
};

const DTypeInfo& info(DType type) noexcept;
std::span<const DType> all_dtypes() noexcept;
std::optional<DType> dtype_from_name(std::string_view name) noexcept;

// Bytes of one row of cols elements. Precondition: cols is a multiple of the block.
inline std::size_t row_bytes(DType type, std::size_t cols) noexcept {
  return cols / static_cast<std::size_t>(info(type).block) * info(type).block_bytes;
}

// Elements of a tensor of a file; 1 for no extents. The checkpoint has compared them with the
// bytes.
inline std::int64_t element_count(std::span<const std::int64_t> shape) noexcept {
  std::uint64_t count = 1;  // without a sign: beside a zero, extents may be anything
  for (const std::int64_t extent : shape) count *= static_cast<std::uint64_t>(extent);
  return static_cast<std::int64_t>(count);
}

}  // namespace rbee
