// Every fixture opens in both formats and says the same of the model in each.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/gguf.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

constexpr Key kLayers{"num_hidden_layers", "block_count"};
constexpr Key kHidden{"hidden_size", "embedding_length"};
constexpr Key kInner{"intermediate_size", "feed_forward_length"};
constexpr Key kHeads{"num_attention_heads", "attention.head_count"};
constexpr Key kKvHeads{"num_key_value_heads", "attention.head_count_kv"};
constexpr Key kContext{"max_position_embeddings", "context_length"};
constexpr Key kTheta{"rope_theta|rope_parameters.rope_theta", "rope.freq_base"};
constexpr Key kEpsilon{"rms_norm_eps", "attention.layer_norm_rms_epsilon"};

// The Llama-shaped ones, whose keys and names are equal but for their spelling; the conformance
// tests run the others.
std::vector<fs::path> fixtures() {
  std::vector<fs::path> out;
  for (const char* name : {"llama2", "llama3", "llama_k256", "mistral", "smollm", "yi"}) {
    out.push_back(fs::path(RBEE_TEST_DATA "/fixtures") / name);
  }
  return out;
}

std::vector<fs::path> gguf_files(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".gguf") out.push_back(entry.path());
  }
  return out;
}

void expect_same_config(const Checkpoint& hf, const Checkpoint& gguf) {
  for (const Key& key : {kLayers, kHidden, kInner, kHeads, kContext}) {
    ASSERT_TRUE(hf.integer(key).has_value()) << key.hf;
    EXPECT_EQ(hf.integer(key), gguf.integer(key)) << key.hf;
  }
  const auto heads = hf.integer(kHeads);
  EXPECT_EQ(hf.integer(kKvHeads).value_or(*heads), gguf.integer(kKvHeads).value_or(*heads));
  EXPECT_FLOAT_EQ(static_cast<float>(hf.real(kTheta).value_or(10000)),
                  static_cast<float>(gguf.real(kTheta).value_or(10000)));
  EXPECT_FLOAT_EQ(static_cast<float>(hf.real(kEpsilon).value()),
                  static_cast<float>(gguf.real(kEpsilon).value()));
}

void expect_whole_tensors(const Checkpoint& checkpoint) {
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    std::size_t rows = 1;
    for (std::size_t i = 0; i + 1 < tensor.shape.size(); ++i) {
      rows *= static_cast<std::size_t>(tensor.shape[i]);
    }
    const auto cols = static_cast<std::size_t>(tensor.shape.back());
    EXPECT_EQ(tensor.bytes.size(), rows * row_bytes(tensor.type, cols)) << tensor.name;
    EXPECT_EQ(checkpoint.find(tensor.name), &tensor);
  }
}

TEST(Fixtures, SayTheSameInBothFormats) {
  ASSERT_FALSE(fixtures().empty());
  for (const fs::path& folder : fixtures()) {
    SCOPED_TRACE(folder.string());
    const auto hf = Checkpoint::open(folder);
    EXPECT_EQ(hf->format(), Format::safetensors);
    EXPECT_EQ(hf->gguf(), nullptr);
    ASSERT_NE(hf->config(), nullptr);
    EXPECT_EQ(hf->architecture(), hf->config()->at("architectures").at(0).get<std::string>());
    EXPECT_FALSE(hf->tensors().empty());
    expect_whole_tensors(*hf);
    const TensorInfo* hf_embedding = hf->find("model.embed_tokens.weight");
    ASSERT_NE(hf_embedding, nullptr);

    ASSERT_FALSE(gguf_files(folder).empty());
    for (const fs::path& file : gguf_files(folder)) {
      SCOPED_TRACE(file.string());
      const auto gguf = Checkpoint::open(file);
      EXPECT_EQ(gguf->format(), Format::gguf);
      EXPECT_EQ(gguf->config(), nullptr);
      EXPECT_EQ(gguf->architecture(), "llama");
      expect_same_config(*hf, *gguf);
      expect_whole_tensors(*gguf);
      const TensorInfo* embedding = gguf->find("token_embd.weight");
      ASSERT_NE(embedding, nullptr);
      EXPECT_EQ(embedding->shape, hf_embedding->shape);
      const auto tokens = gguf->gguf()->strings("tokenizer.ggml.tokens");
      ASSERT_TRUE(tokens.has_value());
      EXPECT_EQ(static_cast<std::int64_t>(tokens->size()), embedding->shape[0]);
      const auto types = gguf->gguf()->integers("tokenizer.ggml.token_type");
      ASSERT_TRUE(types.has_value());
      EXPECT_EQ(types->size(), tokens->size());
    }
  }
}

}  // namespace
}  // namespace rbee
