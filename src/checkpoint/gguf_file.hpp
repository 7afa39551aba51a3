// Reads the header of one GGUF file (one part of a split set).
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf.hpp"
#include "checkpoint/gguf_types.hpp"

namespace rbee {

// One tensor as the file describes it; views into the bytes the file was read from.
struct GgufTensor {
  std::string_view name;
  const GgufTensorType* type = nullptr;
  std::vector<std::int64_t> shape;  // torch order
  std::span<const std::byte> bytes;
};

struct GgufFile {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in file order
};

// bytes: the whole file, version 2 or 3, little-endian. Only the header is read, never tensor data.
// Throws LoadError for anything that is not as the format says; allocates no more than a small
// multiple of the header's size. file is for error messages.
GgufFile read_gguf(const std::string& file, std::span<const std::byte> bytes);

}  // namespace rbee
