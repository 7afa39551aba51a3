// A Checkpoint of one GGUF file or of a split set of them.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/gguf.hpp"
#include "checkpoint/tensor_table.hpp"

namespace rbee {

class GgufCheckpoint final : public Checkpoint {
 public:
  // path: the file, or the first part (name-00001-of-0000N.gguf) of a set. Throws LoadError.
  explicit GgufCheckpoint(std::filesystem::path path);

  Format format() const override { return Format::gguf; }
  const std::filesystem::path& path() const override { return path_; }
  const std::string& architecture() const override { return architecture_; }
  const TensorInfo* find(std::string_view name) const override { return table_.find(name); }
  std::span<const TensorInfo> tensors() const override { return table_.tensors(); }
  std::span<const OpaqueTensor> opaque_tensors() const override { return table_.opaque(); }
  const GgufMetadata* gguf() const override { return &metadata_; }

 private:
  std::filesystem::path path_;
  std::vector<MappedFile> maps_;  // what all views below point into
  GgufMetadata metadata_;         // of the first part
  std::string architecture_;
  TensorTable table_;
};

}  // namespace rbee
