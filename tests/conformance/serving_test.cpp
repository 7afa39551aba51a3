// Every model through the engine, as it is served: answers arrive token by token, end where they
// should, and are those of a sequence alone, whatever else runs, waits, is preempted or cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <tuple>
#include <vector>

#include "engine/engine.hpp"
#include "engine/testing/collect.hpp"
#include "fixture.hpp"
#include "model/make_backend.hpp"

namespace rbee::conformance {
namespace {

using rbee::testing::Answer;
using rbee::testing::collect;

class ServingTest : public ::testing::TestWithParam<Fixture> {
 protected:
  const Fixture fixture_ = GetParam();
  const Golden golden_ = Golden::read(fixture_.golden);
  const Device device_ = devices().back();
  std::unique_ptr<Backend> backend_ = make_backend(device_.device, device_.options);
  std::unique_ptr<Model> model_ = load(fixture_.model, *backend_, golden_.length());
  // gpt2 and a few others have no more positions than these
  const int context_ = std::min(128, model_->info().max_context);

  // pages: of 32 tokens or so, where the model has use for them.
  std::unique_ptr<Engine> engine(EngineOptions options, int pages) {
    const auto& state = model_->info().state;
    options.max_context = context_;
    options.state_bytes =
        static_cast<std::size_t>(pages) * backend_->page_bytes(state) +
        static_cast<std::size_t>(options.max_sequences) * backend_->slot_bytes(state);
    return std::make_unique<Engine>(*backend_, *model_, options);
  }

  GenerationRequest greedy() const {
    GenerationRequest request;
    request.prompt = golden_.prompt;
    request.max_tokens = static_cast<int>(golden_.greedy.size());
    request.sampling.temperature = 0;
    return request;
  }

  // Mixed lengths, greedy and sampled.
  std::vector<GenerationRequest> requests() const {
    std::mt19937 random(4);
    const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    std::vector<GenerationRequest> all(8);
    for (GenerationRequest& request : all) {
      request.prompt.resize(static_cast<std::size_t>(1 + up_to(context_ * 2 / 3)));
      for (auto& id : request.prompt) id = up_to(model_->info().vocab_size);
      request.max_tokens = 3 + up_to(context_ / 6);
      request.sampling.temperature = up_to(2) == 0 ? 0 : 0.9F;
      request.sampling.seed = random();
      request.top_logprobs = 3;  // to compare the logits' bits
    }
    return all;
  }

  std::vector<Answer> run_all(EngineOptions options, int pages, bool cut_some = false) {
    const auto serving = engine(options, pages);
    std::vector<std::shared_ptr<TokenStream>> streams;
    for (auto& request : requests()) streams.push_back(serving->submit(std::move(request)).value());
    std::vector<Answer> answers;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      answers.push_back(collect(*streams[i], cut_some && i % 3 == 1 ? 2 : -1));
    }
    EXPECT_EQ(serving->stats().pages_free, serving->stats().pages_total);
    EXPECT_EQ(serving->stats().slots_free, serving->stats().slots_total);
    return answers;
  }
};

TEST_P(ServingTest, StreamsTheAnswerAndBeginsAnew) {
  const auto serving = engine({.max_sequences = 2}, 16);
  const Answer first = collect(*serving->submit(greedy()).value());
  ASSERT_EQ(first.finish.reason, FinishReason::length) << first.finish.error;
  ASSERT_EQ(first.ids.size(), golden_.greedy.size());
  const float allowed = 2 * tolerance(golden_, fixture_, device_);
  for (std::size_t i = 0; i < first.ids.size() && golden_.margins[i] > allowed; ++i) {
    EXPECT_EQ(first.ids[i], golden_.greedy[i]) << "step " << i;
  }
  // Nothing of the first is left for the second.
  EXPECT_EQ(collect(*serving->submit(greedy()).value()).ids, first.ids);
}

TEST_P(ServingTest, EndsBeforeAnEndToken) {
  const auto serving = engine({.max_sequences = 1}, 16);
  const std::vector<std::int32_t> whole = collect(*serving->submit(greedy()).value()).ids;
  GenerationRequest request = greedy();
  request.end_ids = {whole[whole.size() / 2]};
  const auto at = std::find(whole.begin(), whole.end(), request.end_ids.front());
  const Answer answer = collect(*serving->submit(std::move(request)).value());
  EXPECT_EQ(answer.finish.reason, FinishReason::eos);
  EXPECT_EQ(answer.ids, std::vector<std::int32_t>(whole.begin(), at));
}

TEST_P(ServingTest, OthersAndPreemptionChangeNoBit) {
  const std::vector<Answer> solo = run_all({.max_sequences = 1}, 4);
  const auto expect_solo = [&](const std::vector<Answer>& answers, bool cut_some) {
    for (std::size_t i = 0; i < solo.size(); ++i) {
      if (cut_some && i % 3 == 1) continue;
      EXPECT_EQ(answers[i].ids, solo[i].ids) << "request " << i;
      ASSERT_EQ(answers[i].events.size(), solo[i].events.size()) << answers[i].finish.error;
      for (std::size_t t = 0; t < solo[i].events.size(); ++t) {
        EXPECT_EQ(answers[i].events[t].top, solo[i].events[t].top);
      }
    }
  };
  expect_solo(run_all({.max_sequences = 8}, 32), false);
  expect_solo(run_all({.max_sequences = 5, .max_batch_tokens = 19}, 4, true), true);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ServingTest, ::testing::ValuesIn(fixtures()),
                         [](const auto& fixture) { return fixture.param.name; });

}  // namespace
}  // namespace rbee::conformance
