#include "engine/token_stream.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/testing/collect.hpp"

namespace rbee {
namespace {

TokenEvent token(std::int32_t id) { return {.id = id, .logprob = 0, .top = {}}; }

TEST(TokenStream, GivesItemsInOrderAndFinishLast) {
  TokenStream stream(4);
  EXPECT_FALSE(stream.try_pop());
  stream.push(token(1));
  stream.push(token(2));
  stream.push(Finish{.reason = FinishReason::eos, .error = {}, .completion_tokens = 2});
  const auto answer = testing::collect(stream);
  EXPECT_EQ(answer.ids, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(answer.finish.reason, FinishReason::eos);
  EXPECT_FALSE(stream.try_pop());
}

TEST(TokenStream, PausesWhenFullUntilHalfIsTaken) {
  int wakes = 0;
  TokenStream stream(4, [&] { ++wakes; });
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(stream.paused(false));
    EXPECT_FALSE(stream.full());
    stream.push(token(i));
  }
  EXPECT_TRUE(stream.full());
  EXPECT_TRUE(stream.paused(false));
  (void)stream.try_pop();
  EXPECT_TRUE(stream.paused(true));
  EXPECT_FALSE(stream.paused(false));
  EXPECT_EQ(wakes, 0);
  (void)stream.try_pop();
  EXPECT_FALSE(stream.paused(true));
  EXPECT_EQ(wakes, 1);
  stream.push(token(9));  // Finish must fit, so push never refuses
  stream.push(token(9));
  stream.push(token(9));
  EXPECT_TRUE(stream.full());
}

TEST(TokenStream, ACapacityOfOneOrNoneStillFlows) {
  for (const std::size_t capacity : {0, 1}) {
    int wakes = 0;
    TokenStream stream(capacity, [&] { ++wakes; });
    stream.push(token(1));
    EXPECT_TRUE(stream.paused(false));
    (void)stream.pop();
    EXPECT_EQ(wakes, 1);
    EXPECT_FALSE(stream.paused(true));
  }
}

TEST(TokenStream, CancelWakesTheEngineOnce) {
  int wakes = 0;
  TokenStream stream(4, [&] { ++wakes; });
  EXPECT_FALSE(stream.cancelled());
  stream.cancel();
  stream.cancel();
  EXPECT_TRUE(stream.cancelled());
  EXPECT_EQ(wakes, 1);
}

TEST(TokenStream, AnnouncesItemsOnAnEmptyStreamOnly) {
  TokenStream stream(4);
  int calls = 0;
  stream.push(token(1));
  stream.on_ready([&] {
    ++calls;
    EXPECT_TRUE(stream.try_pop());  // no lock is held
  });
  EXPECT_EQ(calls, 0);
  stream.push(token(2));  // was not empty
  EXPECT_EQ(calls, 0);
  while (stream.try_pop()) {
  }
  stream.push(token(3));
  EXPECT_EQ(calls, 1);
  stream.push(token(4));
  EXPECT_EQ(calls, 2);
  stream.on_ready({});
  stream.push(token(5));
  EXPECT_EQ(calls, 2);
}

TEST(TokenStream, PopWaitsForAnotherThread) {
  TokenStream stream(2);
  std::thread engine([&] {
    for (int i = 0; i < 1000; ++i) stream.push(token(i));
    stream.push(Finish{});
  });
  const auto answer = testing::collect(stream);
  engine.join();
  ASSERT_EQ(answer.ids.size(), 1000u);
  EXPECT_EQ(answer.ids.back(), 999);
}

}  // namespace
}  // namespace rbee
