// StableLM 2 12B with a single key head, which no fixture has.
#include <gtest/gtest.h>

#include "model/testing/fixture_copy.hpp"

namespace rbee {
namespace {

using testing::FixtureCopy;
using testing::FixtureTensor;

constexpr std::int64_t kHeadDim = 8;

std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / name;
}

// Keeps the first rows of matrices and the first elements of vectors.
void cut(FixtureTensor& tensor, std::int64_t rows) {
  tensor.shape.front() = rows;
  std::size_t size = 1;
  for (const std::int64_t side : tensor.shape) size *= static_cast<std::size_t>(side);
  tensor.values.resize(size);
}

testing::GgufImage keys_with_one_head(const std::filesystem::path& path) {
  constexpr const char* kKvHeads = "stablelm.attention.head_count_kv";
  testing::GgufImage keys;
  keys.set(kKvHeads, std::uint32_t{1});
  const auto checkpoint = Checkpoint::open(path);
  for (const GgufEntry& entry : checkpoint->gguf()->entries()) {
    if (entry.is_array || entry.key == kKvHeads || entry.key.starts_with("tokenizer.")) continue;
    keys.set_raw(entry.key, entry.element,
                 {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()});
  }
  return keys;
}

TEST(StableLm, OneKeyHead) {
  FixtureCopy hf(fixture("stablelm2_12b")), gguf(fixture("stablelm2_12b/model.gguf"));
  hf.config["num_key_value_heads"] = 1;
  std::erase_if(hf.tensors, [](const auto& tensor) {
    return tensor.first.find("k_layernorm.norms.1.") != std::string::npos;
  });
  for (auto& [name, tensor] : hf.tensors) {
    const bool key_or_value =
        name.find(".k_proj.") != name.npos || name.find(".v_proj.") != name.npos;
    if (key_or_value) cut(tensor, kHeadDim);
  }
  gguf.keys = keys_with_one_head(fixture("stablelm2_12b/model.gguf"));
  for (auto& [name, tensor] : gguf.tensors) {
    if (name.find(".attn_k.") != name.npos || name.find(".attn_v.") != name.npos) {
      cut(tensor, kHeadDim);
    }
    // GGUF has no dimensions of 1 behind the others: the norms of one head are a vector.
    if (name.find(".attn_k_norm.") != name.npos) {
      tensor = {{kHeadDim}, {tensor.values.begin(), tensor.values.begin() + kHeadDim}};
    }
  }
  EXPECT_LT(testing::distance(logits_of_safetensors(hf), logits_of_gguf(gguf)), 1e-4F);
}

}  // namespace
}  // namespace rbee
