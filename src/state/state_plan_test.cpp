#include "state/state_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "state/state_cache.hpp"

namespace rbee {
namespace {

using testing::HasSubstr;

constexpr std::size_t kMiB = 1 << 20;
constexpr StateNeeds kNeeds{.page_bytes = kMiB,
                            .slot_bytes = 0,
                            .model_context = 10 * kPageTokens,
                            .max_context = 0,
                            .max_sequences = 4};

TEST(StatePlan, TakesNoMoreThanAllSequencesCanUse) {
  const auto plan = plan_state(kNeeds, 1000 * kMiB);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->n_pages, 40);
  EXPECT_EQ(plan->n_slots, 0);
  EXPECT_EQ(plan->max_context, 10 * kPageTokens);
  EXPECT_EQ(plan->bytes, 40 * kMiB);
}

TEST(StatePlan, StaysWithinTheBudget) {
  const auto plan = plan_state(kNeeds, 12 * kMiB + 5);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->n_pages, 12);
  EXPECT_EQ(plan->max_context, 10 * kPageTokens);
}

TEST(StatePlan, CutsTheModelsContextButNotTheUsers) {
  const auto cut = plan_state(kNeeds, 7 * kMiB);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->max_context, 7 * kPageTokens);
  StateNeeds asked = kNeeds;
  asked.max_context = 10 * kPageTokens;
  const auto refused = plan_state(asked, 7 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("640 tokens takes 10.0 MiB"));
  EXPECT_THAT(refused.error(), HasSubstr("7.0 MiB"));
  asked.max_context = 7 * kPageTokens;
  EXPECT_TRUE(plan_state(asked, 7 * kMiB));
}

TEST(StatePlan, AnOddContextNeedsItsLastPage) {
  StateNeeds asked = kNeeds;
  asked.max_context = kPageTokens + 1;
  asked.max_sequences = 1;
  EXPECT_FALSE(plan_state(asked, kMiB));
  const auto plan = plan_state(asked, 2 * kMiB);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->n_pages, 2);
  EXPECT_EQ(plan->max_context, kPageTokens + 1);
}

TEST(StatePlan, RefusesWhenNotEvenAPageFits) {
  EXPECT_FALSE(plan_state(kNeeds, 0));
  EXPECT_FALSE(plan_state(kNeeds, kMiB - 1));
  StateNeeds nameless = kNeeds;
  nameless.model_context = 0;
  EXPECT_FALSE(plan_state(nameless, 100 * kMiB));
}

TEST(StatePlan, SlotsComeFirstUpToHalfOfTheBudget) {
  StateNeeds mixed = kNeeds;
  mixed.slot_bytes = kMiB;
  const auto plan = plan_state(mixed, 20 * kMiB);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->n_slots, 4);
  EXPECT_EQ(plan->n_pages, 16);
  EXPECT_EQ(plan->bytes, 20 * kMiB);
  const auto fewer = plan_state(mixed, 5 * kMiB);
  ASSERT_TRUE(fewer);
  EXPECT_EQ(fewer->n_slots, 2);
  EXPECT_EQ(fewer->n_pages, 3);
  EXPECT_FALSE(plan_state(mixed, kMiB - 1));
}

TEST(StatePlan, ModelsWithoutKeysNeedNoMemoryForPages) {
  StateNeeds recurrent = kNeeds;
  recurrent.page_bytes = 0;
  recurrent.slot_bytes = kMiB;
  const auto plan = plan_state(recurrent, 4 * kMiB);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->n_pages, 0);
  EXPECT_EQ(plan->n_slots, 4);
  EXPECT_EQ(plan->max_context, 10 * kPageTokens);
  EXPECT_EQ(plan->bytes, 4 * kMiB);
  const auto fewer = plan_state(recurrent, 3 * kMiB + 5);
  ASSERT_TRUE(fewer);
  EXPECT_EQ(fewer->n_slots, 3);
  EXPECT_FALSE(plan_state(recurrent, kMiB - 1));
}

TEST(StatePlan, HugeWishesDoNotOverflow) {
  StateNeeds huge = kNeeds;
  huge.model_context = std::numeric_limits<int>::max();
  huge.max_sequences = std::numeric_limits<int>::max();
  const auto plan = plan_state(huge, 100 * kMiB);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->n_pages, 100);
  huge.page_bytes = 0;
  EXPECT_TRUE(plan_state(huge, 100 * kMiB));
  huge.slot_bytes = std::numeric_limits<std::size_t>::max();
  EXPECT_FALSE(plan_state(huge, 100 * kMiB));
}

}  // namespace
}  // namespace rbee
