// Reads a TokenStream to its end, and compares what came, for tests.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "engine/token_stream.hpp"

namespace rbee::testing {

struct Answer {
  std::vector<std::int32_t> ids;
  std::vector<TokenEvent> events;
  Finish finish;
};

// Cancels once cancel_after tokens are there (-1: never), and reads on.
inline Answer collect(TokenStream& stream, int cancel_after = -1) {
  Answer answer;
  for (;;) {
    if (static_cast<int>(answer.ids.size()) == cancel_after) stream.cancel();
    TokenStream::Item item = stream.pop();
    if (auto* finish = std::get_if<Finish>(&item)) {
      answer.finish = std::move(*finish);
      return answer;
    }
    answer.events.push_back(std::get<TokenEvent>(std::move(item)));
    answer.ids.push_back(answer.events.back().id);
  }
}

// Answers of full length with the same tokens and the same bits of probability.
inline void expect_same(const std::vector<Answer>& a, const std::vector<Answer>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].ids, b[i].ids) << "request " << i;
    EXPECT_EQ(a[i].finish.reason, FinishReason::length) << a[i].finish.error;
    ASSERT_EQ(a[i].events.size(), b[i].events.size());
    for (std::size_t t = 0; t < a[i].events.size(); ++t) {
      EXPECT_EQ(a[i].events[t].logprob, b[i].events[t].logprob);
      EXPECT_EQ(a[i].events[t].top, b[i].events[t].top);
    }
  }
}

}  // namespace rbee::testing
