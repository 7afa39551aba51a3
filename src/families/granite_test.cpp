#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/load_error.hpp"
#include "model/testing/fixture_copy.hpp"

namespace rbee {
namespace {

using ::testing::HasSubstr;

// The four scalars in both spellings.
constexpr std::pair<const char*, const char*> kScalars[]{
    {"embedding_multiplier", "embedding_scale"},
    {"residual_multiplier", "residual_scale"},
    {"attention_multiplier", "attention.scale"},
    {"logits_scaling", "logit_scale"}};

std::filesystem::path fixture() {
  return std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / "granite";
}

testing::FixtureCopy with_key(const char* key, float value) {
  testing::FixtureCopy copy(fixture() / "model.gguf");
  copy.keys.entry("granite." + std::string(key)).value = testing::raw(value);
  return copy;
}

TEST(Granite, EachScalarMattersInBothFormats) {
  const testing::FixtureCopy hub(fixture()), gguf(fixture() / "model.gguf");
  const testing::Logits hub_logits = testing::logits_of_safetensors(hub);
  const testing::Logits gguf_logits = testing::logits_of_gguf(gguf);
  EXPECT_LT(testing::distance(hub_logits, gguf_logits), 1e-4F);
  for (const auto& [name, key] : kScalars) {
    testing::FixtureCopy changed = hub;
    changed.config[name] = 1.5;
    const testing::Logits logits = testing::logits_of_safetensors(changed);
    EXPECT_GT(testing::distance(hub_logits, logits), 0.05F) << name;
    EXPECT_LT(testing::distance(logits, testing::logits_of_gguf(with_key(key, 1.5F))), 1e-4F)
        << key;
  }
}

TEST(Granite, ErrorsNameTheScalar) {
  for (const auto& [name, key] : kScalars) {
    testing::FixtureCopy changed(fixture());
    changed.config[name] = 0;
    try {
      testing::logits_of_safetensors(changed);
      ADD_FAILURE() << name;
    } catch (const LoadError& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string("key '") + name + "'"));
    }
    EXPECT_THROW(testing::logits_of_gguf(with_key(key, -1)), LoadError);
  }
}

}  // namespace
}  // namespace rbee
