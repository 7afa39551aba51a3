// Every fixture's safetensors as a GGUF file of ours: the same logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/hf_config.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "convert/convert.hpp"
#include "fixture.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee::conformance {
namespace {

float distance(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
  return most;
}

class ConvertTest : public ::testing::TestWithParam<Fixture> {
 protected:
  std::filesystem::path converted(const std::string& type) {
    auto path = folder_.path() / (type + ".gguf");
    report_ = convert(fixture_.model, path, {.type = type, .threads = 2});
    return path;
  }

  // The greatest distance of a logit from the model's own at each position of the prompt,
  // ascending.
  std::vector<float> distances(const std::filesystem::path& path) const {
    const auto expected = logits(fixture_.model), found = logits(path);
    std::vector<float> all;
    for (std::size_t t = 0; t < expected.size(); ++t) {
      all.push_back(distance(expected[t], found[t]));
    }
    std::ranges::sort(all);
    return all;
  }

  testing::Logits logits(const std::filesystem::path& path) const {
    Running run(path, reference(), golden_.length());
    testing::Stepper::Sequence sequence;
    return run.stepper->feed(sequence, golden_.prompt, 0);
  }

  const Fixture fixture_ = GetParam();
  const Golden golden_ = Golden::read(fixture_.golden);
  const testing::TempFolder folder_;
  ConvertReport report_;
};

TEST_P(ConvertTest, FloatsKeepTheLogits) {
  EXPECT_LE(distances(converted("f32")).back(), golden_.tolerance_f32);
  EXPECT_TRUE(report_.warnings.empty()) << report_.warnings.front();
  // The fixtures' numbers are those of bf16, but where a matrix is made of codes and scales.
  EXPECT_LE(distances(converted("bf16")).back(),
            fixture_.quantised ? golden_.tolerance_bf16 : golden_.tolerance_f32);
}

// At some positions a router may choose another expert.
TEST_P(ConvertTest, EightBitsAreNear) {
  const float spread = *std::ranges::max_element(golden_.last_logits) -
                       *std::ranges::min_element(golden_.last_logits);
  const auto all = distances(converted("q8_0"));
  EXPECT_LE(all[all.size() / 2], 0.2F * spread);
}

TEST_P(ConvertTest, TextGetsTheSameTokens) {
  const auto own = Tokenizer::open(fixture_.model);
  const auto file = Tokenizer::open(converted("q8_0"));
  for (const char* text : {"the quick brown fox", " two  spaces\n\nand lines\t", "don't 1234 x2",
                           "\u00fcber \u4e2d\u6587 \U0001F600", ""}) {
    EXPECT_EQ(file->encode(text, {.follow_config = true}),
              own->encode(text, {.follow_config = true}))
        << text;
  }
  EXPECT_EQ(file->bos(), own->bos());
  EXPECT_EQ(file->chat_template(), own->chat_template());
  EXPECT_TRUE(std::ranges::equal(file->end_ids(), own->end_ids()));
}

// What config.json may say and no GGUF key of others can: our files say it by keys of our own.
TEST(ConvertVariants, FilesSayWhatOthersCannot) {
  constexpr std::pair<const char*, const char*> kVariants[] = {
      {"llama2", R"({"hidden_act": "relu"})"},
      {"falcon_7b", R"({"activation": "relu"})"},
      {"gemma2", R"({"query_pre_attn_scalar": 3})"},
      {"gemma2", R"({"attn_logit_softcapping": null, "final_logit_softcapping": null})"},
      {"gemma3", R"({"query_pre_attn_scalar": 3})"},
      {"phimoe", R"({"router_jitter_noise": 10})"},
      {"phimoe_short", R"({"rope_scaling": {"short_mscale": 2}})"},
      {"gpt2", R"({"scale_attn_weights": false})"},
      {"gpt2", R"({"scale_attn_by_inverse_layer_idx": true})"},
      {"deepseek_v3", R"({"rope_interleave": false})"},
      {"deepseek_v3",
       R"({"rope_scaling": {"truncate": false, "original_max_position_embeddings": 64}})"},
      {"gpt_oss",
       R"({"rope_scaling": {"truncate": true, "original_max_position_embeddings": 64}})"},
      {"gpt_oss", R"({"swiglu_limit": 0.5})"},
      {"mamba2", R"({"time_step_limit": [0.2, 0.3]})"},
      {"smollm3", R"({"no_rope_layers": [0, 1, 1, 1]})"},
      {"smollm3", R"({"use_sliding_window": true, "sliding_window": 4, "layer_types": null})"},
      {"qwen2_moe", R"({"use_sliding_window": true, "sliding_window": 4})"},
  };
  for (const auto& [name, patch] : kVariants) {
    const auto fixture = std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / name;
    const Golden golden = Golden::read(fixture / "golden.json");
    const testing::TempFolder folder;
    for (const auto& file : std::filesystem::directory_iterator(fixture)) {
      if (file.path().extension() != ".gguf") {
        std::filesystem::copy(file.path(), folder.path() / file.path().filename());
      }
    }
    Json config = read_hf_config(fixture / "config.json");
    config.update(parse_json(patch), /*merge_objects=*/true);
    folder.write("config.json", config.dump());
    const auto last = [&](const std::filesystem::path& path) {
      Running run(path, reference(), golden.length());
      testing::Stepper::Sequence sequence;
      return run.stepper->feed(sequence, golden.prompt, 0).back();
    };
    const auto file = folder.path() / "model.gguf";
    convert(folder.path(), file, {.type = "f32", .threads = 2});
    const auto expected = last(folder.path()), found = last(file);
    EXPECT_LE(distance(found, expected), golden.tolerance_f32) << name << patch;
    EXPECT_GT(distance(expected, golden.last_logits), 2 * golden.tolerance_f32) << name << patch;
  }
}

std::vector<Fixture> safetensors() {
  std::vector<Fixture> all;
  std::ranges::copy_if(fixtures(), std::back_inserter(all), [](const Fixture& fixture) {
    return std::filesystem::is_directory(fixture.model);
  });
  return all;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ConvertTest, ::testing::ValuesIn(safetensors()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rbee::conformance
