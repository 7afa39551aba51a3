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

// Steps of any size take 1, rounds as given for 1, 2, ... sequences.
GuessPolicy drafting_policy(const std::vector<double>& rounds) {
  GuessPolicy policy;
  for (int n = 1; n <= 40; ++n) policy.note_step(n, 1);
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    policy.note_round(static_cast<int>(i) + 1, rounds[i]);
  }
  return policy;
}

int drafts_for(const GuessPolicy& policy, GuessPolicy::Choice choice) {
  choice.available = 8;
  policy.choose_drafts({&choice, 1}, {.n_tokens = 1, .expected = 1});
  return choice.count;
}

TEST(GuessPolicy, NoDraftsBeforeAnyStepWasSeen) {
  EXPECT_EQ(drafts_for(GuessPolicy{}, {.expected = 1}), 0);
}

TEST(GuessPolicy, DraftsAreTriedBeforeAnyRoundWasSeen) {
  EXPECT_EQ(drafts_for(drafting_policy({}), {.expected = 0.6}), GuessPolicy::kMostGuesses);
}

// Rounds of 0.2: one draft of 0.8 brings 1.8 tokens in 1.2, then 2.44 in 1.4, 2.95 in 1.6, 3.36 in
// 1.8, 3.69 in 2: the best are four.
TEST(GuessPolicy, AsManyDraftsAsPay) {
  const GuessPolicy policy = drafting_policy({0.2});
  EXPECT_EQ(drafts_for(policy, {.expected = 0.8}), 4);
  EXPECT_EQ(drafts_for(policy, {.expected = 0.5}), 1);
  EXPECT_EQ(drafts_for(policy, {.expected = 0.15}), 0);
  EXPECT_EQ(drafts_for(policy, {.expected = 1}), GuessPolicy::kMostGuesses);
}

TEST(GuessPolicy, NoDraftsWhereTheyTakeAsLongAsTheModel) {
  EXPECT_EQ(drafts_for(drafting_policy({1}), {.expected = 0.99}), 0);
}

TEST(GuessPolicy, CatchingUpHasToPayInWhatIsAhead) {
  const GuessPolicy policy = drafting_policy({0.1});
  EXPECT_GT(drafts_for(policy, {.expected = 0.8, .behind = 1000, .ahead = 200}), 0);
  EXPECT_EQ(drafts_for(policy, {.expected = 0.8, .behind = 1000, .ahead = 3}), 0);
}

// A round of 0.6 does not pay for one of four sequences, and does for all of them.
TEST(GuessPolicy, ARoundServesAllSequences) {
  const GuessPolicy policy = drafting_policy({0.6, 0.61, 0.62, 0.63});
  std::vector<GuessPolicy::Choice> choices(4, {.expected = 0.9, .available = 8});
  policy.choose_drafts(choices, {.n_tokens = 4, .expected = 4});
  for (const auto& choice : choices) EXPECT_GE(choice.count, 1);
  choices.assign(1, {.expected = 0.9, .available = 8});
  policy.choose_drafts(choices, {.n_tokens = 4, .expected = 4});
  EXPECT_EQ(choices[0].count, 0);
}

TEST(GuessPolicy, DraftsComeOnTopOfTheGuessesThatAreThere) {
  GuessPolicy policy;
  for (int n = 1; n <= 64; ++n) policy.note_step(n, n < 10 ? 1 : 10);
  policy.note_round(1, 0.01);
  std::vector<GuessPolicy::Choice> found{{.expected = 0.9, .available = 6}};
  const GuessPolicy::Step step = policy.choose(found, 2);
  EXPECT_EQ(found[0].count, 6);
  EXPECT_EQ(step.n_tokens, 8);
  EXPECT_NEAR(step.expected, 2 + 0.9 * (1 - 0.531441) / 0.1, 1e-6);
  std::vector<GuessPolicy::Choice> drafts{{.expected = 0.9, .available = 8}};
  policy.choose_drafts(drafts, step);
  EXPECT_EQ(drafts[0].count, 1);  // a tenth token is too dear
}

TEST(GuessPolicy, TriesADraftAgainAfterLong) {
  GuessPolicy policy = drafting_policy({1});
  for (int i = 0; i < 50; ++i) policy.note_no_round();
  EXPECT_EQ(drafts_for(policy, {.expected = 0.7}), 0);
  for (int i = 0; i < 200; ++i) policy.note_no_round();
  EXPECT_GT(drafts_for(policy, {.expected = 0.7}), 0);
}

TEST(GuessPolicy, ASlowFirstRoundIsSoonForgotten) {
  GuessPolicy policy = drafting_policy({1});
  for (int i = 0; i < 6; ++i) policy.note_round(1, 0.1);
  EXPECT_GT(drafts_for(policy, {.expected = 0.7}), 0);
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
