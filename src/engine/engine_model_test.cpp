// The engine over real models and backends: what a sequence gets does not depend on what else is in
// the batch, on the chunks of its prompt or on being preempted, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "engine/engine.hpp"
#include "engine/load_model.hpp"
#include "engine/testing/collect.hpp"

namespace rbee {
namespace {

using testing::Answer;
using testing::collect;

LoadedModel load(const std::string& fixture, const std::string& device) {
  LoadOptions options;
  options.device = device;
  options.backend.threads = 2;
  options.with_tokenizer = false;
  return load_model(std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / fixture / "model.gguf",
                    options);
}

std::vector<GenerationRequest> make_requests(int vocab) {
  std::mt19937 random(4);
  const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<GenerationRequest> requests(12);
  for (auto& request : requests) {
    request.prompt.resize(1 + up_to(90));
    for (auto& id : request.prompt) id = up_to(vocab);
    request.max_tokens = 5 + up_to(25);
    request.sampling.temperature = up_to(2) == 0 ? 0 : 0.9f;
    request.sampling.top_p = 0.95f;
    request.sampling.seed = random();
    request.top_logprobs = 4;  // to compare the logits' bits
  }
  return requests;
}

std::vector<Answer> run_all(const std::string& fixture, const std::string& device,
                            EngineOptions options, int pages) {
  LoadedModel loaded = load(fixture, device);
  options.max_context = 128;
  const auto& state = loaded.model->info().state;
  options.state_bytes =
      static_cast<std::size_t>(pages) * loaded.backend->page_bytes(state) +
      static_cast<std::size_t>(options.max_sequences) * loaded.backend->slot_bytes(state);
  Engine engine(*loaded.backend, *loaded.model, options);
  std::vector<GenerationRequest> requests = make_requests(loaded.model->info().vocab_size);
  std::vector<std::shared_ptr<TokenStream>> streams;
  streams.reserve(requests.size());
  for (auto& request : requests) streams.push_back(engine.submit(std::move(request)).value());
  std::vector<Answer> answers;
  for (const auto& stream : streams) answers.push_back(collect(*stream));
  EXPECT_EQ(engine.stats().pages_free, engine.stats().pages_total);
  EXPECT_EQ(engine.stats().slots_free, engine.stats().slots_total);
  return answers;
}

class EngineModel : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(EngineModel, BatchesChunksAndPreemptionsChangeNoBit) {
  const auto& [fixture, device] = GetParam();
  const std::vector<Answer> solo = run_all(fixture, device, {.max_sequences = 1}, 2);
  const std::vector<std::vector<Answer>> others{
      run_all(fixture, device, {.max_sequences = 12}, 24),
      run_all(fixture, device, {.max_sequences = 12, .max_batch_tokens = 16}, 24),
      run_all(fixture, device, {.max_sequences = 5, .max_batch_tokens = 33}, 4)};
  for (const auto& answers : others) {
    ASSERT_EQ(answers.size(), solo.size());
    for (std::size_t i = 0; i < solo.size(); ++i) {
      EXPECT_EQ(answers[i].ids, solo[i].ids);
      EXPECT_NE(answers[i].finish.reason, FinishReason::error) << answers[i].finish.error;
      ASSERT_EQ(answers[i].events.size(), solo[i].events.size());
      for (std::size_t t = 0; t < solo[i].events.size(); ++t) {
        EXPECT_EQ(answers[i].events[t].logprob, solo[i].events[t].logprob);
        EXPECT_EQ(answers[i].events[t].top, solo[i].events[t].top);
      }
    }
  }
}

// One slot of recurrent state for three sequences whose readers are slow: the ones that pause lose
// it and begin again; one is cancelled. The answers are those of a sequence alone.
TEST(EngineRecurrent, PreemptedSequencesComputeTheirStateAgain) {
  for (const char* fixture : {"mamba", "rwkv7"}) {
    const std::vector<Answer> solo = run_all(fixture, "cpu", {.max_sequences = 1}, 0);
    LoadedModel loaded = load(fixture, "cpu");
    const EngineOptions options{
        .max_context = 128,
        .max_sequences = 3,
        .state_bytes = loaded.backend->slot_bytes(loaded.model->info().state),
        .stream_capacity = 2};
    Engine engine(*loaded.backend, *loaded.model, options);
    std::vector<std::shared_ptr<TokenStream>> streams;
    for (auto& request : make_requests(loaded.model->info().vocab_size)) {
      streams.push_back(engine.submit(std::move(request)).value());
    }
    while (engine.stats().preemptions < 2) std::this_thread::yield();
    streams[0]->cancel();
    for (std::size_t i = 1; i < streams.size(); ++i) {
      EXPECT_EQ(collect(*streams[i]).ids, solo[i].ids) << fixture << " " << i;
    }
    EXPECT_EQ(collect(*streams[0]).finish.reason, FinishReason::cancelled);
    while (engine.stats().running + engine.stats().waiting > 0) std::this_thread::yield();
    EXPECT_EQ(engine.stats().slots_total, 1);
    EXPECT_EQ(engine.stats().slots_free, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, EngineModel,
    ::testing::Combine(::testing::Values("llama3", "smollm", "mistral", "deepseek_v2_lite",
                                         "deepseek_v3", "kimi_linear", "mamba", "mamba2", "rwkv6",
                                         "rwkv7"),
                       ::testing::Values("ref", "cpu")),
    [](const auto& kind) { return std::get<0>(kind.param) + "_" + std::get<1>(kind.param); });

// A model that can do no more than so many positions.
class Limited : public Model {
 public:
  Limited(const Model& model, int limit) : model_(model), info_(model.info()) {
    info_.context_limit = limit;
  }
  const ModelInfo& info() const override { return info_; }
  Tensor forward(Ops& ops, const Batch& batch) const override { return model_.forward(ops, batch); }

 private:
  const Model& model_;
  ModelInfo info_;
};

TEST(EngineLimit, RefusesAContextTheModelCannotDo) {
  const LoadedModel loaded = load("smollm", "ref");
  const Limited limited(*loaded.model, 64);
  EXPECT_NO_THROW(Engine(*loaded.backend, limited, {.max_context = 64, .max_sequences = 1}));
  EXPECT_THROW(Engine(*loaded.backend, limited, {.max_context = 65, .max_sequences = 1}),
               BackendError);
}

}  // namespace
}  // namespace rbee
