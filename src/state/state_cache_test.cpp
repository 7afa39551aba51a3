#include "state/state_cache.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

namespace rbee {
namespace {

TEST(PagesFor, RoundsUp) {
  EXPECT_EQ(pages_for(0), 0);
  EXPECT_EQ(pages_for(1), 1);
  EXPECT_EQ(pages_for(kPageTokens), 1);
  EXPECT_EQ(pages_for(kPageTokens + 1), 2);
  EXPECT_EQ(pages_for(std::numeric_limits<int>::max()), 1 << 25);
}

TEST(StateCache, StateGrowsByPagesAndGivesAllBack) {
  StateCache cache(10, 0);
  {
    auto state = cache.make(1);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->slot(), -1);
    EXPECT_EQ(state->pages().size(), 1u);
    EXPECT_TRUE(state->reserve(kPageTokens));
    EXPECT_EQ(state->pages().size(), 1u);
    EXPECT_TRUE(state->reserve(kPageTokens + 1));
    EXPECT_EQ(state->pages().size(), 2u);
    EXPECT_FALSE(state->reserve(11 * kPageTokens));
    EXPECT_EQ(state->pages().size(), 2u);
    EXPECT_EQ(cache.usage().pages_free, 8);
    EXPECT_FALSE(cache.usage().nothing_used());
  }
  EXPECT_TRUE(cache.usage().nothing_used());
}

TEST(StateCache, SlotsAreExclusiveAndLimitTheNumberOfStates) {
  StateCache cache(10, 2);
  auto a = cache.make(1);
  auto b = cache.make(1);
  ASSERT_TRUE(a && b);
  EXPECT_NE(a->slot(), b->slot());
  EXPECT_FALSE(cache.make(1));
  EXPECT_EQ(cache.usage().pages_free, 8);
  const int freed = a->slot();
  a.reset();
  auto c = cache.make(1);
  ASSERT_TRUE(c);
  EXPECT_EQ(c->slot(), freed);
}

TEST(StateCache, AFailedMakeKeepsNothing) {
  StateCache cache(2, 2);
  EXPECT_FALSE(cache.make(3 * kPageTokens));
  EXPECT_TRUE(cache.usage().nothing_used());
}

TEST(StateCache, MovedStateIsGivenBackOnce) {
  StateCache cache(4, 1);
  {
    auto a = cache.make(2 * kPageTokens);
    ASSERT_TRUE(a);
    SeqState b = std::move(*a);
    a.reset();
    EXPECT_EQ(cache.usage().pages_free, 2);
    EXPECT_EQ(b.pages().size(), 2u);
  }
  EXPECT_TRUE(cache.usage().nothing_used());
}

TEST(StateCache, WithoutPagesOnlySlotsLimit) {
  StateCache cache(0, 1);
  {
    auto state = cache.make(1);
    ASSERT_TRUE(state);
    EXPECT_TRUE(state->reserve(1 << 20));
    EXPECT_TRUE(state->pages().empty());
    EXPECT_EQ(state->slot(), 0);
    EXPECT_FALSE(cache.make(1));
  }
  EXPECT_TRUE(cache.usage().nothing_used());
}

}  // namespace
}  // namespace rbee
