// A draft model changes the number of steps and nothing else: not a token, not a bit of a logit.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "engine/testing/answer_all.hpp"
#include "engine/testing/collect.hpp"
#include "engine/testing/hash_model.hpp"
#include "engine/testing/load_fixture.hpp"

namespace rbee {
namespace {

using testing::Answer;
using testing::collect;
using testing::expect_same;
using testing::expected_answer;
using testing::HashBackend;
using testing::HashModel;
using testing::load_fixture;
using testing::Outcome;

constexpr int kContext = 600;

// Prompts of different lengths that repeat nothing, some beyond every window. The last ends with
// the context.
std::vector<GenerationRequest> make_requests(int vocab, bool greedy = false) {
  std::mt19937 random(11);
  std::vector<GenerationRequest> requests(6);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    GenerationRequest& request = requests[i];
    request.prompt.resize(i == 5 ? kContext - 40 : 3 + 60 * i);
    for (auto& id : request.prompt) {
      id = static_cast<std::int32_t>(random() % static_cast<unsigned>(vocab));
    }
    request.max_tokens = i == 5 ? -1 : 90;
    request.top_logprobs = 3;  // to compare the logits' bits
    request.sampling.temperature = i % 3 == 2 ? 0.8F : 0;
    request.sampling.seed = random();
    if (i == 1) request.sampling.repetition_penalty = 1.05F;
    if (greedy) {
      request.sampling = {};
      request.sampling.temperature = 0;
    }
  }
  return requests;
}

// draft: a fixture, or none.
struct Models {
  std::string model, draft;
  std::string device = "cpu";
};
void PrintTo(const Models& models, std::ostream* out) { *out << models.model << models.draft; }

struct Given {
  bool greedy = false;
  int n_pages = 0;  // 0: as memory allows
};

Outcome run(const Models& models, EngineOptions options, const Given& given = {}) {
  const LoadedModel loaded = load_fixture(models.model, models.device);
  LoadedModel draft;
  if (!models.draft.empty()) draft = load_fixture(models.draft, models.device);
  options.max_context = kContext;
  if (given.n_pages > 0) {
    options.state_bytes = loaded.backend->page_bytes(loaded.model->info().state);
    if (draft.model) options.state_bytes += draft.backend->page_bytes(draft.model->info().state);
    options.state_bytes *= static_cast<std::size_t>(given.n_pages);
  }
  Engine engine(*loaded.backend, *loaded.model, options, {draft.backend.get(), draft.model.get()});
  return testing::answer_all(engine, make_requests(loaded.model->info().vocab_size, given.greedy));
}

class EngineDraft : public ::testing::TestWithParam<Models> {};

TEST_P(EngineDraft, DraftsChangeNoBit) {
  const Models models = GetParam();
  const Models alone{models.model, "", models.device};
  const Outcome plain = run(alone, {.speculate = Speculate::never});
  const Outcome always = run(models, {.speculate = Speculate::always});
  expect_same(always.answers, plain.answers);
  EXPECT_GT(always.stats.drafted_tokens, 50U);
  EXPECT_GE(always.stats.drafted_tokens, always.stats.drafts_kept);
  EXPECT_GE(always.stats.guesses_kept, always.stats.drafts_kept);
  EXPECT_EQ(always.stats.generated_tokens, plain.stats.generated_tokens);
  // Few tokens a step: rings are short, catching up takes many steps, guesses are cut.
  const Outcome tight =
      run(models, {.max_sequences = 4, .max_batch_tokens = 12, .speculate = Speculate::always});
  expect_same(tight.answers, plain.answers);
  EXPECT_GT(tight.stats.drafted_tokens, 20U);
  expect_same(run(models, {.speculate = Speculate::adaptive}).answers, plain.answers);
}

INSTANTIATE_TEST_SUITE_P(
    Models, EngineDraft,
    ::testing::Values(Models{"llama3", "llama3"}, Models{"llama3", "llama3", "ref"},
                      Models{"llama3", "mistral"}, Models{"mistral", "llama3"},
                      Models{"mistral", "mistral"}, Models{"gemma3", "llama3"},
                      Models{"gemma3", "gemma3"}, Models{"gpt_oss/model.gguf", "mistral"},
                      Models{"llama3", "smollm"},  // knows fewer tokens
                      Models{"deepseek_v3", "yi"}, Models{"deepseek_v3", "deepseek_v3"}),
    [](const auto& kind) {
      const auto name = [](const std::string& path) {
        return std::filesystem::path(path).begin()->string();
      };
      return name(kind.param.model) + "_" + name(kind.param.draft) + "_" + kind.param.device;
    });

// A model that is its own draft guesses each greedy token right, so that steps are few: also where
// rings turn, where the draft catches up with a long prompt, and after preemption.
TEST(EngineDraftSteps, RightDraftsSaveSteps) {
  for (const char* model : {"llama3", "mistral", "gemma3", "deepseek_v3"}) {
    const Outcome outcome =
        run({model, model}, {.max_sequences = 6, .speculate = Speculate::always}, {.greedy = true});
    EXPECT_LE(outcome.stats.steps, 20U) << model;  // 90 tokens of each, nine of a step
    EXPECT_EQ(outcome.stats.drafts_kept, outcome.stats.drafted_tokens) << model;
    const Outcome tight = run({model, model},
                              {.max_sequences = 3,
                               .max_batch_tokens = 64,
                               .stream_capacity = 4,
                               .speculate = Speculate::always},
                              {.greedy = true, .n_pages = 11});
    EXPECT_GT(tight.stats.preemptions, 0U) << model;
    EXPECT_GT(tight.stats.drafts_kept, 50U) << model;
    EXPECT_EQ(tight.stats.drafts_kept, tight.stats.drafted_tokens) << model;
  }
}

TEST(EngineDraftSteps, ScarcePagesAndPreemption) {
  for (const char* model : {"llama3", "gemma3"}) {
    const Outcome plain = run({model, ""}, {.speculate = Speculate::never});
    const Outcome scarce = run({model, "llama3"},
                               {.max_sequences = 6,
                                .max_batch_tokens = 64,
                                .stream_capacity = 4,
                                .speculate = Speculate::always},
                               {.n_pages = 13});
    expect_same(scarce.answers, plain.answers);
    EXPECT_GT(scarce.stats.preemptions, 0U);
    EXPECT_GT(scarce.stats.drafted_tokens, 0U);
  }
}

// The target needs no pages and no more than its slots; the draft needs pages.
TEST(EngineDraftState, IsPlannedForBothModels) {
  const LoadedModel loaded = load_fixture("mistral", "cpu"), draft = load_fixture("llama3", "cpu");
  const EngineOptions options{.max_context = kContext, .max_sequences = 1, .max_batch_tokens = 16};
  const Engine engine(*loaded.backend, *loaded.model, options,
                      {draft.backend.get(), draft.model.get()});
  EXPECT_EQ(engine.stats().slots_total, 1);
  EXPECT_EQ(engine.stats().pages_total, pages_for(kContext));
  EXPECT_EQ(draft.backend->memory().state,
            draft.backend->page_bytes(draft.model->info().state) * pages_for(kContext));
  LoadedModel other = load_fixture("mistral", "cpu"), second = load_fixture("llama3", "cpu");
  EngineOptions little = options;
  little.state_bytes = loaded.backend->memory().state + draft.backend->memory().state - 1;
  EXPECT_THROW(
      Engine(*other.backend, *other.model, little, {second.backend.get(), second.model.get()}),
      BackendError);
}

TEST(EngineDraftState, NeverTakesNothing) {
  const LoadedModel loaded = load_fixture("llama3", "cpu"), draft = load_fixture("mamba", "cpu");
  Engine engine(*loaded.backend, *loaded.model,
                {.max_context = kContext, .speculate = Speculate::never},
                {draft.backend.get(), draft.model.get()});
  collect(*engine.submit(make_requests(288)[1]).value());
  EXPECT_EQ(engine.stats().drafted_tokens, 0U);
  EXPECT_EQ(draft.backend->memory().state, 0U);
}

TEST(EngineDraftState, RecurrentLayersAreRefusedOnEitherSide) {
  const LoadedModel llama = load_fixture("llama3", "cpu"), mamba = load_fixture("mamba", "cpu");
  const EngineOptions options{.max_context = kContext};
  EXPECT_THROW(
      Engine(*llama.backend, *llama.model, options, {mamba.backend.get(), mamba.model.get()}),
      BackendError);
  EXPECT_THROW(
      Engine(*mamba.backend, *mamba.model, options, {llama.backend.get(), llama.model.get()}),
      BackendError);
}

GenerationRequest hash_request(int n_prompt, unsigned seed) {
  std::mt19937 random(seed);
  GenerationRequest request;
  request.prompt.resize(static_cast<std::size_t>(n_prompt));
  for (auto& id : request.prompt) id = static_cast<std::int32_t>(random() % testing::kPoison);
  request.max_tokens = 60;
  request.sampling.temperature = 0;
  return request;
}

// Its answers must come to their ends without it.
TEST(EngineDraftFailure, AnswersGoOn) {
  for (const bool throws : {true, false}) {
    HashBackend backend, small;
    std::atomic<int> steps{0};
    small.before_step = [&](const Batch&) {
      if (++steps < 6) return;
      if (throws) throw std::runtime_error("the draft's device is gone");
      small.wrong_size = true;
    };
    const HashModel model(kContext, false);
    Engine engine(backend, model, {.max_context = kContext, .speculate = Speculate::always},
                  {&small, &model});
    std::vector<std::shared_ptr<TokenStream>> streams;
    for (unsigned i = 0; i < 4; ++i) {
      streams.push_back(engine.submit(hash_request(20, i)).value());
    }
    for (unsigned i = 0; i < 4; ++i) {
      EXPECT_EQ(collect(*streams[i]).ids, expected_answer(hash_request(20, i), kContext, false));
    }
    EXPECT_EQ(steps, 6);
  }
}

// Beyond the positions that the draft can do the model goes on alone.
TEST(EngineDraftFailure, TheDraftsContextEndsEarlier) {
  HashBackend backend, small;
  int longest = 0;
  small.before_step = [&](const Batch& batch) { longest = std::max(longest, batch.kv_len[0]); };
  const HashModel model(kContext, false), limited(kContext, false, 50);
  {
    Engine engine(backend, model, {.max_context = kContext, .speculate = Speculate::always},
                  {&small, &limited});
    const GenerationRequest request = hash_request(20, 1);
    EXPECT_EQ(collect(*engine.submit(request).value()).ids,
              expected_answer(request, kContext, false));
    EXPECT_GT(engine.stats().drafts_kept, 20U);
  }
  EXPECT_GE(longest, 48);
  EXPECT_LE(longest, 50);
}

// Streams that come, are read slowly, and leave; a draft that is right two times of three.
TEST(EngineDraftStorm, EveryAnswerIsItsSoloAnswer) {
  for (const int max_batch_tokens : {1, 16, 128}) {
    HashBackend backend, small;
    small.another_every = 3;
    const HashModel model(kContext, false);
    Engine engine(backend, model,
                  {.max_context = kContext,
                   .max_sequences = 6,
                   .max_batch_tokens = max_batch_tokens,
                   .state_bytes = 2 * 12 * HashBackend::kPageBytes,
                   .stream_capacity = 8,
                   .speculate = Speculate::always},
                  {&small, &model});
    std::vector<std::thread> clients;
    for (unsigned i = 0; i < 24; ++i) {
      clients.emplace_back([&engine, i] {
        GenerationRequest request = hash_request(1 + static_cast<int>(i * 53 % 200), i);
        request.sampling.temperature = i % 2 == 0 ? 0 : 1;
        request.sampling.seed = i;
        const auto expected = expected_answer(request, kContext, false);
        const int cut = i % 3 == 0 ? static_cast<int>(i) : -1;
        const Answer answer = collect(*engine.submit(request).value(), cut);
        ASSERT_NE(answer.finish.reason, FinishReason::error) << answer.finish.error;
        ASSERT_LE(answer.ids.size(), expected.size());
        EXPECT_TRUE(std::equal(answer.ids.begin(), answer.ids.end(), expected.begin()));
        if (cut < 0) {
          EXPECT_EQ(answer.ids.size(), expected.size());
        }
      });
    }
    for (std::thread& client : clients) client.join();
    const EngineStats stats = engine.stats();
    EXPECT_EQ(stats.pages_free, stats.pages_total);
    EXPECT_GT(stats.drafted_tokens, stats.drafts_kept);
    EXPECT_GT(stats.drafts_kept, 50U);
  }
}

}  // namespace
}  // namespace rbee
