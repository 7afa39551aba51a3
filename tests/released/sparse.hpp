// Sparse checkpoints of published models: true names, shapes and types, and no data. A file is a
// header and a length; the disk holds nothing of what follows.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee::released {

struct SparseTensor {
  std::string name;
  std::string type;
  std::vector<std::int64_t> shape;

  std::int64_t elements() const;
};

// Models of tests/data/released (its README says what they hold), in order of their names.
std::vector<std::filesystem::path> all_models();
Json read_model(const std::filesystem::path& file);

// The tensors that a folded list of one of them stands for.
std::vector<SparseTensor> unfold(const Json& rows);

// Write a checkpoint into the folder and give the path to open. That of safetensors is cut into
// files of about 5 GB with an index, as on the hub.
std::filesystem::path write_safetensors(const Json& model, const testing::TempFolder& folder);
std::filesystem::path write_gguf(const Json& model, const testing::TempFolder& folder);

}  // namespace rbee::released
