// Choices and weights against values computed by hand.
#include "backend/routing.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace rbee {
namespace {

std::vector<ExpertChoice> route(const Routing& routing, const std::vector<float>& logits,
                                const std::vector<float>& bias = {}) {
  std::vector<ExpertChoice> choices(static_cast<std::size_t>(routing.top_k));
  Router router;
  router.route(routing, logits, bias.empty() ? nullptr : bias.data(), choices);
  return choices;
}

void expect(const std::vector<ExpertChoice>& found, const std::vector<ExpertChoice>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].expert, expected[i].expert) << "choice " << i;
    EXPECT_NEAR(found[i].weight, expected[i].weight, 1e-6F) << "choice " << i;
  }
}

const float kLog2 = std::log(2.0F);

TEST(Router, SoftmaxOverAllExperts) {
  const std::vector<float> logits{0, 2 * kLog2, kLog2, 0};  // shares 1 4 2 1 of 8
  expect(route({.top_k = 2}, logits), {{1, 0.5F}, {2, 0.25F}});
  expect(route({.top_k = 2, .normalise = true}, logits), {{1, 2.0F / 3}, {2, 1.0F / 3}});
  expect(route({.top_k = 2, .scale = 3}, logits), {{1, 1.5F}, {2, 0.75F}});
  expect(route({.top_k = 2, .normalise = true, .scale = 3}, logits), {{1, 2}, {2, 1}});
}

TEST(Router, SoftmaxOverTheChosenOnes) {
  const Routing routing{.gating = Gating::softmax_selected, .top_k = 2};
  expect(route(routing, {0, 2 * kLog2, kLog2, 0}), {{1, 2.0F / 3}, {2, 1.0F / 3}});
  expect(route(routing, {-200, -400, -300}), {{0, 1}, {2, 0}});
}

// sigmoid(-log 3) = 1/4, sigmoid(log 3) = 3/4.
TEST(Router, SigmoidWithABiasThatOnlyChooses) {
  const float log3 = std::log(3.0F);
  const std::vector<float> logits{-log3, 0, log3};
  const Routing routing{.gating = Gating::sigmoid, .top_k = 2};
  expect(route(routing, logits), {{2, 0.75F}, {1, 0.5F}});
  expect(route(routing, logits, {1, 0, 0}), {{0, 0.25F}, {2, 0.75F}});
  expect(route({.gating = Gating::sigmoid, .top_k = 2, .normalise = true}, logits, {1, 0, -1}),
         {{0, 1.0F / 3}, {1, 2.0F / 3}});
}

TEST(Router, TiesGoToTheLowerNumber) {
  expect(route({.top_k = 3}, {0, 0, 0, 0}), {{0, 0.25F}, {1, 0.25F}, {2, 0.25F}});
}

// Sums of two best: 0.6 + 0.5 against 0.9 + 0.1; bests: 0.6 against 0.9.
TEST(Router, Groups) {
  const auto logit = [](float p) { return std::log(p / (1 - p)); };
  const std::vector<float> logits{logit(0.9F), logit(0.1F), logit(0.6F),
                                  logit(0.5F), logit(0.2F), logit(0.3F)};
  Routing routing{.gating = Gating::sigmoid, .top_k = 2, .n_groups = 3, .top_groups = 1};
  expect(route(routing, logits), {{0, 0.9F}, {1, 0.1F}});
  routing.group_score = GroupScore::sum_of_best_two;
  expect(route(routing, logits), {{2, 0.6F}, {3, 0.5F}});
  expect(route(routing, logits, {0, 0, 0, 0, 1, 1}), {{5, 0.3F}, {4, 0.2F}});
  routing.top_groups = 2;
  expect(route(routing, logits), {{0, 0.9F}, {2, 0.6F}});
}

// Choice scores below zero must not lose to the experts of groups left out.
TEST(Router, GroupsWithNegativeScores) {
  const Routing routing{.gating = Gating::sigmoid, .top_k = 2, .n_groups = 2, .top_groups = 1};
  const auto choices = route(routing, {0, 0, 0, 0}, {-1, -9, -2, -2});
  EXPECT_EQ(choices[0].expert, 0);
  EXPECT_EQ(choices[1].expert, 1);
}

// Second best within 2 % of the best shares with it; the third is far from the second.
TEST(Router, Sparsemixer) {
  const Routing routing{.gating = Gating::sparsemixer, .top_k = 2, .jitter = 0.01F};
  const float share = 1 / (1 + std::exp(-0.1F));
  expect(route(routing, {1, 9.9F, 10, 5}), {{2, share}, {1, 1}});
  expect(route(routing, {1, 9, 10, 9}), {{2, 1}, {1, 0.5F}});
  expect(route(routing, {-4, -1, -2, -2.01F}), {{1, 1}, {2, 1 / (1 + std::exp(-0.01F))}});
}

TEST(Router, NumbersThatAreNoneAreHarmless) {
  for (const Gating gating :
       {Gating::softmax, Gating::softmax_selected, Gating::sigmoid, Gating::sparsemixer}) {
    const Routing routing{
        .gating = gating, .top_k = 3, .n_groups = 2, .top_groups = 1, .normalise = true};
    for (const ExpertChoice& choice : route(routing, {NAN, NAN, INFINITY, NAN, -INFINITY, NAN})) {
      EXPECT_GE(choice.expert, 0);
      EXPECT_LT(choice.expert, 6);
    }
  }
}

}  // namespace
}  // namespace rbee
