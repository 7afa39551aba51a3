// Sequences that outgrow the windows of their model: what is behind every window is overwritten,
// and no bit of an answer changes.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.hpp"
#include "engine/testing/answer_all.hpp"
#include "engine/testing/collect.hpp"
#include "engine/testing/load_fixture.hpp"

namespace rbee {
namespace {

using testing::Answer;
using testing::collect;
using testing::expect_same;
using testing::load_fixture;

constexpr int kContext = 600;
constexpr int kWhole = 1024;  // tokens of a step for which rings would hold all of the context
constexpr int kChunk = 16;

std::vector<GenerationRequest> make_requests(int vocab) {
  std::mt19937 random(9);
  std::vector<GenerationRequest> requests(4);
  int n = 440;
  for (auto& request : requests) {
    request.prompt.resize(static_cast<std::size_t>(n -= 90));
    for (auto& id : request.prompt) {
      id = static_cast<std::int32_t>(random() % static_cast<unsigned>(vocab));
    }
    request.max_tokens = 130;
    request.sampling.seed = random();
    request.top_logprobs = 3;  // to compare the logits' bits
  }
  return requests;
}

struct Outcome : testing::Outcome {
  std::size_t state_bytes = 0;
};

Outcome run(const std::string& model, const std::string& device, EngineOptions options) {
  LoadedModel loaded = load_fixture(model, device);
  options.max_context = kContext;
  Engine engine(*loaded.backend, *loaded.model, options);
  return {testing::answer_all(engine, make_requests(loaded.model->info().vocab_size)),
          loaded.backend->memory().state};
}

class EngineWindow : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(EngineWindow, RingsChangeNoBit) {
  const auto& [model, device] = GetParam();
  const Outcome kept = run(model, device, {.max_sequences = 4, .max_batch_tokens = kWhole});
  const Outcome dropped = run(model, device, {.max_sequences = 4, .max_batch_tokens = kChunk});
  EXPECT_EQ(kept.stats.slots_total, 0);
  EXPECT_EQ(dropped.stats.slots_total, 4);
  EXPECT_LT(dropped.state_bytes, kept.state_bytes);
  expect_same(dropped.answers, kept.answers);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EngineWindow,
                         ::testing::Combine(::testing::Values("gemma3", "gpt_oss/model.gguf",
                                                              "mistral"),
                                            ::testing::Values("ref", "cpu")),
                         [](const auto& kind) {
                           const auto model = std::filesystem::path(std::get<0>(kind.param));
                           return model.begin()->string() + "_" + std::get<1>(kind.param);
                         });

// Where all layers have a window of 8 tokens, any number of them take the memory of two pages.
TEST(EngineRings, StateDoesNotGrowWithTheSequence) {
  LoadedModel loaded = load_fixture("mistral", "cpu");
  const std::size_t page = loaded.backend->page_bytes(loaded.model->info().state);
  const Engine engine(*loaded.backend, *loaded.model,
                      {.max_context = 1 << 20, .max_sequences = 1, .max_batch_tokens = kChunk});
  EXPECT_EQ(loaded.backend->memory().state, 2 * page);
  EXPECT_EQ(engine.max_context(), 1 << 20);
}

// Two slots and slow readers: sequences lose their slots and begin again.
TEST(EngineRings, PreemptedSequencesComputeTheirKeysAgain) {
  const Outcome kept = run("gemma3", "cpu", {.max_sequences = 4, .max_batch_tokens = kWhole});
  LoadedModel loaded = load_fixture("gemma3", "cpu");
  const std::size_t page = loaded.backend->page_bytes(loaded.model->info().state);
  Engine engine(*loaded.backend, *loaded.model,
                {.max_context = kContext,
                 .max_sequences = 4,
                 .max_batch_tokens = kChunk,
                 .state_bytes = 7 * page,
                 .stream_capacity = 2});
  ASSERT_LT(engine.stats().slots_total, 4);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (auto& request : make_requests(loaded.model->info().vocab_size)) {
    streams.push_back(engine.submit(std::move(request)).value());
  }
  while (engine.stats().preemptions < 2) std::this_thread::yield();
  std::vector<Answer> answers;
  for (const auto& stream : streams) answers.push_back(collect(*stream));
  expect_same(answers, kept.answers);
}

}  // namespace
}  // namespace rbee
