// A Checkpoint in the layout of the Hugging Face hub: config.json and *.safetensors.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/tensor_table.hpp"

namespace rbee {

// The config.json of a model folder, or the one beside a .safetensors file.
std::filesystem::path config_path(const std::filesystem::path& model);

class SafetensorsCheckpoint final : public Checkpoint {
 public:
  // path: the folder, or one file in it. In a folder, model.safetensors is taken when there is one;
  // else the shards that model.safetensors.index.json lists; else all *.safetensors files. Throws
  // LoadError.
  explicit SafetensorsCheckpoint(std::filesystem::path path);
  ~SafetensorsCheckpoint() override;

  Format format() const override { return Format::safetensors; }
  const std::filesystem::path& path() const override { return path_; }
  const std::string& architecture() const override { return architecture_; }
  const TensorInfo* find(std::string_view name) const override { return table_.find(name); }
  std::span<const TensorInfo> tensors() const override { return table_.tensors(); }
  std::span<const OpaqueTensor> opaque_tensors() const override { return table_.opaque(); }
  const Json* config() const override { return config_.get(); }

 private:
  std::filesystem::path path_;
  std::unique_ptr<const Json> config_;
  std::string architecture_;
  std::vector<MappedFile> maps_;  // what the table points into
  TensorTable table_;
};

}  // namespace rbee
