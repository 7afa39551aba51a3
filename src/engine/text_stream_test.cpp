#include "engine/text_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing/list_tokenizer.hpp"

namespace rbee {
namespace {

// Feeds tokens by hand. Each token is given as its bytes.
class TextStreamTest : public ::testing::Test {
 protected:
  void start(std::vector<std::string> pieces, std::vector<std::string> stop) {
    n_pieces_ = static_cast<std::int32_t>(pieces.size());
    auto tokenizer = std::make_shared<testing::ListTokenizer>(std::move(pieces));
    tokens_ = std::make_shared<TokenStream>(1000);
    text_ = std::make_unique<TextStream>(tokens_, tokenizer, std::move(stop));
  }
  void push(std::int32_t id) { tokens_->push(TokenEvent{.id = id, .logprob = 0, .top = {}}); }
  void finish(FinishReason reason) {
    tokens_->push(Finish{.reason = reason,
                         .error = {},
                         .prompt_tokens = 7,
                         .completion_tokens = n_pieces_,
                         .prefill_seconds = 1,
                         .decode_seconds = 2});
  }
  // Takes what is there. Empty pieces never come.
  std::string take() {
    std::string text;
    while (auto piece = text_->try_next()) {
      EXPECT_FALSE(piece->text.empty() && piece->tokens.empty());
      text += piece->text;
      for (const TokenEvent& event : piece->tokens) ids_.push_back(event.id);
    }
    return text;
  }

  std::int32_t n_pieces_ = 0;
  std::shared_ptr<TokenStream> tokens_;
  std::unique_ptr<TextStream> text_;
  std::vector<std::int32_t> ids_;
};

using Ids = std::vector<std::int32_t>;

TEST_F(TextStreamTest, PassesTextAndTokensOn) {
  start({"Hel", "lo", " you"}, {});
  push(0);
  EXPECT_EQ(take(), "Hel");
  EXPECT_EQ(ids_, Ids{0});
  push(1);
  push(2);
  EXPECT_EQ(take(), "lo you");
  EXPECT_FALSE(text_->finished());
  finish(FinishReason::eos);
  EXPECT_EQ(take(), "");
  ASSERT_TRUE(text_->finished());
  EXPECT_EQ(text_->finished()->reason, FinishReason::eos);
  EXPECT_EQ(text_->finished()->completion_tokens, 3);
  EXPECT_EQ(ids_, (Ids{0, 1, 2}));
  EXPECT_FALSE(text_->try_next());
  EXPECT_FALSE(text_->next());
  text_.reset();
  EXPECT_FALSE(tokens_->cancelled());
}

TEST_F(TextStreamTest, AStopStringMayLieOverTokenBorders) {
  start({"one t", "wo th", "ree", " four"}, {"two three"});
  push(0);
  EXPECT_EQ(take(), "one ");
  EXPECT_EQ(ids_, Ids{});  // the t is held back
  push(1);
  EXPECT_EQ(take(), "");
  push(2);
  push(3);
  EXPECT_EQ(take(), "");
  EXPECT_TRUE(tokens_->cancelled());
  EXPECT_EQ(text_->matched_stop(), "two three");
  EXPECT_FALSE(text_->finished());  // the engine has not said so yet
  finish(FinishReason::cancelled);
  EXPECT_EQ(take(), "");
  ASSERT_TRUE(text_->finished());
  EXPECT_EQ(text_->finished()->reason, FinishReason::stop);
  EXPECT_EQ(text_->finished()->completion_tokens, 3);
  EXPECT_EQ(text_->finished()->prompt_tokens, 7);
  EXPECT_EQ(ids_, Ids{0});  // of which "one " is in the answer
}

TEST_F(TextStreamTest, TextThatOnlyLookedLikeAStopStringComesLate) {
  start({"a", "b", "c", "x"}, {"abcd"});
  push(0);
  push(1);
  push(2);
  EXPECT_EQ(take(), "");
  push(3);
  EXPECT_EQ(take(), "abcx");
  EXPECT_EQ(ids_, (Ids{0, 1, 2, 3}));
}

TEST_F(TextStreamTest, WhatIsHeldComesWithTheEnd) {
  start({"a", "b"}, {"abc"});
  push(0);
  push(1);
  EXPECT_EQ(take(), "");
  finish(FinishReason::length);
  const auto piece = text_->try_next();
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->text, "ab");
  EXPECT_EQ(piece->tokens.size(), 2u);
  ASSERT_TRUE(text_->finished());  // with the last piece
  EXPECT_EQ(text_->finished()->reason, FinishReason::length);
}

TEST_F(TextStreamTest, AMatchInsideATokenCutsIt) {
  start({"one.two.three"}, {".", "two"});
  push(0);
  EXPECT_EQ(take(), "one");
  EXPECT_EQ(ids_, Ids{0});
  finish(FinishReason::eos);  // the model ended by itself meanwhile: the stop string still counts
  take();
  EXPECT_EQ(text_->finished()->reason, FinishReason::stop);
  EXPECT_EQ(text_->finished()->completion_tokens, 1);
}

TEST_F(TextStreamTest, CharactersComeWhole) {
  start({"\xF0\x9F", "\x98", "\x80!", "\xC3"}, {});
  push(0);
  push(1);
  EXPECT_EQ(take(), "");
  EXPECT_EQ(ids_, Ids{});
  push(2);
  EXPECT_EQ(take(), "\xF0\x9F\x98\x80!");
  EXPECT_EQ(ids_, (Ids{0, 1, 2}));
  push(3);
  EXPECT_EQ(take(), "");
  finish(FinishReason::length);
  EXPECT_EQ(take(), "\xEF\xBF\xBD");
  EXPECT_EQ(ids_, (Ids{0, 1, 2, 3}));
}

TEST_F(TextStreamTest, StopStringsMayHoldSplitCharacters) {
  start({"a\xE2", "\x82", "\xAC", "b"}, {"\xE2\x82\xAC"});
  for (int i = 0; i < 3; ++i) push(i);
  EXPECT_EQ(take(), "a");
  EXPECT_EQ(text_->matched_stop(), "\xE2\x82\xAC");
  EXPECT_EQ(ids_, Ids{0});
}

TEST_F(TextStreamTest, TheEndOfAnUnfinishedCharacterMayMatch) {
  start({"a", "\xC3"}, {"\xEF\xBF\xBD"});
  push(0);
  push(1);
  finish(FinishReason::length);
  EXPECT_EQ(take(), "a");
  EXPECT_EQ(text_->finished()->reason, FinishReason::stop);
}

TEST_F(TextStreamTest, TokensWithoutTextGoWithTheNext) {
  start({"", "a", ""}, {});
  push(0);
  EXPECT_EQ(take(), "");
  push(1);
  EXPECT_EQ(take(), "a");
  EXPECT_EQ(ids_, (Ids{0, 1}));
  push(2);
  finish(FinishReason::eos);
  EXPECT_EQ(take(), "");
  EXPECT_EQ(ids_, (Ids{0, 1, 2}));
}

TEST_F(TextStreamTest, ErrorsComeThrough) {
  start({"a"}, {});
  push(0);
  tokens_->push(Finish{.reason = FinishReason::error, .error = "no", .completion_tokens = 1});
  EXPECT_EQ(take(), "a");
  EXPECT_EQ(text_->finished()->reason, FinishReason::error);
  EXPECT_EQ(text_->finished()->error, "no");
}

TEST_F(TextStreamTest, LeavingCancels) {
  start({"a"}, {});
  push(0);
  take();
  EXPECT_FALSE(tokens_->cancelled());
  text_.reset();
  EXPECT_TRUE(tokens_->cancelled());
}

TEST_F(TextStreamTest, NextWaitsForTheEngine) {
  start({"a", "b", "c"}, {"bc"});
  std::thread engine([this] {
    for (int i = 0; i < 3; ++i) push(i);
    finish(FinishReason::cancelled);
  });
  std::string text;
  while (auto piece = text_->next()) text += piece->text;
  engine.join();
  EXPECT_EQ(text, "a");
  EXPECT_EQ(text_->finished()->reason, FinishReason::stop);
}

// Random texts cut into random tokens: the answer is the text before the stop string that ends
// first, whatever the cuts, and at no moment more than that is out.
TEST_F(TextStreamTest, AnswersDoNotDependOnTokenBorders) {
  std::mt19937 random(2);
  const std::vector<std::string> letters{"a", "b", "\xC3\xA9", "\xF0\x9F\x98\x80"};
  const auto words = [&](std::size_t n) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += letters[random() % letters.size()];
    return text;
  };
  for (int turn = 0; turn < 2000; ++turn) {
    const std::string whole = words(random() % 25);
    std::vector<std::string> stop(random() % 3);
    for (auto& s : stop) s = words(random() % 4);
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < whole.size();) {
      const std::size_t n = 1 + random() % 6;
      pieces.push_back(whole.substr(i, n));
      i += n;
    }
    std::string answer = whole;
    std::size_t first_end = std::string::npos;
    for (const std::string& s : stop) {
      const std::size_t at = s.empty() ? std::string::npos : whole.find(s);
      if (at == std::string::npos) continue;
      const std::size_t end = at + s.size();
      if (end < first_end || (end == first_end && at < answer.size())) {
        first_end = end;
        answer = whole.substr(0, at);
      }
    }
    ids_.clear();
    start(pieces, stop);
    std::string given;
    for (std::int32_t i = 0; i < n_pieces_; ++i) {
      push(i);
      given += take();
      ASSERT_EQ(answer.substr(0, given.size()), given) << "leaked";
    }
    finish(FinishReason::length);
    given += take();
    ASSERT_EQ(given, answer);
    ASSERT_EQ(text_->finished()->reason == FinishReason::stop, first_end != std::string::npos);
    for (std::size_t i = 0; i < ids_.size(); ++i) ASSERT_EQ(ids_[i], static_cast<int>(i));
    if (first_end == std::string::npos) {
      ASSERT_EQ(static_cast<std::int32_t>(ids_.size()), n_pieces_);
    }
  }
}

}  // namespace
}  // namespace rbee
