#include "sampling/sampling_params.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace rbee {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct Case {
  std::string field;
  std::function<void(SamplingParams&)> change;
};

TEST(Validate, AcceptsTheDefaultsAndTheLimits) {
  EXPECT_TRUE(validate({}, 10));
  SamplingParams low;
  low.temperature = 0;
  low.top_p = 0;
  low.min_p = 0;
  low.repetition_penalty = 0.001f;
  low.frequency_penalty = -100;
  low.presence_penalty = -100;
  low.repeat_last_n = 0;
  low.logit_bias = {{0, -1000.0f}, {9, 1000.0f}};
  low.seed = 0;
  EXPECT_TRUE(validate(low, 10));
  SamplingParams high;
  high.temperature = 100;
  high.top_k = std::numeric_limits<int>::max();
  high.min_p = 1;
  high.repetition_penalty = 100;
  high.frequency_penalty = 100;
  high.presence_penalty = 100;
  high.repeat_last_n = std::numeric_limits<int>::max();
  high.seed = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(validate(high, 10));
}

TEST(Validate, RefusesEachNonsenseByItsField) {
  std::vector<Case> cases;
  for (const float bad : {kNan, kInf, -kInf, -0.001f, 1e30f}) {
    cases.push_back({"temperature", [=](auto& p) { p.temperature = bad; }});
    cases.push_back({"top_p", [=](auto& p) { p.top_p = bad; }});
    cases.push_back({"min_p", [=](auto& p) { p.min_p = bad; }});
    cases.push_back({"repetition_penalty", [=](auto& p) { p.repetition_penalty = bad; }});
  }
  for (const float bad : {kNan, kInf, -kInf, -101.0f, 101.0f}) {
    cases.push_back({"frequency_penalty", [=](auto& p) { p.frequency_penalty = bad; }});
    cases.push_back({"presence_penalty", [=](auto& p) { p.presence_penalty = bad; }});
  }
  for (const float bad : {kNan, kInf, -kInf, -1001.0f, 1001.0f}) {
    cases.push_back({"logit_bias", [=](auto& p) { p.logit_bias = {{3, 1.0f}, {4, bad}}; }});
  }
  for (const int bad : {-1, std::numeric_limits<int>::min()}) {
    cases.push_back({"top_k", [=](auto& p) { p.top_k = bad; }});
    cases.push_back({"repeat_last_n", [=](auto& p) { p.repeat_last_n = bad; }});
    cases.push_back({"logit_bias", [=](auto& p) { p.logit_bias = {{bad, 1.0f}}; }});
  }
  cases.push_back({"repetition_penalty", [](auto& p) { p.repetition_penalty = 0; }});
  cases.push_back({"top_p", [](auto& p) { p.top_p = 1.0001f; }});
  cases.push_back({"min_p", [](auto& p) { p.min_p = 1.0001f; }});
  cases.push_back({"logit_bias", [](auto& p) { p.logit_bias = {{10, 1.0f}}; }});
  for (const Case& c : cases) {
    SamplingParams params;
    c.change(params);
    const auto result = validate(params, 10);
    ASSERT_FALSE(result) << c.field;
    EXPECT_EQ(result.error().field, c.field);
    EXPECT_FALSE(result.error().reason.empty());
  }
  SamplingParams params;
  params.top_p = 1.5f;
  EXPECT_EQ(validate(params, 10).error().reason, "must be between 0 and 1 (got 1.5)");
}

}  // namespace
}  // namespace rbee
