// Reads the header of one safetensors file, and the index of a sharded set.
// Format: https://huggingface.co/docs/safetensors (8-byte length, JSON header, then the data).
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/dtype.hpp"

namespace rbee {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;          // "BF16", as the file spells it
  std::optional<DType> type;  // nullopt: a type that nothing here computes with
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // in the file
};

// bytes: the whole file. Only the header is read. Throws LoadError unless the header is valid and
// the tensors tile the data exactly; allocates no more than a multiple of the header's size.
std::vector<SafetensorsTensor> read_safetensors(const std::string& file,
                                                std::span<const std::byte> bytes);

// Tensor name and the name of the file that holds it, from the weight_map of an index file. Throws
// LoadError when a file name leaves the folder or is no *.safetensors.
std::vector<std::pair<std::string, std::string>> read_safetensors_index(
    const std::string& file, std::span<const std::byte> bytes);

}  // namespace rbee
