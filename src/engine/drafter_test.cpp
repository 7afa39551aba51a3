#include "engine/drafter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "engine/testing/hash_model.hpp"

namespace rbee {
namespace {

using testing::expected_answer;
using testing::HashBackend;
using testing::HashModel;
using testing::kHashVocab;
using Ids = std::vector<std::int32_t>;

constexpr int kStep = 16;  // tokens of a step of the engine

class DrafterTest : public ::testing::Test {
 protected:
  DrafterTest() {
    backend_.allocate_state(model_.info().state, 20, 0);
    backend_.before_step = [this](const Batch& batch) { sizes_.push_back(batch.n_tokens()); };
  }

  // As the engine has it before a step: all but the last token are computed.
  Sequence make(Ids tokens) {
    Sequence sequence;
    sequence.tokens = std::move(tokens);
    sequence.n_prompt = sequence.n_tokens();
    sequence.n_computed = sequence.n_tokens() - 1;
    sequence.state = cache_.make(sequence.n_tokens() + GuessPolicy::kMostGuesses);
    return sequence;
  }

  static Ids greedy(const Ids& tokens, int n) {
    GenerationRequest request;
    request.prompt = tokens;
    request.sampling.temperature = 0;
    request.max_tokens = n;
    return expected_answer(request, 1000, false);
  }

  void draft(std::vector<Drafter::Wish> wishes) {
    sizes_.clear();
    drafter_.draft(wishes, policy_);
  }

  // The model has said these.
  static void advance(Sequence& sequence, const Ids& said) {
    sequence.tokens.insert(sequence.tokens.end(), said.begin(), said.end());
    sequence.n_computed = sequence.n_tokens() - 1;
  }

  HashBackend backend_;
  HashModel model_{1000, false};
  StateCache cache_{20, 0};
  GuessPolicy policy_;
  Drafter drafter_{{&backend_, &model_}, kHashVocab, false, kStep};
  std::vector<int> sizes_;  // of the draft's steps
};

TEST_F(DrafterTest, GuessesWhatTheDraftWouldSay) {
  Sequence a = make({1, 2, 3}), b = make({4, 5, 6, 7, 8});
  draft({{&a, 4}, {&b, 2}});
  EXPECT_EQ(a.guess, greedy({1, 2, 3}, 4));
  EXPECT_EQ(b.guess, greedy({4, 5, 6, 7, 8}, 2));
  EXPECT_EQ(sizes_, (std::vector<int>{8, 2, 1, 1}));
}

TEST_F(DrafterTest, GoesOnFromWhatCameTrue) {
  const Ids prompt{1, 2, 3};
  const Ids said = greedy(prompt, 20);
  Sequence all = make(prompt), two = make(prompt), none = make(prompt);
  const std::vector<Drafter::Wish> wishes{{&all, 4}, {&two, 4}, {&none, 4}};
  draft(wishes);
  advance(all, {said[0], said[1], said[2], said[3], said[4]});
  advance(two, {said[0], said[1], 90});
  advance(none, {91});
  draft(wishes);
  EXPECT_EQ(all.guess, (Ids{said[5], said[6], said[7], said[8]}));
  EXPECT_EQ(two.guess, greedy(two.tokens, 4));
  EXPECT_EQ(none.guess, greedy(none.tokens, 4));
  // The last of four right guesses was not computed; nothing else is computed again.
  EXPECT_EQ(sizes_, (std::vector<int>{2 + 1 + 1, 3, 3, 3}));
}

TEST_F(DrafterTest, AGuessThatNoStepCheckedIsForgotten) {
  Sequence a = make({1, 2, 3});
  draft({{&a, 5}});
  draft({{&a, 3}});
  EXPECT_EQ(a.guess, greedy({1, 2, 3}, 3));
  EXPECT_EQ(sizes_, (std::vector<int>{1, 1, 1}));
}

TEST_F(DrafterTest, CatchesUpByStepsWithoutGuessesUntilItIsThere) {
  Ids text;
  for (int i = 0; i < 3 * kStep; ++i) text.push_back(i);
  Sequence late = make(text), near = make({1, 2});
  EXPECT_EQ(Drafter::behind(late), 3 * kStep - 2);
  EXPECT_EQ(Drafter::behind(near), 0);
  for (int i = 0; i < 2; ++i) {
    draft({{&late, 2}, {&near, 2}});
    EXPECT_TRUE(late.guess.empty());
    EXPECT_EQ(near.guess.size(), 2u);
    EXPECT_EQ(sizes_.front(), kStep + (i == 0 ? 2 : 1));
  }
  draft({{&late, 2}, {&near, 2}});
  EXPECT_EQ(late.guess, greedy(text, 2));
}

TEST_F(DrafterTest, TwoThatAreFarBehindShareAStep) {
  const Ids text(kStep + kStep / 2, 5);
  Sequence a = make(text), b = make(text);
  draft({{&a, 1}, {&b, 1}});
  EXPECT_EQ(sizes_, (std::vector<int>{kStep}));
  draft({{&a, 1}, {&b, 1}});
  EXPECT_EQ(sizes_, (std::vector<int>{kStep / 2 + kStep}));
  EXPECT_EQ(a.guess, greedy(text, 1));
  draft({{&a, 1}, {&b, 1}});
  EXPECT_EQ(b.guess, greedy(text, 1));
}

TEST_F(DrafterTest, NotesWhatRoundsTakeButNotCatchingUp) {
  const auto drafts = [&] {
    GuessPolicy::Choice choice{.expected = 0.9, .available = 8};
    policy_.choose_drafts({&choice, 1}, {.n_tokens = 1, .expected = 1});
    return choice.count;
  };
  policy_.note_step(1, 1e-9);  // less than any round can take
  ASSERT_GT(drafts(), 0);
  Sequence a = make(Ids(10, 3));
  draft({{&a, 1}});
  EXPECT_GT(drafts(), 0);
  draft({{&a, 1}});
  EXPECT_EQ(drafts(), 0);
}

TEST_F(DrafterTest, RoomEndsWithTheContextAndWithUnknownTokens) {
  const HashModel limited(1000, false, 12);
  const Drafter drafter({&backend_, &limited}, kHashVocab, false, kStep);
  EXPECT_EQ(drafter.room(make(Ids(9, 1))), 3);
  EXPECT_EQ(drafter.room(make(Ids(12, 1))), 0);
  EXPECT_EQ(drafter.room(make(Ids(13, 1))), 0);
  EXPECT_GE(drafter_.room(make(Ids(13, 1))), GuessPolicy::kMostGuesses);
  EXPECT_EQ(drafter_.room(make({1, kHashVocab, 1})), 0);
}

TEST_F(DrafterTest, GuessesNoIdThatTheModelDoesNotHave) {
  constexpr int kFew = 5;
  Drafter few({&backend_, &model_}, kFew, false, kStep);
  Sequence a = make({1, 2, 3});
  few.draft(std::array{Drafter::Wish{&a, 8}}, policy_);
  EXPECT_LT(*std::max_element(a.guess.begin(), a.guess.end()), kFew);
}

TEST_F(DrafterTest, WrongSizesAreRefused) {
  backend_.wrong_size = true;
  Sequence a = make({1, 2, 3});
  EXPECT_THROW(draft({{&a, 1}}), BackendError);
}

}  // namespace
}  // namespace rbee
