// Ids and decoding equal those of the reference implementations, on real vocabularies.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tokenizer/testing/goldens.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;
using testing::GoldenReport;

const fs::path kData = fs::path(RBEE_TEST_DATA) / "tokenizers";
const fs::path kCorpus = kData / "hard_corpus.json";

void expect_equal(const GoldenReport& report, const std::string& what) {
  EXPECT_GT(report.texts, 0) << what;
  EXPECT_EQ(report.failures, 0) << what << ", " << report.texts << " texts:\n"
                                << report.first_failures;
  std::cout << what << ": " << report.texts << " texts, " << report.failures << " failures\n";
}

// A directory as in tests/data/tokenizers/README.md.
void check_directory(const fs::path& directory) {
  const fs::path gguf = directory / "vocab.gguf";
  const auto tokenizer = Tokenizer::open(fs::exists(gguf) ? gguf : directory);
  std::cout << directory.filename().string() << ": " << tokenizer->description() << '\n';
  if (fs::exists(directory / "golden.json")) {
    expect_equal(testing::check_golden(*tokenizer, directory / "golden.json"), "golden");
  }
  if (fs::exists(directory / "hard_golden.json")) {
    expect_equal(testing::check_hard_golden(*tokenizer, directory / "hard_golden.json", kCorpus),
                 "hard corpus");
  }
  if (fs::exists(directory / "vocab.gguf.inp")) {
    expect_equal(testing::check_inp_out(*tokenizer, directory / "vocab.gguf.inp",
                                        directory / "vocab.gguf.out"),
                 "llama.cpp texts");
  }
}

class ShippedVocabulary : public ::testing::TestWithParam<const char*> {};

TEST_P(ShippedVocabulary, EqualsReference) {
  check_directory(fs::path(RBEE_VOCABULARIES) / GetParam());
}

std::string test_name(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    Golden, ShippedVocabulary,
    ::testing::Values("deepseek_v3", "mistral_v1", "gpt-2", "falcon", "rwkv_world",
                      "mistral_spm_v1", "sentence_piece/spm_unigram",
                      "sentence_piece/spm_unigram_bytes", "sentence_piece/spm_unigram_suffix",
                      "sentence_piece/spm_bpe", "sentence_piece/spm_bpe_bytes",
                      "sentence_piece/spm_bpe_nfkc", "tekken_small", "kimi_small"),
    test_name);

// Vocabularies whose licence does not let us ship them: scripts/fetch_test_vocabularies.sh gets
// them, RBEE_TEST_VOCABULARIES says where it put them.
class FetchedVocabulary : public ::testing::TestWithParam<const char*> {};

TEST_P(FetchedVocabulary, EqualsReference) {
  const char* folder = std::getenv("RBEE_TEST_VOCABULARIES");
  if (folder == nullptr) {
    GTEST_SKIP() << "vocabulary " << GetParam()
                 << " not checked: run scripts/fetch_test_vocabularies.sh and set "
                    "RBEE_TEST_VOCABULARIES to the directory it prints";
  }
  const fs::path gguf = fs::path(folder) / (std::string("ggml-vocab-") + GetParam() + ".gguf");
  const auto tokenizer = Tokenizer::open(gguf);
  expect_equal(testing::check_inp_out(*tokenizer, gguf.string() + ".inp", gguf.string() + ".out"),
               GetParam());
  const fs::path hard = kData / (std::string(GetParam()) + ".hard_golden.json");
  if (fs::exists(hard)) {
    expect_equal(testing::check_hard_golden(*tokenizer, hard, kCorpus), "hard corpus");
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, FetchedVocabulary,
                         ::testing::Values("llama-bpe", "llama-spm", "qwen2", "starcoder", "mpt",
                                           "deepseek-llm", "deepseek-coder", "phi-3", "refact",
                                           "command-r", "qwen35"),
                         test_name);

TEST(Golden, GgufPreTokenizersCutAsTheHubsDo) {
  for (const auto& [name, report] : testing::check_cuts(kData / "pre_tokenizers.json", kCorpus)) {
    expect_equal(report, name);
  }
}

// More vocabularies, by anyone: RBEE_EXTRA_TOKENIZERS=dir1:dir2.
TEST(Golden, ExtraDirectories) {
  const char* list = std::getenv("RBEE_EXTRA_TOKENIZERS");
  std::istringstream directories(list == nullptr ? "" : list);
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (!directory.empty()) check_directory(directory);
  }
}

// The tokenizers of the model fixtures, from each of their files.
TEST(Golden, ModelFixtures) {
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(RBEE_TEST_DATA) / "fixtures")) {
    const fs::path golden = entry.path() / "golden.json";
    if (!fs::exists(golden)) continue;
    const std::string name = entry.path().filename().string();
    expect_equal(testing::check_samples(*Tokenizer::open(entry.path()), golden), name);
    for (const char* other : {"tokenizer.model", "model.gguf"}) {
      const fs::path file = entry.path() / other;
      if (fs::exists(file)) {
        expect_equal(testing::check_samples(*Tokenizer::open(file), golden), name + " " + other);
      }
    }
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace rbee
