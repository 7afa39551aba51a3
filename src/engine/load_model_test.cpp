#include "engine/load_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "base/load_error.hpp"
#include "model/loader.hpp"
#include "model/make_backend.hpp"

namespace rbee {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";

LoadOptions on(const char* device) {
  LoadOptions options;
  options.device = device;
  return options;
}

std::string error_of(const std::filesystem::path& path, const LoadOptions& options) {
  try {
    load_model(path, options);
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

TEST(LoadModel, LoadsBothFormats) {
  for (const bool gguf : {false, true}) {
    const auto path = gguf ? kFixtures / "llama3" / "model.gguf" : kFixtures / "llama3";
    const LoadedModel loaded = load_model(path, on("ref"));
    EXPECT_EQ(loaded.family, "llama");
    EXPECT_EQ(loaded.architecture, gguf ? "llama" : "LlamaForCausalLM");
    EXPECT_EQ(loaded.format, gguf ? Format::gguf : Format::safetensors);
    EXPECT_GT(loaded.parameters, 50'000U);
    EXPECT_EQ(loaded.backend->name(), "ref");
    EXPECT_EQ(loaded.model->info().vocab_size, 304);
    ASSERT_NE(loaded.tokenizer, nullptr);
    EXPECT_GT(loaded.tokenizer->vocab_size(), 0);
  }
}

TEST(LoadModel, LeavesTheTokenizerOutWhenAsked) {
  LoadOptions options = on("ref");
  options.with_tokenizer = false;
  const LoadedModel loaded = load_model(kFixtures / "yi", options);
  EXPECT_EQ(loaded.tokenizer, nullptr);
}

TEST(LoadModel, LoadsOnTheCpu) {
  LoadOptions options = on("cpu");
  options.backend.threads = 1;
  const LoadedModel loaded = load_model(kFixtures / "llama_k256" / "model-Q4_K_M.gguf", options);
  EXPECT_THAT(loaded.backend->name(), HasSubstr("cpu"));
  EXPECT_GT(loaded.backend->memory().weights, 0U);
}

// What inspect promises is what loading takes.
TEST(LoadModel, DryRunsCountWhatLoadingTakes) {
  for (const char* device : {"ref", "cpu"}) {
    for (const char* model : {"llama3", "llama3/model.gguf", "llama_k256/model-Q4_K_M.gguf"}) {
      const LoadedModel loaded = load_model(kFixtures / model, on(device));
      BackendOptions options;
      options.dry_run = true;
      const auto dry = make_backend(device, options);
      const auto checkpoint = Checkpoint::open(kFixtures / model);
      Loader loader(*checkpoint, dry.get());
      const auto planned = find_family(*checkpoint, all_families()).build(loader);
      const auto& state = planned->info().state;
      EXPECT_EQ(dry->memory().weights, loaded.backend->memory().weights) << device << model;
      EXPECT_EQ(dry->page_bytes(state), loaded.backend->page_bytes(state)) << device << model;
      EXPECT_EQ(loader.parameters(), loaded.parameters);
      EXPECT_THROW(dry->run({}, [](Ops&, const Batch&) { return Tensor{}; }), BackendError);
    }
  }
}

TEST(LoadModel, ReportsProgressUpToTheEnd) {
  std::pair<std::size_t, std::size_t> last{0, 0};
  LoadOptions options = on("ref");
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_GT(done, last.first);
    EXPECT_LE(done, total);
    last = {done, total};
  };
  load_model(kFixtures / "smollm", options);
  EXPECT_GT(last.first, 0U);
  EXPECT_EQ(last.first, last.second);
}

TEST(LoadModel, SaysWhatIsWrong) {
  EXPECT_THAT(error_of(kFixtures / "yi", on("tpu")), HasSubstr("'tpu'"));
  EXPECT_THAT(error_of(kFixtures / "yi", on("cuda:0")), HasSubstr("not built in"));
  LoadOptions options = on("cpu");
  options.backend.cpu_isa = "neon";
  EXPECT_THAT(error_of(kFixtures / "yi", options), HasSubstr("neon"));
  EXPECT_THAT(error_of(kFixtures / "no such model", on("ref")), HasSubstr("no such model"));
}

}  // namespace
}  // namespace rbee
