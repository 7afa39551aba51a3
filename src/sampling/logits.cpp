#include "sampling/logits.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace rbee {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// exp(x) for x <= 0. exp(x) = 2^n exp(r) with |r| <= ln(2)/2, the latter by its Taylor series.
// Without branches and calls, so that loops over it vectorise.
inline float exp_negative(float x) noexcept {
  constexpr float kLog2e = 1.44269504f;
  constexpr float kLn2High = 0.693145752f;  // few enough bits for n * kLn2High to be exact
  constexpr float kLn2Low = 1.42860677e-6f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  // |x| as an integer orders as |x| does. g++ 12 turns any comparison here into a branch.
  const std::int32_t size = std::bit_cast<std::int32_t>(x) & 0x7fffffff;
  constexpr auto kMost = std::bit_cast<std::int32_t>(87.0f);
  const std::int32_t mask = (size - kMost) >> 31;  // all ones where |x| < 87
  const float y = -std::bit_cast<float>((size & mask) | (kMost & ~mask));
  const float shifted = y * kLog2e + kRound;
  const float n = shifted - kRound;
  const float r = (y - n * kLn2High) - n * kLn2Low;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const auto exponent = static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23;
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(p * std::bit_cast<float>(exponent)) &
                              mask);
}

}  // namespace

std::optional<float> max_logit(std::span<const float> row) noexcept {
  constexpr std::size_t kLanes = 16;
  float lane[kLanes];
  std::uint32_t bad[kLanes] = {};
  std::fill(lane, lane + kLanes, -kInfinity);
  const auto visit = [&](std::size_t j, float x) {
    lane[j] = x > lane[j] ? x : lane[j];
    bad[j] |= x < kInfinity ? 0u : 1u;  // NaN fails the comparison too
  };
  std::size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) visit(j, row[i + j]);
  }
  for (; i < row.size(); ++i) visit(0, row[i]);
  const float max = *std::max_element(lane, lane + kLanes);
  const bool any_bad = std::any_of(bad, bad + kLanes, [](std::uint32_t b) { return b != 0; });
  if (any_bad || max == -kInfinity) return std::nullopt;
  return max;
}

float weight(float logit, float max, float temperature) noexcept {
  return exp_negative((logit - max) / temperature);
}

double weights(std::span<const float> row, float max, float temperature, std::span<float> out,
               std::vector<double>& sums) {
  constexpr std::size_t kLanes = 16;
  sums.clear();
  double total = 0;
  for (std::size_t begin = 0; begin < row.size(); begin += kWeightBlock) {
    const std::size_t n = std::min(kWeightBlock, row.size() - begin);
    const float* in = row.data() + begin;
    float* to = out.data() + begin;
    for (std::size_t i = 0; i < n; ++i) to[i] = exp_negative((in[i] - max) / temperature);
    float lane[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (std::size_t j = 0; j < kLanes; ++j) lane[j] += to[i + j];
    }
    double sum = 0;
    for (const float l : lane) sum += static_cast<double>(l);
    for (; i < n; ++i) sum += static_cast<double>(to[i]);
    sums.push_back(sum);
    total += sum;
  }
  return total;
}

void select_best(std::span<const float> row, int k, std::vector<Candidate>& best) {
  best.clear();
  if (k <= 0) return;
  const std::size_t keep = std::min(static_cast<std::size_t>(k), row.size());
  // Collects what beats the k-th best so far; when twice k are together the worse half goes.
  const std::size_t room = std::max<std::size_t>(2 * keep, 64);
  float threshold = -kInfinity;
  const auto cut = [&] {
    std::nth_element(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(keep - 1), best.end(),
                     better);
    best.resize(keep);
    threshold = best.back().value;
  };
  for (std::size_t i = 0; i < row.size(); ++i) {
    // An equal value comes later here and so has the higher id: it loses.
    if (!(row[i] > threshold)) continue;
    best.push_back({row[i], static_cast<std::int32_t>(i)});
    if (best.size() >= room) cut();
  }
  if (best.size() > keep) cut();
}

double log_sum_exp(std::span<const float> row) {
  const auto max = static_cast<double>(*std::max_element(row.begin(), row.end()));
  double sum = 0;
  for (const float logit : row) sum += std::exp(static_cast<double>(logit) - max);
  return max + std::log(sum);
}

double divergence(std::span<const float> p, std::span<const float> q) {
  const double all_p = log_sum_exp(p), all_q = log_sum_exp(q);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double own = static_cast<double>(p[i]) - all_p;
    sum += std::exp(own) * (own - (static_cast<double>(q[i]) - all_q));
  }
  return sum;
}

Logprobs logprobs(std::span<const float> row, std::int32_t id, int n_top) {
  const float max = *std::max_element(row.begin(), row.end());
  double sum = 0;
  float scratch[kWeightBlock];
  std::vector<double> sums;
  for (std::size_t begin = 0; begin < row.size(); begin += kWeightBlock) {
    const auto part = row.subspan(begin, std::min(kWeightBlock, row.size() - begin));
    sum += weights(part, max, 1, scratch, sums);
  }
  const double log_sum = static_cast<double>(max) + std::log(sum);
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - log_sum);
  };
  Logprobs result{.chosen = logprob(row[id]), .top = {}};
  std::vector<Candidate> best;
  select_best(row, n_top, best);
  std::sort(best.begin(), best.end(), better);
  result.top.reserve(best.size());
  for (const Candidate& c : best) result.top.emplace_back(c.id, logprob(c.value));
  return result;
}

}  // namespace rbee
