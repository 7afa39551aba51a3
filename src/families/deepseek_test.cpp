// What the fixtures of DeepSeek do not show: files from before the latent was cached, the limit of
// sparse attention, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "backend/ref/ref_backend.hpp"
#include "base/json.hpp"
#include "base/load_error.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "model/family.hpp"
#include "model/testing/stepper.hpp"

namespace rbee {
namespace {

using testing::GgufImage;
using ::testing::HasSubstr;
using testing::Logits;
using testing::SafetensorsImage;
using testing::Stepper;
using testing::TempFolder;

const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";
const std::vector<std::int32_t> kPrompt{1, 5, 9, 2, 5, 33, 60, 7, 12, 3, 3, 41};

struct Loaded {
  RefBackend backend;
  std::unique_ptr<Model> model;
};

std::unique_ptr<Loaded> load(const std::filesystem::path& path) {
  const auto checkpoint = Checkpoint::open(path);
  auto loaded = std::make_unique<Loaded>();
  Loader loader(*checkpoint, &loaded->backend);
  loaded->model = find_family(*checkpoint, all_families()).build(loader);
  loader.check_all_used();
  return loaded;
}

Logits run(const std::filesystem::path& path, std::vector<std::int32_t> prompt = kPrompt) {
  const auto loaded = load(path);
  Stepper stepper(loaded->backend, *loaded->model, 4);
  Stepper::Sequence sequence;
  return stepper.feed(sequence, prompt);
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string error_of(const std::filesystem::path& path) {
  try {
    load(path);
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

// The GGUF fixture with the metadata and the one tensor of both products that files had until 2025;
// the matrix is taken from the safetensors fixture, whose layout it shares.
GgufImage legacy_image(const std::string& architecture) {
  const auto hf = Checkpoint::open(kFixtures / "deepseek_v2_lite");
  const auto gguf = Checkpoint::open(kFixtures / "deepseek_v2_lite" / "model.gguf");
  const auto integer = [&](const char* key) { return *gguf->integer(Key{"", key}); };
  GgufImage image;
  const std::string prefix = architecture + ".";
  image.set("general.architecture", architecture.c_str());
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length",
        "attention.head_count", "attention.kv_lora_rank", "rope.dimension_count", "expert_count",
        "expert_used_count", "expert_shared_count", "expert_feed_forward_length",
        "leading_dense_block_count", "rope.scaling.original_context_length"}) {
    image.set(prefix + key, static_cast<std::uint32_t>(integer(key)));
  }
  for (const char* key : {"attention.layer_norm_rms_epsilon", "rope.freq_base",
                          "rope.scaling.factor", "rope.scaling.yarn_log_multiplier"}) {
    image.set(prefix + key, static_cast<float>(*gguf->real(Key{"", key})));
  }
  image.set(prefix + "rope.scaling.type", "yarn");
  const auto mla = [&](const char* key) {
    return static_cast<std::uint32_t>(integer((std::string(key) + "_mla").c_str()));
  };
  image.set(prefix + "attention.head_count_kv",
            static_cast<std::uint32_t>(integer("attention.head_count")));
  image.set(prefix + "attention.key_length", mla("attention.key_length"));
  image.set(prefix + "attention.value_length", mla("attention.value_length"));
  for (const TensorInfo& tensor : gguf->tensors()) {
    if (tensor.name.find("attn_v_b") != std::string::npos) continue;
    if (const auto at = tensor.name.find("attn_k_b"); at != std::string::npos) {
      const std::string layer = tensor.name.substr(4, at - 5);
      const TensorInfo* both = hf->find("model.layers." + layer + ".self_attn.kv_b_proj.weight");
      image.add_tensor("blk." + layer + ".attn_kv_b.weight", both->type, both->shape,
                       text_of(both->bytes));
      continue;
    }
    image.add_tensor(tensor.name, tensor.type, tensor.shape, text_of(tensor.bytes));
  }
  return image;
}

TEST(DeepSeek, ReadsFilesFromBeforeTheLatentWasCached) {
  const TempFolder folder;
  const auto path = folder.write("legacy.gguf", legacy_image("deepseek2").bytes());
  EXPECT_EQ(run(path), run(kFixtures / "deepseek_v2_lite" / "model.gguf"));
}

// GGUF counts the layer that predicts a further token as a block, and has the limit in its own key.
TEST(DeepSeek, ReadsGgufOfV32) {
  GgufImage image = legacy_image("deepseek32");
  image.entry("deepseek32.block_count").value = testing::raw(std::uint32_t{4});
  image.set("deepseek32.nextn_predict_layers", std::uint32_t{1});
  image.set("deepseek32.attention.indexer.top_k", std::uint32_t{64});
  const std::vector<float> values{1, 2};
  image.add_tensor("blk.0.indexer.proj.weight", {2}, values);
  image.add_tensor("blk.3.nextn.enorm.weight", {2}, values);
  const TempFolder folder;
  const auto path = folder.write("v32.gguf", image.bytes());
  EXPECT_EQ(run(path), run(kFixtures / "deepseek_v2_lite" / "model.gguf"));
  EXPECT_EQ(load(path)->model->info().context_limit, 64);
}

TEST(DeepSeek, KeepsOneRowOfLatentsForEachToken) {
  const auto loaded = load(kFixtures / "deepseek_v3");
  constexpr std::size_t kLayers = 3, kLatent = 24, kRope = 16;
  EXPECT_EQ(loaded->backend.page_bytes(loaded->model->info().state),
            kLayers * (kLatent + kRope) * sizeof(float) * kPageTokens);
}

// deepseek_v3 under the name of V3.2, with changes to config.json and with an indexer.
std::filesystem::path write_v32(const TempFolder& folder, const char* changes) {
  const std::filesystem::path from = kFixtures / "deepseek_v3";
  std::ifstream in(from / "config.json");
  Json config = parse_json(std::string(std::istreambuf_iterator<char>(in), {}));
  config["architectures"] = {"DeepseekV32ForCausalLM"};
  config["model_type"] = "deepseek_v32";
  config.merge_patch(parse_json(changes));
  folder.write("config.json", config.dump());
  std::filesystem::copy_file(from / "model.safetensors", folder.path() / "model-1.safetensors");
  SafetensorsImage indexer;
  for (int i = 0; i < 3; ++i) {
    const std::string name = "model.layers." + std::to_string(i) + ".self_attn.indexer.";
    for (const char* part :
         {"wq_b.weight", "wk.weight", "k_norm.weight", "k_norm.bias", "weights_proj.weight"}) {
      indexer.add_tensor(name + part, {2}, std::vector<float>{1, 2});
    }
  }
  folder.write("model-2.safetensors", indexer.bytes());
  return folder.path();
}

TEST(DeepSeek, SparseAttentionIsPlainUpToItsLimit) {
  const TempFolder folder;
  const auto path = write_v32(folder, R"({"index_topk": 32})");
  EXPECT_EQ(run(path), run(kFixtures / "deepseek_v3"));

  const auto loaded = load(path);
  EXPECT_EQ(loaded->model->info().max_context, 32);
  EXPECT_EQ(loaded->model->info().context_limit, 32);
  const std::vector<std::int32_t> full(32, 5), longer(33, 5);
  EXPECT_EQ(run(path, full).size(), 32U);
  EXPECT_THROW(run(path, longer), BackendError);
}

TEST(DeepSeek, SparseAttentionWithoutALimitIsRefused) {
  const TempFolder folder;
  EXPECT_THAT(error_of(write_v32(folder, "{}")), HasSubstr("key 'index_topk'"));
}

std::string error_with(const char* changes) {
  const TempFolder folder;
  std::string all = std::string(R"({"index_topk": 32, )") + changes + "}";
  return error_of(write_v32(folder, all.c_str()));
}

TEST(DeepSeek, RefusesConfigurationsThatDoNotAddUp) {
  EXPECT_THAT(error_with(R"("kv_lora_rank": 0)"), HasSubstr("key 'kv_lora_rank'"));
  EXPECT_THAT(error_with(R"("qk_rope_head_dim": 15)"), HasSubstr("an even number, found 15"));
  EXPECT_THAT(error_with(R"("n_group": 3)"), HasSubstr("a divisor of the 8 experts, found 3"));
  EXPECT_THAT(error_with(R"("topk_group": 1)"),
              HasSubstr("up to 4 groups, with 3 experts in them, found 1 of 2"));
  EXPECT_THAT(error_with(R"("num_experts_per_tok": 9)"), HasSubstr("from 1 to 8, found 9"));
  EXPECT_THAT(error_with(R"("scoring_func": "tanh")"),
              HasSubstr("softmax or sigmoid, found 'tanh'"));
  EXPECT_THAT(error_with(R"("v_head_dim": 17)"), HasSubstr("kv_b_proj.weight"));
}

}  // namespace
}  // namespace rbee
