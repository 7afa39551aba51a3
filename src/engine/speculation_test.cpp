#include "engine/speculation.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace rbee {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens guess_after(const Tokens& tokens, int most) {
  Tokens guess{99};  // what is there goes
  look_up(tokens, most, guess);
  return guess;
}

TEST(LookUp, WhatFollowedBefore) {
  EXPECT_EQ(guess_after({1, 2, 3, 4, 5, 6, 1, 2, 3}, 2), (Tokens{4, 5}));
}

TEST(LookUp, NothingForTwoTokensOrWhatIsNew) {
  EXPECT_EQ(guess_after({9, 2, 3, 4, 8, 2, 3}, 4), Tokens{});
  EXPECT_EQ(guess_after({1, 2, 3, 4}, 4), Tokens{});
  EXPECT_EQ(guess_after({1, 2, 3}, 4), Tokens{});
  EXPECT_EQ(guess_after({}, 4), Tokens{});
}

TEST(LookUp, TheLongerAgreementThenTheLater) {
  EXPECT_EQ(guess_after({7, 1, 2, 3, 5, 8, 1, 2, 3, 6, 7, 1, 2, 3}, 1), (Tokens{5}));
  EXPECT_EQ(guess_after({1, 2, 3, 5, 8, 1, 2, 3, 6, 7, 1, 2, 3}, 1), (Tokens{6}));
}

TEST(LookUp, GoesOnInACircle) {
  EXPECT_EQ(guess_after({5, 1, 2, 1, 2, 1, 2}, 5), (Tokens{1, 2, 1, 2, 1}));
  EXPECT_EQ(guess_after({4, 4, 4, 4}, 3), (Tokens{4, 4, 4}));
}

TEST(LookUp, NoMoreThanIsAskedFor) {
  EXPECT_EQ(guess_after({4, 4, 4, 4}, 0), Tokens{});
  EXPECT_EQ(guess_after({4, 4, 4, 4}, -1), Tokens{});
}

int count_for(const GuessPolicy& policy, double expected, int available = 8) {
  GuessPolicy::Choice choice{.expected = expected, .available = available};
  policy.choose({&choice, 1}, 1);
  return choice.count;
}

TEST(GuessPolicy, NoneBeforeAnyStepWasSeen) { EXPECT_EQ(count_for(GuessPolicy{}, 1), 0); }

TEST(GuessPolicy, AllWhereMoreTokensCostNothing) {
  GuessPolicy policy;
  for (int n = 1; n <= 9; ++n) policy.note_step(n, 1);
  EXPECT_EQ(count_for(policy, 0.9), GuessPolicy::kMostGuesses);
  EXPECT_EQ(count_for(policy, 0.9, 3), 3);
}

TEST(GuessPolicy, NoneWhereTokensCostTheirPrice) {
  GuessPolicy policy;
  for (int n = 1; n <= 9; ++n) policy.note_step(n, n);
  EXPECT_EQ(count_for(policy, 0.95), 0);
}

// 1 + 0.3 n seconds: one guess of 0.7 brings 1.7 tokens for 1.3 of the price, the second 2.19 for
// 1.6, the third 2.53 for 1.9, which is less for the money.
TEST(GuessPolicy, AsManyAsPay) {
  GuessPolicy policy;
  for (int n = 1; n <= 9; ++n) policy.note_step(n, 0.7 + 0.3 * n);
  EXPECT_EQ(count_for(policy, 0.7), 2);
  EXPECT_EQ(count_for(policy, 0.5), 1);
  EXPECT_EQ(count_for(policy, 0.25), 0);
}

TEST(GuessPolicy, LikelyGuessesFirst) {
  GuessPolicy policy;
  for (int n = 1; n <= 30; ++n) policy.note_step(n, 3 + 0.2 * n);
  std::vector<GuessPolicy::Choice> choices{{.expected = 0.4, .available = 8},
                                           {.expected = 0.95, .available = 8},
                                           {.expected = 0.7, .available = 0}};
  policy.choose(choices, 4);
  EXPECT_GT(choices[1].count, choices[0].count);
  EXPECT_EQ(choices[2].count, 0);
}

TEST(GuessPolicy, TriesWhatWasNeverSeenAndThenWhatWasBadAgain) {
  GuessPolicy policy;
  policy.note_step(1, 1);
  EXPECT_GT(count_for(policy, 0.9), 0);
  for (int n = 2; n <= 9; ++n) policy.note_step(n, 50);
  EXPECT_EQ(count_for(policy, 0.9), 0);
  for (int i = 0; i < 1000; ++i) policy.note_step(1, 1);
  EXPECT_GT(count_for(policy, 0.9), 0);
}

TEST(GuessPolicy, OneHiccupChangesLittle) {
  GuessPolicy policy;
  for (int n = 1; n <= 9; ++n) policy.note_step(n, 1);
  policy.note_step(2, 1000);
  EXPECT_GT(count_for(policy, 0.9), 0);
}

TEST(GuessPolicy, LargeStepsAreLeftAlone) {
  GuessPolicy policy;
  policy.note_step(GuessPolicy::kMostTokens + 1, 1);
  policy.note_step(0, 1);
  GuessPolicy::Choice choice{.expected = 1, .available = 8};
  policy.choose({&choice, 1}, GuessPolicy::kMostTokens + 1);
  EXPECT_EQ(choice.count, 0);
}

TEST(GuessRecord, LearnsAndForgets) {
  GuessRecord record;
  const double first = record.expected();
  record.note(4, 4);
  EXPECT_GT(record.expected(), first);
  for (int i = 0; i < 50; ++i) record.note(4, 0);
  EXPECT_LT(record.expected(), 0.05);
  const double low = record.expected();
  record.note(4, 0);
  EXPECT_GT(low, record.expected());
  for (int i = 0; i < 500; ++i) record.note_unused();
  EXPECT_NEAR(record.expected(), first, 0.05);
}

}  // namespace
}  // namespace rbee
