// FixtureCopy: a model of tests/data/fixtures in host memory, to be written again with other names,
// values or keys, in either format. For tests.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/ref/ref_backend.hpp"
#include "base/json.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/gguf.hpp"
#include "checkpoint/tensor_data.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "model/family.hpp"
#include "model/testing/stepper.hpp"

namespace rbee::testing {

struct FixtureTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

struct FixtureCopy {
  std::map<std::string, FixtureTensor> tensors;
  Json config;     // of safetensors
  GgufImage keys;  // of GGUF

  explicit FixtureCopy(const std::filesystem::path& path) {
    const auto checkpoint = Checkpoint::open(path);
    for (const TensorInfo& tensor : checkpoint->tensors()) {
      std::size_t count = 1;
      for (const std::int64_t side : tensor.shape) count *= static_cast<std::size_t>(side);
      std::vector<float> values(count);
      dequantize_row(tensor.type, TensorData(tensor).bytes(), values);
      tensors[tensor.name] = {tensor.shape, std::move(values)};
    }
    if (checkpoint->config() != nullptr) config = *checkpoint->config();
    if (checkpoint->gguf() == nullptr) return;
    for (const GgufEntry& entry : checkpoint->gguf()->entries()) {
      const bool wanted = !entry.is_array && !entry.key.starts_with("tokenizer.");
      if (!wanted) continue;
      keys.set_raw(entry.key, entry.element,
                   {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()});
    }
  }

  // Moves a tensor to another name.
  void rename(const std::string& from, const std::string& to) {
    auto node = tensors.extract(from);
    node.key() = to;
    tensors.insert(std::move(node));
  }
  // [rows, cols] becomes [cols, rows].
  void transpose(const std::string& name) {
    FixtureTensor& tensor = tensors.at(name);
    const auto rows = static_cast<std::size_t>(tensor.shape[0]);
    const auto cols = static_cast<std::size_t>(tensor.shape[1]);
    std::vector<float> values(tensor.values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i % cols * rows + i / cols] = tensor.values[i];
    }
    tensor = {{tensor.shape[1], tensor.shape[0]}, std::move(values)};
  }
  void scale(const std::string& name, float factor) {
    for (float& value : tensors.at(name).values) value *= factor;
  }

  std::filesystem::path write_safetensors(const TempFolder& folder) const {
    SafetensorsImage image;
    for (const auto& [name, tensor] : tensors) image.add_tensor(name, tensor.shape, tensor.values);
    folder.write("config.json", dump_json(config));
    folder.write("model.safetensors", image.bytes());
    return folder.path();
  }
  std::filesystem::path write_gguf(const TempFolder& folder) const {
    GgufImage image = keys;
    for (const auto& [name, tensor] : tensors) image.add_tensor(name, tensor.shape, tensor.values);
    folder.write("model.gguf", image.bytes());
    return folder.path() / "model.gguf";
  }
};

// The logits of some tokens, on the reference backend.
inline Logits logits_of(const std::filesystem::path& path) {
  const auto checkpoint = Checkpoint::open(path);
  RefBackend backend;
  Loader loader(*checkpoint, &backend);
  const auto model = find_family(*checkpoint, all_families()).build(loader);
  loader.check_all_used();
  Stepper stepper(backend, *model, 4);
  Stepper::Sequence sequence;
  const std::vector<std::int32_t> prompt{1, 5, 9, 2, 5, 33, 60, 7, 12, 3, 3, 41};
  return stepper.feed(sequence, prompt);
}
inline Logits logits_of_safetensors(const FixtureCopy& copy) {
  const TempFolder folder;
  return logits_of(copy.write_safetensors(folder));
}
inline Logits logits_of_gguf(const FixtureCopy& copy) {
  const TempFolder folder;
  return logits_of(copy.write_gguf(folder));
}

// The largest difference of any logit.
inline float distance(const Logits& a, const Logits& b) {
  float worst = 0;
  for (std::size_t t = 0; t < a.size(); ++t) {
    for (std::size_t i = 0; i < a[t].size(); ++i) {
      worst = std::max(worst, std::abs(a[t][i] - b[t][i]));
    }
  }
  return worst;
}

}  // namespace rbee::testing
