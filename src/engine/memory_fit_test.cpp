#include "engine/memory_fit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/load_error.hpp"
#include "engine/load_model.hpp"
#include "model/make_backend.hpp"

namespace rbee {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";

ModelPlan plan_of(const std::filesystem::path& path, LoadOptions options) {
  options.backend.dry_run = true;
  const auto backend = make_backend("cpu", options.backend);
  const auto checkpoint = Checkpoint::open(path);
  return plan_model(*checkpoint, find_family(*checkpoint, all_families()), *backend, options);
}

ModelPlan plan_of(const std::filesystem::path& path, int context = 0, int step_tokens = 0) {
  LoadOptions options;
  options.context = context;
  options.step_tokens = step_tokens;
  return plan_of(path, options);
}

std::string error_of(const ModelPlan& plan, const MemoryNeed& need, std::size_t available) {
  try {
    require_memory("x.gguf", plan, need, available);
  } catch (const LoadError& error) {
    return error.what();
  }
  return "fits";
}

// 7e9 weights of 4.5 bits, 128 KiB of keys and values a token.
ModelPlan large() {
  ModelPlan plan;
  plan.parameters = 7'000'000'000;
  plan.info = {.n_layers = 32,
               .hidden_size = 4096,
               .vocab_size = 32000,
               .max_context = 32768,
               .context_limit = 0,
               .state = {}};
  plan.weight_bytes = plan.parameters * 9 / 16;
  plan.page_bytes = std::size_t{64} * 128 * 1024;
  return plan;
}

TEST(MemoryFit, CountsWeightsStateAndActivations) {
  const ModelPlan plan = plan_of(kFixtures / "llama3");
  const MemoryNeed need = least_memory(plan, 100);
  EXPECT_EQ(need.context, 100);
  EXPECT_EQ(need.weights, plan.weight_bytes);
  EXPECT_EQ(need.state, 2 * plan.page_bytes);
  EXPECT_GT(need.activations, 0U);
  EXPECT_EQ(error_of(plan, need, need.total()), "fits");
  EXPECT_THAT(error_of(plan, need, need.total() - 1), HasSubstr("memory"));
}

TEST(MemoryFit, ContextThatIsNotAskedForMayBeCut) {
  const ModelPlan plan = large();
  EXPECT_EQ(least_memory(plan, 0).context, kLeastContext);
  EXPECT_EQ(least_memory(plan, 32768).context, 32768);
  ModelPlan brief = plan;
  brief.info.max_context = 64;
  EXPECT_EQ(least_memory(brief, 0).context, 64);
}

TEST(MemoryFit, RingsHoldWhatAWindowReaches) {
  const auto path = kFixtures / "gemma3";
  const ModelPlan kept = plan_of(path, 100'000, 0), dropped = plan_of(path, 100'000, 64);
  EXPECT_EQ(kept.slot_bytes, 0U);
  EXPECT_EQ(dropped.page_bytes * 7, kept.page_bytes);  // one layer in seven sees all keys
  EXPECT_EQ(dropped.slot_bytes, 3 * (kept.page_bytes - dropped.page_bytes));
  EXPECT_LT(dropped.state_bytes(100'000), kept.state_bytes(100'000) / 6);
  EXPECT_EQ(plan_of(path, 128, 64).slot_bytes, 0U);  // nothing to gain
}

TEST(MemoryFit, SaysWhatIsLackingAndWhatWouldFit) {
  const ModelPlan plan = large();
  constexpr std::size_t kGiB = std::size_t{1} << 30;
  EXPECT_THAT(error_of(plan, least_memory(plan, 32768), 6 * kGiB),
              AllOf(HasSubstr("x.gguf: memory: expected 8.67 GiB (3.67 for weights, 4.00 for the "
                              "state of 32768 tokens, 1.00 for activations)"),
                    HasSubstr("found 6.00 GiB available; --ctx 8192 would fit")));
  EXPECT_THAT(
      error_of(plan, least_memory(plan, 0), 3 * kGiB),
      HasSubstr("at most 3.4 bits a weight would fit (another file, or --quantize), it takes 4.5"));
  EXPECT_THAT(error_of(plan, least_memory(plan, 0), kGiB),
              HasSubstr("no type of its weights would fit"));
}

TEST(MemoryFit, CountsTheTypesThatMatricesAreGiven) {
  const auto path = kFixtures / "llama_k256";
  const ModelPlan plain = plan_of(path);
  LoadOptions options;
  options.quantize = Quantization{Mixture::q4_0};
  const ModelPlan small = plan_of(path, options);
  EXPECT_LT(small.weight_bytes, plain.weight_bytes / 2);
  EXPECT_EQ(plain.loading_bytes, 0U);
  // The largest matrix is encoded before it is packed.
  EXPECT_GT(small.loading_bytes, 0U);
  EXPECT_LT(small.loading_bytes, small.weight_bytes);
  options.backend.threads = 1;
  EXPECT_EQ(load_model(path, options).backend->memory().weights, small.weight_bytes);
  MemoryNeed need = least_memory(small, 0);
  EXPECT_EQ(need.loading, small.loading_bytes);
  need.loading = 3 * need.total();
  EXPECT_EQ(need.total(), need.weights + need.loading);
  EXPECT_THAT(error_of(small, need, need.total() - 1), HasSubstr("a matrix that is being loaded"));
}

TEST(MemoryFit, LoadingIsRefusedBeforehand) {
  LoadOptions options;
  options.available_memory = 1 << 20;
  EXPECT_THROW(load_model(kFixtures / "llama3", options), LoadError);
  options.available_memory = std::size_t{1} << 30;
  EXPECT_NO_THROW(load_model(kFixtures / "llama3", options));
}

}  // namespace
}  // namespace rbee
