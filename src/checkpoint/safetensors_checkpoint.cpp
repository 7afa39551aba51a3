#include "checkpoint/safetensors_checkpoint.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/hf_config.hpp"
#include "checkpoint/safetensors_encodings.hpp"
#include "checkpoint/safetensors_file.hpp"

namespace rbee {
namespace {

using Path = std::filesystem::path;
// Tensor names and, for each, the file that holds it.
using Index = std::vector<std::pair<std::string, std::string>>;

struct Sources {
  std::vector<Path> files;
  Path index_file;  // empty: there is none
  Index index;
};

std::vector<Path> safetensors_in(const Path& folder) {
  std::vector<Path> files;
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator(folder, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    if (at->path().extension() == ".safetensors") files.push_back(at->path());
  }
  if (error) throw LoadError(folder.string(), "folder", "a readable one", error.message());
  std::ranges::sort(files);
  return files;
}

Sources find_sources(const Path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return {{path}, {}, {}};
  const Path single = path / "model.safetensors";
  if (std::filesystem::exists(single, error)) return {{single}, {}, {}};

  Sources out;
  const Path index_file = path / "model.safetensors.index.json";
  if (std::filesystem::exists(index_file, error)) {
    const MappedFile file(index_file);
    out.index_file = index_file;
    out.index = read_safetensors_index(index_file.string(), file.bytes());
    for (const auto& [tensor, shard] : out.index) out.files.push_back(path / shard);
    std::ranges::sort(out.files);
    out.files.erase(std::unique(out.files.begin(), out.files.end()), out.files.end());
  } else {
    out.files = safetensors_in(path);
  }
  if (out.files.empty()) {
    throw LoadError(path.string(), "folder", "*.safetensors files (a .gguf file is named itself)",
                    "none");
  }
  return out;
}

void append(std::vector<SafetensorsTensor> from, const std::string& file,
            std::vector<StoredTensor>& to) {
  for (SafetensorsTensor& tensor : from) {
    to.push_back({std::move(tensor.name), std::move(tensor.dtype), tensor.type,
                  std::move(tensor.shape), tensor.bytes, file});
  }
}

// Null without one.
const Json* quantisation_of(const Json& config) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    const auto at = config.find(key);
    if (at != config.end() && at->is_object()) return &*at;
  }
  return nullptr;
}

// Encoded matrices as one tensor each; the others as they are.
TensorTable make_table(std::vector<StoredTensor> stored, const Json* quantisation) {
  std::vector<TensorInfo> known = decode_encodings(quantisation, stored);
  std::vector<OpaqueTensor> opaque;
  for (StoredTensor& tensor : stored) {
    if (tensor.type) {
      TensorInfo& info = known.emplace_back();
      info.name = std::move(tensor.name);
      info.type = *tensor.type;
      info.shape = std::move(tensor.shape);
      info.bytes = tensor.bytes;
      info.file = std::move(tensor.file);
    } else {
      opaque.push_back({std::move(tensor.name), std::move(tensor.dtype), std::move(tensor.shape),
                        tensor.bytes.size(), std::move(tensor.file)});
    }
  }
  return {std::move(known), std::move(opaque)};
}

// No name may occur twice. Each tensor of the index must be in the file that the index names. A
// tensor that the index leaves out does no harm.
void check_index(const Sources& sources, const Path& folder,
                 const std::vector<StoredTensor>& stored) {
  std::map<std::string_view, std::string_view> file_of;
  for (const StoredTensor& tensor : stored) {
    const auto [at, added] = file_of.try_emplace(tensor.name, tensor.file);
    if (added) continue;
    throw LoadError(tensor.file, "tensor " + in_quotes(tensor.name), "one of that name",
                    "another in " + std::string(at->second));
  }
  for (const auto& [tensor, shard] : sources.index) {
    const auto at = file_of.find(tensor);
    const std::string expected = (folder / shard).string();
    if (at != file_of.end() && at->second == expected) continue;
    throw LoadError(sources.index_file.string(), "tensor " + in_quotes(tensor), "it in " + expected,
                    at == file_of.end() ? "it in no file" : "it in " + std::string(at->second));
  }
}

void refuse_duplicates(const Sources& sources) {
  std::vector<std::string_view> names;
  for (const auto& [tensor, shard] : sources.index) names.push_back(tensor);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return;
  throw LoadError(sources.index_file.string(), "tensor " + in_quotes(*twice), "one file",
                  "the tensor twice");
}

}  // namespace

Path config_path(const Path& model) {
  std::error_code error;
  const bool folder = std::filesystem::is_directory(model, error);
  return (folder ? model : model.parent_path()) / "config.json";
}

SafetensorsCheckpoint::SafetensorsCheckpoint(Path path) : path_(std::move(path)) {
  const Path config_file = config_path(path_);
  config_ = std::make_unique<const Json>(read_hf_config(config_file));
  architecture_ = hf_architecture(config_file.string(), *config_);
  const Json* quantisation = quantisation_of(*config_);
  check_quantisation(config_file.string(), quantisation);
  const Sources sources = find_sources(path_);
  refuse_duplicates(sources);
  std::vector<StoredTensor> stored;
  for (const Path& file : sources.files) {
    maps_.emplace_back(file);
    append(read_safetensors(file.string(), maps_.back().bytes()), file.string(), stored);
  }
  check_index(sources, path_, stored);
  table_ = make_table(std::move(stored), quantisation);
}

SafetensorsCheckpoint::~SafetensorsCheckpoint() = default;

}  // namespace rbee
