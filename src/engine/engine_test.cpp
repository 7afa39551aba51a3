#include "engine/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/testing/collect.hpp"
#include "engine/testing/hash_model.hpp"

namespace rbee {
namespace {

using testing::Answer;
using testing::collect;
using testing::expected_answer;
using testing::HashBackend;
using testing::HashModel;
using testing::kHashVocab;
using testing::kPoison;
using Ids = std::vector<std::int32_t>;

constexpr int kContext = 300;

// Blocks the engine thread before a step until it is let go.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_ || passes_ > 0; });
    if (!open_) --passes_;
  }
  void wait_for_arrival(int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= n; });
  }
  void let_one_pass() {
    change([&] { ++passes_; });
  }
  void open() {
    change([&] { open_ = true; });
  }

 private:
  template <class F>
  void change(F action) {
    {
      const std::lock_guard lock(mutex_);
      action();
    }
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  int passes_ = 0;
  bool open_ = false;
};

class EngineTest : public ::testing::Test {
 protected:
  void start(EngineOptions options = {}) {
    if (options.state_bytes == 0) options.state_bytes = 100 * HashBackend::kPageBytes;
    engine_ = std::make_unique<Engine>(backend_, model_, options);
  }
  std::shared_ptr<TokenStream> submit(GenerationRequest request) {
    auto stream = engine_->submit(std::move(request));
    EXPECT_TRUE(stream.ok());
    return stream.ok() ? std::move(stream).value() : nullptr;
  }
  Answer run(GenerationRequest request) { return collect(*submit(std::move(request))); }

  void expect_everything_given_back() {
    const EngineStats stats = engine_->stats();
    EXPECT_EQ(stats.pages_free, stats.pages_total);
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.waiting, 0);
  }
  // Waits until the engine reaches a state; fails the test after 20 seconds.
  template <class F>
  void eventually(F condition) {
    for (int i = 0; i < 20000 && !condition(engine_->stats()); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(condition(engine_->stats()));
  }

  static GenerationRequest greedy(Ids prompt, int max_tokens) {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0;
    request.max_tokens = max_tokens;
    return request;
  }

  HashBackend backend_;
  HashModel model_{kContext};
  Gate gate_;
  std::unique_ptr<Engine> engine_;  // last: its thread uses the others
};

TEST_F(EngineTest, AnswersAreThoseOfThePlainLoop) {
  start();
  for (const float temperature : {0.0f, 0.8f}) {
    GenerationRequest request = greedy({1, 2, 3}, 100);
    request.sampling.temperature = temperature;
    request.sampling.repetition_penalty = 1.1f;
    request.sampling.top_p = 0.9f;
    request.sampling.seed = 5;
    const Answer answer = run(request);
    EXPECT_EQ(answer.ids, expected_answer(request, kContext));
    EXPECT_EQ(answer.ids.size(), 100u);
    EXPECT_EQ(answer.finish.reason, FinishReason::length);
    EXPECT_EQ(answer.finish.prompt_tokens, 3);
    EXPECT_EQ(answer.finish.completion_tokens, 100);
    EXPECT_GT(answer.finish.prefill_seconds, 0);
    EXPECT_GT(answer.finish.decode_seconds, 0);
  }
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.finished, 2u);
  EXPECT_EQ(stats.prompt_tokens, 6u);
  EXPECT_EQ(stats.generated_tokens, 200u);
  EXPECT_EQ(stats.steps, 200u);
  expect_everything_given_back();
}

TEST_F(EngineTest, ChunkSizesDoNotMatter) {
  Ids prompt(201);
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<std::int32_t>(i % 90);
  const GenerationRequest request = greedy(prompt, 20);
  for (const int chunk : {1, 3, 63, 64, 65, 200, 201, 512}) {
    engine_.reset();
    start({.max_sequences = 1, .max_batch_tokens = chunk});
    EXPECT_EQ(run(request).ids, expected_answer(request, kContext)) << "chunks of " << chunk;
    EXPECT_EQ(engine_->stats().steps, static_cast<std::uint64_t>((201 + chunk - 1) / chunk + 19));
  }
}

TEST_F(EngineTest, EndIdsEndAndAreNotPartOfTheAnswer) {
  start();
  GenerationRequest request = greedy({9}, 50);
  const Ids whole = expected_answer(request, kContext);
  request.end_ids = {1000, whole[7], -1, whole[12]};
  const Answer answer = run(request);
  EXPECT_EQ(answer.ids, expected_answer(request, kContext));
  EXPECT_LE(answer.ids.size(), 7u);
  EXPECT_EQ(answer.finish.reason, FinishReason::eos);
  EXPECT_EQ(answer.finish.completion_tokens, static_cast<int>(answer.ids.size()));
}

TEST_F(EngineTest, TheContextIsALimit) {
  start();
  EXPECT_EQ(engine_->max_context(), kContext);
  for (const int n_prompt : {1, 250, kContext - 1}) {
    const GenerationRequest request = greedy(Ids(n_prompt, 4), n_prompt == 1 ? 1 << 30 : -1);
    const Answer answer = run(request);
    EXPECT_EQ(static_cast<int>(answer.ids.size()), kContext - n_prompt);
    EXPECT_EQ(answer.ids, expected_answer(request, kContext));
    EXPECT_EQ(answer.finish.reason, FinishReason::length);
  }
  expect_everything_given_back();
}

TEST_F(EngineTest, NoTokensWantedIsNoTokensMade) {
  start();
  const Answer answer = run(greedy({1, 2}, 0));
  EXPECT_TRUE(answer.ids.empty());
  EXPECT_EQ(answer.finish.reason, FinishReason::length);
  EXPECT_EQ(answer.finish.prompt_tokens, 2);
  EXPECT_EQ(engine_->stats().steps, 0u);
}

TEST_F(EngineTest, RequestsThatCannotRunAreRefused) {
  start();
  const auto error = [&](Ids prompt) {
    return engine_->submit(greedy(std::move(prompt), 5)).error();
  };
  EXPECT_EQ(error({}), SubmitError::prompt_empty);
  EXPECT_EQ(error(Ids(kContext, 1)), SubmitError::prompt_too_long);
  EXPECT_EQ(error(Ids(100 * kContext, 1)), SubmitError::prompt_too_long);
  EXPECT_EQ(error({1, -1}), SubmitError::token_out_of_range);
  EXPECT_EQ(error({kHashVocab}), SubmitError::token_out_of_range);
  engine_->shutdown();
  EXPECT_EQ(error({1}), SubmitError::shutting_down);
  EXPECT_EQ(engine_->stats().finished + engine_->stats().cancelled, 0u);
}

TEST_F(EngineTest, TheQueueIsBounded) {
  backend_.before_step = [&](const Batch&) { gate_.pass(); };
  start({.max_sequences = 2, .max_queue = 3});
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int i = 0; i < 5; ++i) streams.push_back(submit(greedy({i}, 5)));
  EXPECT_EQ(engine_->submit(greedy({1}, 5)).error(), SubmitError::queue_full);
  gate_.open();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(collect(*streams[i]).ids, expected_answer(greedy({i}, 5), kContext));
  }
  EXPECT_EQ(run(greedy({1}, 5)).ids.size(), 5u);  // there is room again
}

TEST_F(EngineTest, LogprobsComeWhenAskedFor) {
  start();
  GenerationRequest request = greedy({3}, 4);
  request.top_logprobs = 3;
  for (const TokenEvent& event : run(request).events) {
    ASSERT_EQ(event.top.size(), 3u);
    EXPECT_EQ(event.top[0].first, event.id);  // greedy
    EXPECT_EQ(event.top[0].second, event.logprob);
    EXPECT_LT(event.logprob, 0);
    EXPECT_GE(event.top[0].second, event.top[1].second);
  }
  request.top_logprobs = 0;
  for (const TokenEvent& event : run(request).events) {
    EXPECT_TRUE(event.top.empty());
    EXPECT_LT(event.logprob, 0);
  }
  request.top_logprobs = -1;
  for (const TokenEvent& event : run(request).events) EXPECT_EQ(event.logprob, 0);
}

TEST_F(EngineTest, IdsBeyondTheTokenizerAreNeverPicked) {
  start({.n_vocab_valid = 10});
  GenerationRequest request = greedy({90}, 100);
  request.top_logprobs = 50;
  for (const float temperature : {0.0f, 2.0f}) {
    request.sampling.temperature = temperature;
    for (const TokenEvent& event : run(request).events) {
      EXPECT_LT(event.id, 10);
      EXPECT_EQ(event.top.size(), 10u);
    }
  }
}

TEST_F(EngineTest, UnseededRequestsDiffer) {
  start();
  GenerationRequest request = greedy({3}, 40);
  request.sampling.temperature = 3;
  const Answer first = run(request);
  EXPECT_NE(first.ids, run(request).ids);
}

TEST_F(EngineTest, AFailingStepEndsItsBatchOnly) {
  std::atomic<int> fail_at{3};
  backend_.before_step = [&](const Batch&) {
    if (--fail_at == 0) throw BackendError("out of something");
  };
  start();
  const Answer failed = run(greedy({1}, 10));
  EXPECT_EQ(failed.finish.reason, FinishReason::error);
  EXPECT_EQ(failed.finish.error, "out of something");
  EXPECT_EQ(failed.ids.size(), 2u);
  expect_everything_given_back();
  EXPECT_EQ(run(greedy({1}, 10)).ids, expected_answer(greedy({1}, 10), kContext));
  backend_.wrong_size = true;
  EXPECT_EQ(run(greedy({1}, 10)).finish.reason, FinishReason::error);
  backend_.wrong_size = false;
  EXPECT_EQ(run(greedy({1}, 10)).ids.size(), 10u);
  expect_everything_given_back();
}

TEST_F(EngineTest, NanLogitsEndTheirSequenceOnly) {
  backend_.before_step = [&](const Batch&) { gate_.pass(); };
  start();
  const auto good = submit(greedy({1, 2}, 20));
  const auto bad = submit(greedy({5, kPoison}, 20));
  const auto also_good = submit(greedy({3, 2}, 20));
  gate_.open();
  const Answer answer = collect(*bad);
  EXPECT_EQ(answer.finish.reason, FinishReason::error);
  EXPECT_FALSE(answer.finish.error.empty());
  EXPECT_EQ(collect(*good).ids, expected_answer(greedy({1, 2}, 20), kContext));
  EXPECT_EQ(collect(*also_good).ids, expected_answer(greedy({3, 2}, 20), kContext));
  expect_everything_given_back();
}

TEST_F(EngineTest, StreamsThatAreNotReadHoldNobodyUp) {
  start({.stream_capacity = 4});
  const auto unread = submit(greedy({1}, 30));
  EXPECT_EQ(run(greedy({2}, 50)).ids, expected_answer(greedy({2}, 50), kContext));
  eventually([&](const EngineStats&) { return unread->full(); });
  const std::uint64_t steps = engine_->stats().steps;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(engine_->stats().steps, steps);
  EXPECT_EQ(engine_->stats().running, 1);
  EXPECT_EQ(collect(*unread).ids, expected_answer(greedy({1}, 30), kContext));
}

TEST_F(EngineTest, AUnreadStreamCanBeCancelled) {
  start({.stream_capacity = 2});
  const auto unread = submit(greedy({1}, 30));
  eventually([&](const EngineStats&) { return unread->full(); });
  unread->cancel();
  eventually([](const EngineStats& stats) { return stats.running == 0; });
  const Answer answer = collect(*unread);
  EXPECT_EQ(answer.finish.reason, FinishReason::cancelled);
  EXPECT_EQ(answer.ids.size(), 2u);
  expect_everything_given_back();
}

TEST_F(EngineTest, CancelWorksInTheQueueInPrefillAndInDecode) {
  backend_.before_step = [&](const Batch&) { gate_.pass(); };
  start({.max_sequences = 2, .max_batch_tokens = 20});
  const auto decoding = submit(greedy({1}, 100));
  gate_.wait_for_arrival(1);
  gate_.let_one_pass();
  gate_.wait_for_arrival(2);  // it has made a token
  const auto prefilling = submit(greedy(Ids(200, 2), 100));
  gate_.let_one_pass();
  gate_.wait_for_arrival(3);
  gate_.let_one_pass();
  gate_.wait_for_arrival(4);  // 38 tokens of the prompt are in
  const auto queued = submit(greedy({3}, 100));
  decoding->cancel();
  prefilling->cancel();
  queued->cancel();
  gate_.open();
  const Answer answer = collect(*decoding);
  EXPECT_EQ(answer.finish.reason, FinishReason::cancelled);
  EXPECT_EQ(answer.ids.size(), 4u);  // the step under way still counted
  EXPECT_EQ(collect(*prefilling).finish.completion_tokens, 0);
  EXPECT_EQ(collect(*queued).finish.reason, FinishReason::cancelled);
  expect_everything_given_back();
  EXPECT_EQ(engine_->stats().cancelled, 3u);
  EXPECT_EQ(engine_->stats().steps, 4u);
}

TEST_F(EngineTest, ShutdownEndsWhatRunsAndWaits) {
  backend_.before_step = [&](const Batch&) { gate_.pass(); };
  start({.max_sequences = 2});
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int i = 0; i < 5; ++i) streams.push_back(submit(greedy({i}, 100)));
  gate_.wait_for_arrival(1);
  engine_->shutdown();
  gate_.open();
  for (const auto& stream : streams) {
    EXPECT_EQ(collect(*stream).finish.reason, FinishReason::cancelled);
  }
  expect_everything_given_back();
  EXPECT_LE(engine_->stats().steps, 1u);
}

TEST_F(EngineTest, DestructionEndsEveryStream) {
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int round = 0; round < 20; ++round) {
    start({.max_sequences = 2, .stream_capacity = 3});
    for (int i = 0; i < 6; ++i) streams.push_back(submit(greedy({i}, 100)));
    engine_.reset();
  }
  for (const auto& stream : streams) {
    EXPECT_EQ(collect(*stream).finish.reason, FinishReason::cancelled);
    stream->cancel();  // harmless without an engine
  }
}

TEST_F(EngineTest, AnIdleEngineUsesNoProcessor) {
  start();
  (void)run(greedy({1}, 5));
  timespec before{};
  timespec after{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  EXPECT_LT(static_cast<double>(after.tv_sec - before.tv_sec) +
                static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-9,
            0.05);
}

TEST_F(EngineTest, TheContextMustFitIntoTheState) {
  try {
    start({.max_context = 200, .state_bytes = 3 * HashBackend::kPageBytes});
    FAIL() << "200 tokens do not fit into three pages";
  } catch (const BackendError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("200 tokens"));
  }
  // The model's own context is cut instead.
  start({.max_sequences = 1, .state_bytes = 3 * HashBackend::kPageBytes + 100});
  EXPECT_EQ(engine_->max_context(), 3 * kPageTokens);
  EXPECT_EQ(engine_->submit(greedy(Ids(3 * kPageTokens, 1), 5)).error(),
            SubmitError::prompt_too_long);
  EXPECT_EQ(run(greedy(Ids(3 * kPageTokens - 1, 1), 5)).ids.size(), 1u);
}

TEST_F(EngineTest, StateIsSizedFromFreeMemory) {
  engine_ = std::make_unique<Engine>(backend_, model_, EngineOptions{.max_sequences = 3});
  EXPECT_EQ(engine_->stats().pages_total, 3 * ((kContext + kPageTokens - 1) / kPageTokens));
}

TEST_F(EngineTest, ModelsWithoutRecurrentLayersGetNoSlots) {
  const HashModel model(kContext, false);
  Engine engine(backend_, model, {.state_bytes = 100 * HashBackend::kPageBytes});
  const GenerationRequest request = greedy({4, 5, 6}, 30);
  auto stream = engine.submit(request);
  ASSERT_TRUE(stream.ok());
  EXPECT_EQ(collect(**stream).ids, expected_answer(request, kContext, false));
}

}  // namespace
}  // namespace rbee
