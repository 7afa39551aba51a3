// Mamba and Mamba-2 in the layouts and with the options that no fixture has. The fixtures are the
// models; tests/conformance compares them with the reference implementation.
#include <gmock/gmock.h>

#include "base/load_error.hpp"
#include "model/testing/fixture_copy.hpp"

namespace rbee {
namespace {

using testing::distance;
using testing::FixtureCopy;
using ::testing::HasSubstr;
using testing::logits_of_gguf;
using testing::logits_of_safetensors;

constexpr float kSame = 2e-4F;
constexpr float kOther = 1e-2F;
const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";

std::string error_of(const FixtureCopy& copy) {
  try {
    logits_of_safetensors(copy);
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Mamba, FirstLayoutOfTheHub) {
  FixtureCopy copy(kFixtures / "mamba");
  const auto expected = logits_of_safetensors(copy);
  copy.config = {{"architectures", {"MambaLMHeadModel"}},
                 {"d_model", 48},
                 {"n_layer", 2},
                 {"vocab_size", 281},
                 {"pad_vocab_size_multiple", 8},
                 {"time_step_rank", 4}};
  copy.rename("backbone.embeddings.weight", "backbone.embedding.weight");
  for (const char* layer : {"0", "1"}) {
    auto& conv = copy.tensors.at(std::string("backbone.layers.") + layer + ".mixer.conv1d.weight");
    conv.shape = {96, 4};
  }
  EXPECT_EQ(logits_of_safetensors(copy), expected);
  copy.config["time_step_rank"] = "auto";  // a sixteenth of the width, which this model has not
  EXPECT_THAT(error_of(copy), HasSubstr("[35, 96]"));
}

// Falcon-Mamba normalises what x_proj gives, so that its scale does not matter.
TEST(Mamba, FalconNormalisesStepsAndInputs) {
  FixtureCopy copy(kFixtures / "mamba");
  FixtureCopy gguf(kFixtures / "mamba" / "model.gguf");
  const auto plain = logits_of_safetensors(copy);
  copy.config["architectures"] = {"FalconMambaForCausalLM"};
  gguf.keys.entry("mamba.ssm.dt_b_c_rms").value = std::string(1, '\1');
  const auto falcon = logits_of_safetensors(copy);
  EXPECT_GT(distance(falcon, plain), kOther);
  EXPECT_LT(distance(logits_of_gguf(gguf), falcon), kSame);
  FixtureCopy scaled = copy;
  for (const int layer : {0, 1}) {
    scaled.scale("backbone.layers." + std::to_string(layer) + ".mixer.x_proj.weight", 64);
  }
  EXPECT_LT(distance(logits_of_safetensors(scaled), falcon), kSame);
  copy.config["mixer_rms_eps"] = 10.0;
  EXPECT_GT(distance(logits_of_safetensors(copy), falcon), kOther);
}

TEST(Mamba, RefusesBadValues) {
  const FixtureCopy good(kFixtures / "mamba");
  const std::vector<std::pair<std::string, Json>> bad{{"state_size", 0},
                                                      {"conv_kernel", -1},
                                                      {"time_step_rank", 1 << 30},
                                                      {"hidden_act", "gelu"},
                                                      {"intermediate_size", 0}};
  for (const auto& [key, value] : bad) {
    FixtureCopy copy = good;
    copy.config[key] = value;
    EXPECT_THAT(error_of(copy), HasSubstr(key));
  }
  FixtureCopy no_epsilon = good;
  no_epsilon.config["layer_norm_epsilon"] = 0;
  EXPECT_THAT(error_of(no_epsilon), HasSubstr("above zero"));
  FixtureCopy copy = good;
  copy.tensors.at("backbone.layers.1.mixer.A_log").shape = {48, 16};
  copy.tensors.at("backbone.layers.1.mixer.A_log").values.resize(48 * 16);
  EXPECT_THAT(error_of(copy), HasSubstr("A_log"));
}

TEST(Mamba2, StepsAreLimited) {
  FixtureCopy copy(kFixtures / "mamba2");
  const auto expected = logits_of_safetensors(copy);
  copy.config.erase("time_step_limit");
  EXPECT_EQ(logits_of_safetensors(copy), expected);
  copy.config["time_step_limit"] = {0.0, 1e30};
  EXPECT_EQ(logits_of_safetensors(copy), expected);
  copy.config["time_step_limit"] = {0.0, 0.05};
  EXPECT_GT(distance(logits_of_safetensors(copy), expected), kOther);
  copy.config["time_step_limit"] = {3.0, "Infinity"};
  EXPECT_GT(distance(logits_of_safetensors(copy), expected), kOther);
}

TEST(Mamba2, PrefixOfCodestral) {
  FixtureCopy copy(kFixtures / "mamba2");
  const auto expected = logits_of_safetensors(copy);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : copy.tensors) names.push_back(name);
  for (const auto& name : names) copy.rename(name, "model." + name);
  EXPECT_EQ(logits_of_safetensors(copy), expected);
}

TEST(Mamba2, RefusesBadValues) {
  const FixtureCopy good(kFixtures / "mamba2");
  const std::vector<std::pair<std::string, Json>> bad{
      {"num_heads", 0},        {"n_groups", 4},
      {"state_size", 1 << 20}, {"conv_kernel", 0},
      {"hidden_act", "relu"},  {"time_step_limit", {1.0, 0.5}},
      {"time_step_limit", 3},  {"time_step_limit", {"x", 1.0}}};
  for (const auto& [key, value] : bad) {
    FixtureCopy copy = good;
    copy.config[key] = value;
    EXPECT_THAT(error_of(copy), HasSubstr(key));
  }
}

}  // namespace
}  // namespace rbee
