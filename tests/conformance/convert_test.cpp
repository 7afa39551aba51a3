// Every fixture's safetensors as a GGUF file of ours: the same logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/testing/temp_folder.hpp"
#include "convert/convert.hpp"
#include "fixture.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee::conformance {
namespace {

class ConvertTest : public ::testing::TestWithParam<Fixture> {
 protected:
  std::filesystem::path converted(const std::string& type) {
    const auto path = folder_.path() / (type + ".gguf");
    report_ = convert(fixture_.model, path, {.type = type, .threads = 2});
    return path;
  }

  // The greatest distance of a logit from the model's own at each position of the prompt,
  // ascending.
  std::vector<float> distances(const std::filesystem::path& path) const {
    const auto expected = logits(fixture_.model), found = logits(path);
    std::vector<float> all;
    for (std::size_t t = 0; t < expected.size(); ++t) {
      float& worst = all.emplace_back(0.0F);
      for (std::size_t i = 0; i < expected[t].size(); ++i) {
        worst = std::max(worst, std::fabs(expected[t][i] - found[t][i]));
      }
    }
    std::ranges::sort(all);
    return all;
  }

  testing::Logits logits(const std::filesystem::path& path) const {
    Running run(path, {"ref", "ref", {}}, golden_.length());
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
