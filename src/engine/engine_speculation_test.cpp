// Guesses change the number of steps and nothing else: not a token, not a bit of a logit.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/engine.hpp"
#include "engine/load_model.hpp"
#include "engine/testing/answer_all.hpp"
#include "engine/testing/collect.hpp"
#include "engine/testing/load_fixture.hpp"

namespace rbee {
namespace {

using testing::expect_same;
using testing::load_fixture;
using testing::Outcome;

// Random weights say nothing twice: a bias leaves them one token, which is always guessed right, or
// two, guessed right about half the time. Prompts that repeat give guesses to the others, most of
// them wrong.
std::vector<GenerationRequest> make_requests(int vocab) {
  std::mt19937 random(4);
  std::vector<GenerationRequest> requests(6);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    GenerationRequest& request = requests[i];
    std::vector<std::int32_t> phrase(5 + i);
    for (auto& id : phrase) id = static_cast<std::int32_t>(random() % static_cast<unsigned>(vocab));
    for (int n = 0; n < 4; ++n) {
      request.prompt.insert(request.prompt.end(), phrase.begin(), phrase.end());
    }
    request.max_tokens = 100;
    request.top_logprobs = 3;  // to compare the logits' bits
    request.sampling.temperature = i % 2 == 0 ? 0 : 1;
    request.sampling.seed = random();
    if (i == 1) request.sampling.repetition_penalty = 1.05F;
    if (i >= 2) request.sampling.logit_bias = {{7, 80.0F}};
    if (i >= 4) request.sampling.logit_bias.emplace_back(8, 80.0F);
  }
  return requests;
}

Outcome run(const std::string& model, const std::string& device, EngineOptions options) {
  const LoadedModel loaded = load_fixture(model, device);
  options.max_context = 256;
  Engine engine(*loaded.backend, *loaded.model, options);
  return testing::answer_all(engine, make_requests(loaded.model->info().vocab_size));
}

class EngineSpeculation : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(EngineSpeculation, GuessesChangeNoBit) {
  const auto& [model, device] = GetParam();
  const Outcome plain = run(model, device, {.speculate = Speculate::never});
  EXPECT_EQ(plain.stats.guessed_tokens, 0U);
  const Outcome guessed = run(model, device, {.speculate = Speculate::always});
  expect_same(guessed.answers, plain.answers);
  EXPECT_GT(guessed.stats.guesses_kept, 160U);  // nearly all of requests 2 and 3
  EXPECT_GT(guessed.stats.guessed_tokens, guessed.stats.guesses_kept);
  EXPECT_EQ(guessed.stats.generated_tokens, plain.stats.generated_tokens);

  // Few tokens a step, so that rings are short and guesses are cut.
  const Outcome tight = run(
      model, device, {.max_sequences = 4, .max_batch_tokens = 8, .speculate = Speculate::always});
  expect_same(tight.answers, plain.answers);
  expect_same(run(model, device, {.speculate = Speculate::adaptive}).answers, plain.answers);
}

INSTANTIATE_TEST_SUITE_P(States, EngineSpeculation,
                         ::testing::Combine(::testing::Values("llama3", "mistral", "gemma3",
                                                              "deepseek_v3", "gpt_oss/model.gguf"),
                                            ::testing::Values("ref", "cpu")),
                         [](const auto& kind) {
                           const auto model = std::filesystem::path(std::get<0>(kind.param));
                           return model.begin()->string() + "_" + std::get<1>(kind.param);
                         });

TEST(EngineSpeculation, StateThatCannotGoBackIsLeftAlone) {
  for (const char* model : {"mamba2", "rwkv7", "kimi_linear"}) {
    const Outcome outcome = run(model, "cpu", {.speculate = Speculate::always});
    EXPECT_EQ(outcome.stats.guessed_tokens, 0U) << model;
  }
}

// Guesses take pages that are free, and none of another sequence's.
TEST(EngineSpeculation, ScarcePagesAndPreemption) {
  const Outcome plain = run("llama3", "cpu", {.speculate = Speculate::never});
  LoadOptions load;
  load.backend.threads = 1;
  load.with_tokenizer = false;
  LoadedModel loaded = load_model(std::filesystem::path(RBEE_TEST_DATA) / "fixtures/llama3", load);
  const std::size_t page = loaded.backend->page_bytes(loaded.model->info().state);
  const Outcome scarce = run("llama3", "cpu",
                             {.max_sequences = 6,
                              .state_bytes = 5 * page,
                              .stream_capacity = 4,
                              .speculate = Speculate::always});
  expect_same(scarce.answers, plain.answers);
  EXPECT_GT(scarce.stats.preemptions, 0U);
  EXPECT_GT(scarce.stats.guesses_kept, 0U);
}

}  // namespace
}  // namespace rbee
