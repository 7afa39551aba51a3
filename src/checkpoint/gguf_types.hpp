// The tensor types of GGUF by their numbers in the file.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dtype.hpp"

namespace rbee {

struct GgufTensorType {
  std::string_view name;
  std::uint32_t block;         // elements per block
  std::uint32_t block_bytes;   // 0: the number was in use once and has been withdrawn
  std::optional<DType> dtype;  // nullopt: of known size, but nothing here computes with it
};

// Nullptr for a number that was never given out.
const GgufTensorType* gguf_tensor_type(std::uint32_t id) noexcept;

// The number of a type, for writers.
std::uint32_t gguf_type_id(DType type) noexcept;

}  // namespace rbee
