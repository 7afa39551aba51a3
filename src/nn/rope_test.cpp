// The expected frequencies follow the formulas step by step in f32, in a few lines of NumPy.
#include "nn/rope.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "backend/ref/ref_backend.hpp"
#include "checkpoint/checkpoint.hpp"
#include "model/testing/tiny_llama.hpp"

namespace rbee::nn {
namespace {

using Values = std::vector<float>;

void expect_close(const Values& got, const Values& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i] / expected[i], 1, 3e-6F) << "frequency " << i;
  }
}

TEST(Rope, InverseFrequencies) {
  expect_close(inverse_frequencies(10000, 8), {1, 0.1F, 0.0099999998F, 0.001F});
  expect_close(inverse_frequencies(500000, 12),
               {1, 0.11224619F, 0.012599208F, 0.0014142134F, 0.00015874006F, 1.7817978e-05F});
}

TEST(Rope, Llama3) {
  expect_close(scaled(inverse_frequencies(500000, 16), {8, 1, 4, 32}),
               {1, 0.024240345F, 0.0047007538F, 0.00091158313F, 0.00017677668F, 3.4281024e-05F,
                6.6478706e-06F, 1.2891732e-06F});
  expect_close(scaled(inverse_frequencies(500000, 16), {32, 1, 4, 8192}),
               {1, 0.19392276F, 0.037606031F, 0.0072926651F, 0.00042955671F, 8.5702559e-06F,
                1.6619676e-06F, 3.2229329e-07F});
}

TEST(Rope, Yarn) {
  expect_close(scaled(inverse_frequencies(10000, 16), {.factor = 4, .original = 64}, 10000),
               {1, 0.23717082F, 0.049999997F, 0.0079056947F, 0.0024999999F, 0.00079056947F,
                0.00025000001F, 7.9056947e-05F});
  expect_close(scaled(inverse_frequencies(1e6, 32), {.factor = 4, .original = 32768}, 1e6),
               {1, 0.42169651F, 0.17782794F, 0.074989416F, 0.031622779F, 0.013335215F,
                0.0047799014F, 0.0016599617F, 0.00055F, 0.00016867861F, 4.4456985e-05F,
                1.8747356e-05F, 7.9056936e-06F, 3.333804e-06F, 1.4058534e-06F, 5.9284343e-07F});
  expect_close(scaled(inverse_frequencies(150000, 16),
                      {.factor = 32, .original = 4096, .truncate = false}, 150000),
               {1, 0.225418F, 0.05081328F, 0.0067949593F, 0.00045648392F, 1.8188337e-05F,
                4.0999785e-06F, 9.2420896e-07F});
}

// What YaRN multiplies cos and sin with.
TEST(Rope, YarnMagnitude) {
  const auto scale_of = [](const char* scaling) {
    const testing::TempFolder folder;
    const testing::TinyLlama model{.config = scaling};
    const auto checkpoint = Checkpoint::open(model.write_safetensors(folder));
    Loader load(*checkpoint, nullptr);
    return make_rope(load, DecoderConfig::read(*checkpoint), RopePairing::half).scale;
  };
  EXPECT_NEAR(scale_of(R"({"rope_scaling": {"type": "yarn", "factor": 4.0}})"), 1.1386294F, 1e-6F);
  EXPECT_EQ(scale_of(R"({"rope_scaling": {"type": "yarn", "factor": 1.0}})"), 1);
  EXPECT_EQ(scale_of(R"({"rope_scaling": {"type": "yarn", "factor": 4.0,
                         "attention_factor": 1.25}})"),
            1.25F);
  EXPECT_NEAR(scale_of(R"({"rope_parameters": {"rope_type": "yarn", "factor": 40.0,
                           "mscale": 0.707, "mscale_all_dim": 1.0}})"),
              1.2608039F / 1.3688879F, 1e-6F);
  // Without a factor, how much longer the context is than the original one.
  EXPECT_NEAR(scale_of(R"({"max_position_embeddings": 512, "rope_parameters": {"rope_type": "yarn",
                           "original_max_position_embeddings": 128}})"),
              1.1386294F, 1e-6F);
}

TEST(Rope, YarnInGguf) {
  const testing::TempFolder folder;
  testing::GgufImage image = testing::TinyLlama{.head_dim = 16}.gguf();
  image.set("llama.rope.scaling.type", "yarn");
  image.set("llama.rope.scaling.factor", 4.0F);
  image.set("llama.rope.scaling.original_context_length", std::uint32_t{64});
  const auto checkpoint = Checkpoint::open(folder.write("model.gguf", image.bytes()));
  RefBackend backend;
  Loader load(*checkpoint, &backend);
  const Rope rope = make_rope(load, DecoderConfig::read(*checkpoint), RopePairing::adjacent);
  EXPECT_NEAR(rope.scale, 1.1386294F, 1e-6F);
  const auto* values = reinterpret_cast<const float*>(rope.inv_freq.data);
  expect_close({values, values + rope.inv_freq.cols},
               {1, 0.23717082F, 0.049999997F, 0.0079056947F, 0.0024999999F, 0.00079056947F,
                0.00025000001F, 7.9056947e-05F});
}

}  // namespace
}  // namespace rbee::nn
