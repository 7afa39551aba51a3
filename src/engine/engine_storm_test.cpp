// The engine under load: many streams, few pages, cancellations at random. Every answer that ends
// by itself is the one it would have been alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.hpp"
#include "engine/testing/collect.hpp"
#include "engine/testing/hash_model.hpp"

namespace rbee {
namespace {

using testing::Answer;
using testing::collect;
using testing::expected_answer;
using testing::HashBackend;
using testing::HashModel;

constexpr int kContext = 400;

GenerationRequest random_request(std::mt19937& random) {
  const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  GenerationRequest request;
  request.prompt.resize(1 + (up_to(3) == 0 ? up_to(250) : up_to(30)));
  for (auto& id : request.prompt) id = up_to(testing::kPoison);
  request.max_tokens = 1 + up_to(150);
  request.sampling.seed = random();
  request.sampling.temperature = up_to(2) == 0 ? 0 : 1;
  request.sampling.top_k = up_to(2) == 0 ? 0 : 20;
  request.sampling.repetition_penalty = up_to(2) == 0 ? 1 : 1.2f;
  if (up_to(3) == 0) request.end_ids = {up_to(96), up_to(96)};
  return request;
}

struct Storm {
  std::string name;
  int n_streams;
  int max_sequences;
  int max_batch_tokens;
  int n_pages;
  std::size_t stream_capacity;
  bool with_slots;
};

void PrintTo(const Storm& storm, std::ostream* out) { *out << storm.name; }

class EngineStorm : public ::testing::TestWithParam<Storm> {};

// One client: sends a request after a moment, a third of them leaves at a random place.
void play_client(Engine& engine, unsigned seed, bool with_slots) {
  std::mt19937 random(seed);
  const auto pause = [&](unsigned most) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % most));
  };
  pause(3000);
  const GenerationRequest request = random_request(random);
  const auto expected = expected_answer(request, kContext, with_slots);
  auto stream = engine.submit(request);
  ASSERT_TRUE(stream.ok());
  const bool leaves = seed % 3 == 0;
  if (leaves && random() % 2 == 0) {  // without having read anything
    pause(10000);
    (*stream)->cancel();
  }
  const int cut = leaves ? static_cast<int>(random() % (expected.size() + 1)) : -1;
  const Answer answer = collect(**stream, cut);
  ASSERT_NE(answer.finish.reason, FinishReason::error) << answer.finish.error;
  EXPECT_EQ(answer.finish.completion_tokens, static_cast<int>(answer.ids.size()));
  if (answer.finish.reason == FinishReason::cancelled) {
    ASSERT_TRUE(leaves);
    ASSERT_LE(answer.ids.size(), expected.size());
    EXPECT_TRUE(std::equal(answer.ids.begin(), answer.ids.end(), expected.begin()));
  } else {
    EXPECT_EQ(answer.ids, expected);
  }
}

TEST_P(EngineStorm, EveryAnswerIsItsSoloAnswer) {
  const Storm& storm = GetParam();
  HashBackend backend;
  backend.before_step = [](const Batch&) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));  // so that the streams overlap
  };
  const HashModel model(kContext, storm.with_slots);
  Engine engine(backend, model,
                {.max_context = kContext,
                 .max_sequences = storm.max_sequences,
                 .max_queue = storm.n_streams,
                 .max_batch_tokens = storm.max_batch_tokens,
                 .state_bytes = storm.n_pages * HashBackend::kPageBytes + 1000,
                 .stream_capacity = storm.stream_capacity});
  ASSERT_LE(engine.stats().pages_total, storm.n_pages);
  std::vector<std::thread> clients;
  for (int i = 0; i < storm.n_streams; ++i) {
    clients.emplace_back(play_client, std::ref(engine), static_cast<unsigned>(i), storm.with_slots);
  }
  for (std::thread& client : clients) client.join();
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.pages_free, stats.pages_total);
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.finished + stats.cancelled, static_cast<std::uint64_t>(storm.n_streams));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EngineStorm,
                         ::testing::Values(Storm{"roomy", 40, 32, 128, 300, 256, true},
                                           Storm{"few_pages", 48, 32, 64, 7, 256, true},
                                           Storm{"few_pages_without_slots", 48, 8, 33, 9, 256,
                                                 false},
                                           Storm{"one_at_a_time", 20, 1, 16, 7, 256, true},
                                           Storm{"tiny_steps", 40, 32, 1, 11, 256, false},
                                           Storm{"slow_readers", 40, 8, 64, 9, 2, true}),
                         [](const auto& storm) { return storm.param.name; });

// More sequences than the pages can hold to their end, all there from the start.
TEST(EnginePreemption, PreemptedAnswersAreSoloAnswers) {
  for (const bool with_slots : {false, true}) {
    HashBackend backend;
    std::mutex gate;
    std::unique_lock closed(gate);
    backend.before_step = [&](const Batch&) { const std::lock_guard wait(gate); };
    const HashModel model(kContext, with_slots);
    Engine engine(backend, model,
                  {.max_context = kContext,
                   .max_sequences = 8,
                   .max_batch_tokens = 40,
                   .state_bytes = 8 * HashBackend::kPageBytes});
    std::mt19937 random(3);
    std::vector<GenerationRequest> requests;
    std::vector<std::shared_ptr<TokenStream>> streams;
    for (int i = 0; i < 24; ++i) {
      requests.push_back(random_request(random));
      requests.back().prompt.resize(30);
      requests.back().max_tokens = 150;
      requests.back().end_ids.clear();
      streams.push_back(engine.submit(requests.back()).value());
    }
    closed.unlock();
    for (std::size_t i = 0; i < streams.size(); ++i) {
      EXPECT_EQ(collect(*streams[i]).ids, expected_answer(requests[i], kContext, with_slots));
    }
    EXPECT_GT(engine.stats().preemptions, 5u);
    EXPECT_EQ(engine.stats().pages_free, engine.stats().pages_total);
  }
}

// Clients that never read, more than may run at once, must not keep the others from answers.
TEST(EngineStarvation, UnreadStreamsDoNotStarveOthers) {
  HashBackend backend;
  const HashModel model(kContext);
  Engine engine(backend, model,
                {.max_context = kContext,
                 .max_sequences = 4,
                 .max_batch_tokens = 64,
                 .state_bytes = 8 * HashBackend::kPageBytes,
                 .stream_capacity = 4});
  std::mt19937 random(1);
  std::vector<std::shared_ptr<TokenStream>> unread;
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 12; ++i) {
    requests.push_back(random_request(random));
    unread.push_back(engine.submit(requests.back()).value());
  }
  for (int i = 0; i < 6; ++i) {
    const GenerationRequest request = random_request(random);
    EXPECT_EQ(collect(*engine.submit(request).value()).ids, expected_answer(request, kContext));
  }
  for (std::size_t i = 0; i < unread.size(); ++i) {
    EXPECT_EQ(collect(*unread[i]).ids, expected_answer(requests[i], kContext));
  }
  EXPECT_EQ(engine.stats().pages_free, engine.stats().pages_total);
}

}  // namespace
}  // namespace rbee
