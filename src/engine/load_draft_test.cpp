#include "engine/load_draft.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/load_error.hpp"
#include "engine/testing/list_tokenizer.hpp"

namespace rbee {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ListTokenizer;

const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";

LoadOptions on_ref() {
  LoadOptions options;
  options.device = "ref";
  return options;
}

std::string error_of(const std::string& model, const std::string& draft) {
  const LoadedModel loaded = load_model(kFixtures / model, on_ref());
  try {
    load_draft(kFixtures / draft, on_ref(), loaded);
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

TEST(LoadDraft, TheSameVocabularyInEitherFormat) {
  EXPECT_EQ(error_of("llama3", "llama3/model.gguf"), "no error");
  EXPECT_EQ(error_of("llama3/model.gguf", "llama3"), "no error");
}

TEST(LoadDraft, AnotherVocabularyIsRefused) {
  EXPECT_THAT(error_of("llama3", "mistral"),
              AllOf(HasSubstr("mistral"), HasSubstr("draft model"), HasSubstr("token ")));
}

TEST(LoadDraft, RecurrentModelsAreRefusedOnEitherSide) {
  EXPECT_THAT(error_of("mamba", "llama3"),
              AllOf(HasSubstr("llama3"), HasSubstr("MambaForCausalLM"), HasSubstr("go back")));
  EXPECT_THAT(error_of("llama3", "mamba"),
              AllOf(HasSubstr("MambaForCausalLM"), HasSubstr("go back")));
}

using Pieces = std::vector<std::string>;

std::string refusal(Pieces model, Pieces draft) {
  try {
    require_same_vocabulary("small.gguf", ListTokenizer(std::move(model)),
                            ListTokenizer(std::move(draft)));
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

Pieces padded(Pieces pieces, std::size_t size) {
  while (pieces.size() < size) pieces.push_back("[PAD" + std::to_string(pieces.size()) + "]");
  return pieces;
}

TEST(RequireSameVocabulary, EveryTokenIsCompared) {
  EXPECT_EQ(refusal({"a", "b", "c"}, {"a", "b", "c"}), "no error");
  EXPECT_THAT(refusal({"a", "b", "c"}, {"a", "b", "x"}),
              AllOf(HasSubstr("small.gguf"), HasSubstr("token 2 is 'c'"), HasSubstr("'x'")));
  EXPECT_THAT(refusal({"a", "b", "c"}, {"b", "a", "c"}), HasSubstr("token 0"));
}

TEST(RequireSameVocabulary, PaddingAtTheEndMayDiffer) {
  EXPECT_EQ(refusal({"a", "b"}, padded({"a", "b"}, 400)), "no error");
  EXPECT_EQ(refusal(padded({"a", "b"}, 400), {"a", "b"}), "no error");
  EXPECT_EQ(refusal({"a", "", "c"}, {"a", "[PAD1]", "c"}), "no error");
  EXPECT_THAT(refusal({"a", "b"}, padded({"a", "b"}, 1000)),
              AllOf(HasSubstr("2 tokens"), HasSubstr("1000 tokens")));
}

}  // namespace
}  // namespace rbee
