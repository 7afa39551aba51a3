#include "sampling/logits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "sampling/random.hpp"
#include "sampling/token_counts.hpp"

namespace rbee {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> random_row(std::size_t n, std::uint32_t seed, float deviation = 3) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> row(n);
  for (float& x : row) x = normal(random);
  return row;
}

TEST(MaxLogit, FindsTheGreatestAtAnyLengthAndPlace) {
  for (const std::size_t n : {1, 2, 15, 16, 17, 31, 33, 1000}) {
    for (std::size_t at = 0; at < n; at += 1 + n / 20) {
      std::vector<float> row(n, -5.0f);
      row[at] = -1.5f;
      EXPECT_EQ(max_logit(row), -1.5f);
    }
  }
}

TEST(MaxLogit, RefusesWhatIsNoDistribution) {
  EXPECT_FALSE(max_logit({}));
  for (const std::size_t n : {1, 16, 40}) {
    for (const std::size_t at : {std::size_t{0}, n - 1}) {
      for (const float bad : {kNan, -kNan, kInf}) {
        std::vector<float> row(n, 1.0f);
        row[at] = bad;
        EXPECT_FALSE(max_logit(row));
      }
      EXPECT_FALSE(max_logit(std::vector<float>(n, -kInf)));
    }
  }
  EXPECT_EQ(max_logit(std::vector<float>{-kInf, 2, -kInf}), 2);
}

TEST(Weights, AreExponentials) {
  EXPECT_EQ(weight(3, 3, 0.5f), 1);
  EXPECT_EQ(weight(-kInf, 0, 1), 0);
  EXPECT_EQ(weight(-90, 0, 1), 0);
  EXPECT_EQ(weight(-1, 0, 1e-45f), 0);  // a division that overflows
  EXPECT_EQ(weight(0, 0, 1e-45f), 1);
  double worst = 0;
  for (float x = 0; x > -86; x -= 0.0137f) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(weight(x, 0, 1)) / exact - 1));
  }
  EXPECT_LT(worst, 2e-7);
}

TEST(Weights, SumsAreThoseOfTheBlocks) {
  const std::vector<float> row = random_row(2 * kWeightBlock + 37, 1);
  std::vector<float> out(row.size());
  std::vector<double> sums;
  const double total = weights(row, *max_logit(row), 0.7f, out, sums);
  ASSERT_EQ(sums.size(), 3u);
  double exact = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    EXPECT_EQ(out[i], weight(row[i], *max_logit(row), 0.7f));
    exact += static_cast<double>(out[i]);
  }
  EXPECT_NEAR(total / exact, 1, 1e-6);
  EXPECT_EQ(sums[0] + sums[1] + sums[2], total);
}

TEST(SelectBest, AgreesWithSorting) {
  for (const std::size_t n : {1, 5, 64, 65, 500, 3000}) {
    std::vector<float> row = random_row(n, static_cast<std::uint32_t>(n));
    for (float& x : row) x = std::round(x);  // many ties
    if (n > 10) row[3] = -kInf;
    std::vector<Candidate> sorted;
    for (std::size_t i = 0; i < n; ++i) {
      if (row[i] > -kInf) sorted.push_back({row[i], static_cast<std::int32_t>(i)});
    }
    std::sort(sorted.begin(), sorted.end(), better);
    for (const int k : {0, 1, 2, 31, 32, 33, 100, 2999, 3000, 1 << 30}) {
      std::vector<Candidate> best;
      select_best(row, k, best);
      std::sort(best.begin(), best.end(), better);
      ASSERT_EQ(best.size(), std::min<std::size_t>(k, sorted.size()));
      for (std::size_t i = 0; i < best.size(); ++i) ASSERT_EQ(best[i].id, sorted[i].id);
    }
  }
}

TEST(SelectBest, RisingRowsAreTheHardCase) {
  std::vector<float> row(100000);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(i);
  std::vector<Candidate> best;
  select_best(row, 3, best);
  std::sort(best.begin(), best.end(), better);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_EQ(best[0].id, 99999);
  EXPECT_EQ(best[2].id, 99997);
}

TEST(Logprobs, AreLogSoftmaxOfTheRawRow) {
  const std::vector<float> row = random_row(1500, 9, 10);
  double sum = 0;
  for (const float x : row) sum += std::exp(static_cast<double>(x));
  const Logprobs result = logprobs(row, 77, 5);
  EXPECT_NEAR(result.chosen, row[77] - std::log(sum), 2e-6);
  ASSERT_EQ(result.top.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(result.top[i].second, row[result.top[i].first] - std::log(sum), 2e-6);
    if (i > 0) {
      EXPECT_LE(result.top[i].second, result.top[i - 1].second);
    }
  }
  EXPECT_EQ(result.top[0].first, std::max_element(row.begin(), row.end()) - row.begin());
  EXPECT_TRUE(logprobs(row, 77, 0).top.empty());
  EXPECT_EQ(logprobs(row, 77, 1 << 30).top.size(), row.size());
  const std::vector<float> masked{-kInf, 4, -kInf};
  EXPECT_EQ(logprobs(masked, 1, 3).top.size(), 1u);
  EXPECT_EQ(logprobs(masked, 1, 3).chosen, 0);
}

TEST(Uniform, IsTheSameEverywhere) {
  // The first numbers SplitMix64 gives from state 0 (its published test vector).
  constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15u;
  EXPECT_EQ(mix64(kGamma), 0xe220a8397b1dcdafu);
  EXPECT_EQ(mix64(2 * kGamma), 0x6e789e6aa1b965f4u);
  EXPECT_EQ(mix64(3 * kGamma), 0x06c45d188009454fu);
}

TEST(Uniform, IsUniformOverCountersAndOverSeeds) {
  constexpr int kBins = 64;
  constexpr int kDraws = 64000;
  for (const bool over_seeds : {false, true}) {
    std::vector<int> bins(kBins);
    for (std::uint64_t i = 0; i < kDraws; ++i) {
      const double u = over_seeds ? uniform(i, 3) : uniform(42, i);
      ASSERT_GE(u, 0);
      ASSERT_LT(u, 1);
      ++bins[static_cast<int>(u * kBins)];
    }
    double chi_square = 0;
    for (const int count : bins) chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
    EXPECT_LT(chi_square, 103.4);  // 99.9 % of chi-square with 63 degrees of freedom
    EXPECT_GT(chi_square, 32.5);
  }
}

TEST(Logits, LogSumExpDoesNotOverflow) {
  const std::vector<float> row{1000, 1000, -1e30F};
  EXPECT_DOUBLE_EQ(log_sum_exp(row), 1000 + std::log(2.0));
}

TEST(Logits, DivergenceIsThatOfTheDistributions) {
  const std::vector<float> p{std::log(0.5F), std::log(0.25F), std::log(0.25F)};
  const std::vector<float> q{5, 5, 5};  // one third each, whatever is added to all
  EXPECT_NEAR(divergence(p, q), std::log(3.0) - 1.5 * std::log(2.0), 1e-7);
  EXPECT_EQ(divergence(p, p), 0);
}

TEST(TokenCounts, CountsManyIds) {
  TokenCounts counts;
  std::mt19937 random(5);
  std::vector<int> expected(70000);
  for (int i = 0; i < 200000; ++i) {
    const auto id = static_cast<std::int32_t>(random() % expected.size() / (1 + random() % 500));
    ++counts.at(id).window;
    ++expected[id];
  }
  for (const TokenCounts::Entry& entry : counts.places()) {
    if (entry.id < 0) continue;
    EXPECT_EQ(entry.window, expected[entry.id]);
    expected[entry.id] = 0;
  }
  EXPECT_EQ(std::count(expected.begin(), expected.end(), 0), 70000);
}

}  // namespace
}  // namespace rbee
