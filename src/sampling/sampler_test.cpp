#include "sampling/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <vector>

namespace rbee {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> log_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

std::int32_t pick_one(const SamplingParams& params, const std::vector<float>& logits,
                      const std::vector<std::int32_t>& history = {}, int n_prompt = 0,
                      std::uint64_t seed = 0) {
  SamplerScratch scratch;
  Sampler sampler(params, n_prompt, seed);
  return sampler.pick(logits, history, scratch).value();
}

// How often each token comes up over many seeds.
std::vector<int> histogram(const SamplingParams& params, const std::vector<float>& logits,
                           int draws = 20000) {
  std::vector<int> counts(logits.size());
  SamplerScratch scratch;
  for (int seed = 0; seed < draws; ++seed) {
    Sampler sampler(params, 0, static_cast<std::uint64_t>(seed));
    ++counts[sampler.pick(logits, {}, scratch).value()];
  }
  return counts;
}

std::set<int> drawn(const SamplingParams& params, const std::vector<float>& logits) {
  const std::vector<int> counts = histogram(params, logits, 4000);
  std::set<int> ids;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) ids.insert(static_cast<int>(i));
  }
  return ids;
}

void expect_distribution(const std::vector<int>& counts, const std::vector<double>& expected) {
  const double draws = std::accumulate(counts.begin(), counts.end(), 0.0);
  double chi_square = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i;
      continue;
    }
    const double mean = expected[i] * draws;
    chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
  }
  EXPECT_LT(chi_square, 24.3);  // 99.9 % for 7 degrees of freedom; fixed seeds, so never flaky
}

const std::vector<double> kProbabilities{0.05, 0.3, 0.02, 0.15, 0.08, 0.25, 0.05, 0.1};

TEST(Sampler, DrawsFromTheModelsDistribution) {
  expect_distribution(histogram({}, log_of(kProbabilities)), kProbabilities);
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  for (const float temperature : {0.5f, 2.0f}) {
    std::vector<double> expected;
    for (const double p : kProbabilities) {
      expected.push_back(std::pow(p, 1 / static_cast<double>(temperature)));
    }
    const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
    for (double& p : expected) p /= sum;
    SamplingParams params;
    params.temperature = temperature;
    expect_distribution(histogram(params, log_of(kProbabilities)), expected);
    params.top_k = 8;  // the other ways through the sampler agree
    expect_distribution(histogram(params, log_of(kProbabilities)), expected);
    params.top_k = 0;
    params.min_p = 1e-6f;
    expect_distribution(histogram(params, log_of(kProbabilities)), expected);
  }
}

TEST(Sampler, GreedyTakesTheLowestIdOnTies) {
  SamplingParams greedy;
  greedy.temperature = 0;
  EXPECT_EQ(pick_one(greedy, {1, 3, 2, 3}), 1);
  EXPECT_EQ(pick_one(greedy, {-kInf, -kInf, -7}), 2);
  EXPECT_EQ(pick_one(greedy, {0}), 0);
}

TEST(Sampler, TopKKeepsExactlyK) {
  SamplingParams params;
  params.top_k = 3;
  std::vector<double> expected{0, 0.3, 0, 0.15, 0, 0.25, 0, 0};
  for (double& p : expected) p /= 0.7;
  expect_distribution(histogram(params, log_of(kProbabilities)), expected);
  params.top_k = 1;
  EXPECT_EQ(drawn(params, log_of(kProbabilities)), std::set<int>{1});
  params.top_k = 2;
  EXPECT_EQ(drawn(params, {5, 5, 5, 5}), (std::set<int>{0, 1}));
}

TEST(Sampler, TopPKeepsTheTokenThatCrosses) {
  const std::vector<float> logits = log_of(kProbabilities);
  SamplingParams params;
  params.top_p = 0.5f;  // 0.3 + 0.25 crosses
  EXPECT_EQ(drawn(params, logits), (std::set<int>{1, 5}));
  params.top_p = 0.56f;
  EXPECT_EQ(drawn(params, logits), (std::set<int>{1, 3, 5}));
  params.top_p = 0.29f;
  EXPECT_EQ(drawn(params, logits), std::set<int>{1});
  params.top_p = 0;
  EXPECT_EQ(drawn(params, logits), std::set<int>{1});
  params.top_p = 0.99f;
  EXPECT_EQ(drawn(params, logits).size(), 8u);
  params.top_p = 0.5f;
  EXPECT_EQ(drawn(params, {2, 2, 2, 2}), (std::set<int>{0, 1}));
}

TEST(Sampler, TopPCountsWhatTopKLeft) {
  SamplingParams params;
  params.top_k = 3;  // 0.3, 0.25, 0.15 of 0.7: 0.43, 0.36, 0.21
  params.top_p = 0.75f;
  EXPECT_EQ(drawn(params, log_of(kProbabilities)), (std::set<int>{1, 5}));
  params.top_p = 0.8f;
  EXPECT_EQ(drawn(params, log_of(kProbabilities)), (std::set<int>{1, 3, 5}));
}

TEST(Sampler, MinPIsRelativeToTheBest) {
  const std::vector<float> logits = log_of(kProbabilities);
  SamplingParams params;
  params.min_p = 0.49f;  // of 0.3
  EXPECT_EQ(drawn(params, logits), (std::set<int>{1, 3, 5}));
  params.min_p = 1;
  EXPECT_EQ(drawn(params, logits), std::set<int>{1});
  params.min_p = 0.49f;
  params.top_k = 2;
  EXPECT_EQ(drawn(params, logits), (std::set<int>{1, 5}));
  params.top_k = 0;
  params.temperature = 2;  // acts first: 0.1 is now 0.58 as probable as 0.3, 0.05 is 0.41
  EXPECT_EQ(drawn(params, logits), (std::set<int>{1, 3, 4, 5, 7}));
}

TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegative) {
  SamplingParams params;
  params.temperature = 0;
  params.repetition_penalty = 2;
  EXPECT_EQ(pick_one(params, {3, 2, 1}, {0}, 1), 1);        // 3 / 2 < 2
  EXPECT_EQ(pick_one(params, {3, 1.4f, 1}, {0}, 1), 0);     // 3 / 2 > 1.4
  EXPECT_EQ(pick_one(params, {-2, -3, -9}, {0}, 1), 1);     // -4 < -3
  EXPECT_EQ(pick_one(params, {3, 2, 1}, {0, 0, 0}, 1), 1);  // once for each distinct token
  EXPECT_EQ(pick_one(params, {3, 1.4f, 1}, {0, 0, 0}, 1), 0);
}

TEST(Sampler, RepetitionPenaltyLooksBackLastN) {
  SamplingParams params;
  params.temperature = 0;
  params.repetition_penalty = 2;
  params.repeat_last_n = 2;
  const std::vector<float> logits{3, 2, 1, 0};
  EXPECT_EQ(pick_one(params, logits, {0, 3}, 2), 1);
  EXPECT_EQ(pick_one(params, logits, {0, 3, 3}, 3), 0);  // out of the window within the prompt
  EXPECT_EQ(pick_one(params, logits, {0, 3, 3}, 1), 0);  // out of the window within the answer
  EXPECT_EQ(pick_one(params, logits, {0, 3, 0, 3}, 1), 1);
  params.repeat_last_n = 0;
  std::vector<std::int32_t> history(1000, 3);
  history[0] = 0;
  EXPECT_EQ(pick_one(params, logits, history, 500), 1);
}

TEST(Sampler, FrequencyAndPresenceCountTheAnswerOnly) {
  SamplingParams params;
  params.temperature = 0;
  params.frequency_penalty = 0.6f;
  const std::vector<float> logits{3, 2, 1};
  EXPECT_EQ(pick_one(params, logits, {0, 0, 0, 0}, 4), 0);
  EXPECT_EQ(pick_one(params, logits, {0, 0, 0, 0}, 3), 0);  // 2.4
  EXPECT_EQ(pick_one(params, logits, {0, 0, 0, 0}, 2), 1);  // 1.8
  params.frequency_penalty = 0;
  params.presence_penalty = 0.9f;
  EXPECT_EQ(pick_one(params, logits, {0, 0, 0, 0}, 0), 0);  // 2.1, however often
  params.presence_penalty = 1.1f;
  EXPECT_EQ(pick_one(params, logits, {0}, 0), 1);
  EXPECT_EQ(pick_one(params, logits, {0}, 1), 0);
  params.presence_penalty = -5;
  EXPECT_EQ(pick_one(params, logits, {2}, 0), 2);
}

TEST(Sampler, FrequencyPenaltyIgnoresTheWindowOfRepetition) {
  SamplingParams params;
  params.temperature = 0;
  params.frequency_penalty = 0.6f;
  params.repeat_last_n = 1;
  EXPECT_EQ(pick_one(params, {3, 2, 1}, {0, 0, 2}, 0), 1);
}

TEST(Sampler, LogitBiasMovesTokens) {
  SamplingParams params;
  params.temperature = 0;
  params.logit_bias = {{2, 5.0f}, {0, -100.0f}};
  EXPECT_EQ(pick_one(params, {3, 2, 1}), 2);
  params.logit_bias = {{2, 1.0f}, {2, 1.5f}};
  EXPECT_EQ(pick_one(params, {3, 2, 1}), 2);
  params.logit_bias = {{2, 1.0f}};
  params.repetition_penalty = 10;  // acts on the biased logit: 11 / 10 < 2
  EXPECT_EQ(pick_one(params, {0, 2, 10}, {2}, 1), 1);
}

// Feeding a sampler token by token counts the same as making a new one for each step.
TEST(Sampler, CountsIncrementally) {
  std::mt19937 random(11);
  for (const int last_n : {0, 1, 3, 50}) {
    SamplingParams params;
    params.repetition_penalty = 1.3f;
    params.frequency_penalty = 0.2f;
    params.presence_penalty = 0.1f;
    params.repeat_last_n = last_n;
    std::vector<std::int32_t> history(20);
    for (auto& id : history) id = static_cast<std::int32_t>(random() % 10);
    SamplerScratch scratch;
    Sampler kept(params, 20, 5);
    for (int step = 0; step < 200; ++step) {
      std::vector<float> logits(10);
      for (float& x : logits) x = static_cast<float>(random() % 1000) / 300 - 1;
      Sampler fresh(params, 20, 5);
      const auto id = kept.pick(logits, history, scratch).value();
      ASSERT_EQ(id, fresh.pick(logits, history, scratch).value());
      history.push_back(id);
    }
  }
}

TEST(Sampler, SeedAndPlaceDecideTheDraw) {
  const std::vector<float> logits(50, 0.0f);
  const auto answer = [&](std::uint64_t seed, int n_prompt) {
    Sampler sampler({}, n_prompt, seed);
    SamplerScratch scratch;
    std::vector<std::int32_t> history(n_prompt, 0);
    for (int i = 0; i < 40; ++i) {
      history.push_back(sampler.pick(logits, history, scratch).value());
    }
    return std::vector<std::int32_t>(history.begin() + n_prompt, history.end());
  };
  EXPECT_EQ(answer(1, 3), answer(1, 3));
  EXPECT_EQ(answer(1, 3), answer(1, 9));
  EXPECT_NE(answer(1, 3), answer(2, 3));
  // Spelt out, so that a change of the generator does not go unnoticed.
  const std::vector<std::int32_t> start = answer(42, 1);
  EXPECT_EQ((std::vector<std::int32_t>(start.begin(), start.begin() + 6)),
            (std::vector<std::int32_t>{17, 47, 24, 3, 33, 3}));
}

TEST(Sampler, UnusableLogitsAreAnError) {
  SamplerScratch scratch;
  for (const float temperature : {0.0f, 1.0f}) {
    SamplingParams params;
    params.temperature = temperature;
    for (const std::vector<float>& logits :
         {std::vector<float>{1, kNan, 2}, {kNan}, {1, kInf}, {-kInf, -kInf}, {}}) {
      Sampler sampler(params, 0, 1);
      const auto result = sampler.pick(logits, {}, scratch);
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error(), SampleError::not_finite);
      EXPECT_FALSE(describe(result.error()).empty());
    }
  }
}

// Whatever the parameters, a pick is a token with a finite logit, and the same one each time.
TEST(Sampler, ExtremeParametersAreSafe) {
  const std::vector<float> numbers{0,     -0.0f,  1,    -1,   1e-45f, 1e-30f, 0.5f,
                                   1e30f, -1e30f, kNan, kInf, -kInf,  3.4e38f};
  const std::vector<int> integers{
      0, 1, -1, 7, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()};
  std::mt19937 random(3);
  const auto any = [&](const auto& from) { return from[random() % from.size()]; };
  SamplerScratch scratch;
  const std::vector<std::int32_t> history{1, 2, 3, 600, -5, 2};
  for (int turn = 0; turn < 20000; ++turn) {
    SamplingParams params;
    params.temperature = any(numbers);
    params.top_k = any(integers);
    params.top_p = any(numbers);
    params.min_p = any(numbers);
    params.repetition_penalty = any(numbers);
    params.frequency_penalty = any(numbers);
    params.presence_penalty = any(numbers);
    params.repeat_last_n = any(integers);
    params.logit_bias = {{any(integers), any(numbers)}};
    std::vector<float> logits(1 + random() % 600);
    for (float& x : logits) x = static_cast<float>(random() % 2000) / 100 - 10;
    if (turn % 3 == 0) logits[random() % logits.size()] = any(numbers);
    const std::uint64_t seed = random();
    const int n_prompt = static_cast<int>(random() % 7);
    Sampler sampler(params, n_prompt, seed);
    const auto id = sampler.pick(logits, history, scratch);
    if (!id) continue;
    ASSERT_GE(*id, 0);
    ASSERT_LT(*id, static_cast<int>(logits.size()));
    ASSERT_TRUE(std::isfinite(logits[*id]));
    Sampler again(params, n_prompt, seed);
    ASSERT_EQ(again.pick(logits, history, scratch).value(), *id);
  }
}

// The three cuts against their plainest definition, on rows with and without ties.
TEST(Sampler, CutsAgreeWithSorting) {
  std::mt19937 random(17);
  for (int turn = 0; turn < 300; ++turn) {
    std::vector<float> logits(1 + random() % 2000);
    const bool ties = turn % 2 == 0;
    for (float& x : logits) {
      x = static_cast<float>(random() % 10000) / 1000;
      if (ties) x = std::round(x);
    }
    SamplingParams params;
    params.top_k = turn % 3 == 0 ? 0 : static_cast<int>(random() % 50);
    params.top_p = turn % 5 == 0 ? 1 : static_cast<float>(random() % 100) / 100;
    params.min_p = turn % 4 == 0 ? 0 : static_cast<float>(random() % 50) / 100;
    std::vector<Candidate> sorted;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      sorted.push_back({logits[i], static_cast<std::int32_t>(i)});
    }
    std::sort(sorted.begin(), sorted.end(), better);
    if (params.top_k > 0) {
      sorted.resize(std::min<std::size_t>(sorted.size(), static_cast<std::size_t>(params.top_k)));
    }
    const float max = sorted[0].value;
    double total = 0;
    for (Candidate& c : sorted) total += static_cast<double>(c.value = weight(c.value, max, 1));
    std::set<int> kept;
    double sum = 0;
    for (const Candidate& c : sorted) {
      // Within rounding of top_p a token may be in or out.
      if (!kept.empty() && sum >= static_cast<double>(params.top_p) * total * (1 + 1e-6)) break;
      sum += static_cast<double>(c.value);
      if (c.value >= params.min_p) kept.insert(c.id);
    }
    SamplerScratch scratch;
    for (int seed = 0; seed < 50; ++seed) {
      Sampler sampler(params, 0, static_cast<std::uint64_t>(seed));
      ASSERT_TRUE(kept.count(sampler.pick(logits, {}, scratch).value())) << "turn " << turn;
    }
  }
}

}  // namespace
}  // namespace rbee
