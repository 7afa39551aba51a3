// SafetensorsImage: a small safetensors file for tests. What add_tensor builds is valid; the fields
// are open so that a test can then spoil them.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.hpp"

namespace rbee::testing {

struct SafetensorsImage {
  struct Tensor {
    std::string name;
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  std::vector<Tensor> tensors;
  std::string data;
  std::string metadata;                        // JSON of __metadata__; empty: none
  std::optional<std::string> header;           // instead of the one that describes the tensors
  std::optional<std::uint64_t> header_length;  // as written, when it is to differ

  // Adds a tensor after those before it. contents: its encoded bytes.
  SafetensorsImage& add_tensor(std::string_view name, std::string_view dtype,
                               std::vector<std::int64_t> shape, std::string_view contents);
  SafetensorsImage& add_tensor(std::string_view name, std::vector<std::int64_t> shape,
                               std::span<const float> values);

  std::string header_text() const;
  std::string bytes() const;  // the whole file
};

// The text of a model.safetensors.index.json: pairs of tensor name and file name.
std::string index_text(const std::vector<std::pair<std::string, std::string>>& weight_map);

}  // namespace rbee::testing
