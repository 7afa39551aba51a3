// vocab.json and merges.txt give the ids that tokenizer.json with the same vocabulary gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/load_error.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "tokenizer/testing/goldens.hpp"
#include "tokenizer/tokenizer.hpp"
#include "tokenizer/vocab_merges.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::TempFolder;

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(VocabMerges, EqualTokenizerJson) {
  const fs::path fixture = fs::path(RBEE_TEST_DATA) / "fixtures/smollm";
  std::ifstream in(fixture / "tokenizer.json");
  const Json json = Json::parse(in);
  const TempFolder folder;
  write(folder.path() / "vocab.json", json["model"]["vocab"].dump());
  std::string merges = "#version: 0.2\n";
  for (const Json& merge : json["model"]["merges"]) {
    merges += merge.is_string() ? merge.get<std::string>()
                                : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    merges += "\n";
  }
  write(folder.path() / "merges.txt", merges);
  const auto report =
      testing::check_samples(*Tokenizer::open(folder.path()), fixture / "golden.json");
  EXPECT_GT(report.texts, 0);
  EXPECT_EQ(report.failures, 0) << report.first_failures;
}

constexpr const char* kVocabulary = R"({"1":0,"2":1,"12":2,"<|endoftext|>":3,"<fim>":4})";

TEST(VocabMerges, TheModelTypeSaysHowTextIsCut) {
  const auto encode = [](const char* model_type) {
    return BpeTokenizer(parse_vocab_merges(kVocabulary, "1 2\r\n", model_type, "vocab.json"))
        .encode("12<|endoftext|>", {});
  };
  EXPECT_THAT(encode("gpt2"), ElementsAre(2, 3));
  EXPECT_THAT(encode("starcoder2"), ElementsAre(0, 1, 3));
  EXPECT_THAT(encode("qwen2"), ElementsAre(0, 1, 3));
}

TEST(VocabMerges, TokensWithARoleAreSpecial) {
  const TempFolder folder;
  write(folder.path() / "vocab.json", kVocabulary);
  write(folder.path() / "merges.txt", "1 2");
  write(
      folder.path() / "special_tokens_map.json",
      R"({"additional_special_tokens":["<fim>","<none>"],"eos_token":{"content":"<|endoftext|>"}})");
  write(folder.path() / "config.json", R"({"model_type":"gpt2"})");
  const auto tokenizer = Tokenizer::open(folder.path());
  EXPECT_TRUE(tokenizer->is_special(4));
  EXPECT_THAT(tokenizer->encode("12<fim>"), ElementsAre(2, 4));
  EXPECT_THAT(tokenizer->end_ids(), ElementsAre(3));
  EXPECT_EQ(tokenizer->eos_text(), "<|endoftext|>");
}

TEST(VocabMerges, BadFilesAreErrors) {
  for (const char* vocabulary : {"", "[]", "{", R"({"a":-1})"}) {
    EXPECT_THROW(parse_vocab_merges(vocabulary, "", "", "vocab.json"), LoadError) << vocabulary;
  }
  EXPECT_THROW(parse_vocab_merges(kVocabulary, "1 3", "", "vocab.json"), LoadError);
}

}  // namespace
}  // namespace rbee
