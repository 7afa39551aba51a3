// Logits and greedy tokens of every fixture, format and device, with the prompt in chunks of
// several sizes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>

#include "fixture.hpp"
#include "sampling/logits.hpp"

namespace rbee::conformance {
namespace {

using testing::Logits;
using testing::Stepper;

class GoldenTest : public ::testing::TestWithParam<std::tuple<Fixture, Device, int>> {
 protected:
  const Fixture fixture_ = std::get<0>(GetParam());
  const Device device_ = std::get<1>(GetParam());
  const int chunk_ = std::get<2>(GetParam());
  const Golden golden_ = Golden::read(fixture_.golden);
  const float tolerance_ = tolerance(golden_, fixture_, device_);
  const int may_tip_ = may_tip(golden_, fixture_, device_);
};

float worst_distance(const std::vector<float>& a, const std::vector<float>& b) {
  float worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(a[i] - b[i]));
  return worst;
}

TEST_P(GoldenTest, PromptLogits) {
  Running run(fixture_.model, device_, golden_.length());
  Stepper::Sequence sequence;
  const Logits logits = run.stepper->feed(sequence, golden_.prompt, chunk_);

  ASSERT_GT(tolerance_, 0);
  ASSERT_EQ(logits.size(), golden_.top.size());
  ASSERT_EQ(logits.back().size(), golden_.last_logits.size());
  const float worst = worst_distance(logits.back(), golden_.last_logits);
  RecordProperty("worst", std::to_string(worst));
  RecordProperty("divergence", std::to_string(divergence(golden_.last_logits, logits.back())));
  EXPECT_LE(worst, tolerance_);
  std::string outside;
  int count = 0;
  for (std::size_t t = 0; t < logits.size(); ++t) {
    const Golden::Top& top = golden_.top[t];
    for (std::size_t i = 0; i < top.ids.size(); ++i) {
      const float distance =
          std::fabs(logits[t][static_cast<std::size_t>(top.ids[i])] - top.logits[i]);
      if (distance <= tolerance_) continue;  // not so for a NaN
      outside += " position " + std::to_string(t) + ": " + std::to_string(distance);
      ++count;
      break;
    }
  }
  EXPECT_LE(count, may_tip_) << outside << ", allowed " << tolerance_;
}

// Decodes with the cache, following the golden tokens, so that a step with a tie does not decide
// over the others.
TEST_P(GoldenTest, GreedyTokens) {
  Running run(fixture_.model, device_, golden_.length());
  Stepper::Sequence sequence;
  std::vector<float> last = run.stepper->feed(sequence, golden_.prompt, chunk_).back();
  int compared = 0, outside = 0;
  for (std::size_t i = 0; i < golden_.greedy.size(); ++i) {
    const std::int32_t expected = golden_.greedy[i];
    const auto best =
        static_cast<std::int32_t>(std::max_element(last.begin(), last.end()) - last.begin());
    if (golden_.margins[i] > 2 * tolerance_) {
      EXPECT_EQ(best, expected) << "step " << i;
      ++compared;
    }
    const float found = last[static_cast<std::size_t>(expected)];
    if (!(std::fabs(found - golden_.top_logits[i]) <= tolerance_)) ++outside;
    last = run.stepper->feed(sequence, {&expected, 1}).back();
  }
  RecordProperty("compared", compared);
  EXPECT_GT(compared, 0);
  EXPECT_LE(outside, may_tip_) << "allowed " << tolerance_;
}

std::string test_name(const ::testing::TestParamInfo<GoldenTest::ParamType>& info) {
  const auto& [fixture, device, chunk] = info.param;
  return fixture.name + "_" + device.name + (chunk == 0 ? "_all" : "_by" + std::to_string(chunk));
}

std::vector<GoldenTest::ParamType> all_runs() {
  std::vector<GoldenTest::ParamType> runs;
  for (const Fixture& fixture : fixtures()) {
    for (const Device& device : devices()) {
      for (const int chunk : chunk_sizes()) runs.emplace_back(fixture, device, chunk);
    }
  }
  return runs;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenTest, ::testing::ValuesIn(all_runs()), test_name);

}  // namespace
}  // namespace rbee::conformance
