// Compares a tokenizer with golden files made by Hugging Face tokenizers (tools/tokenizer_goldens).
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/tokenizer.hpp"

namespace rbee::testing {

struct GoldenReport {
  int texts = 0;
  int failures = 0;
  std::string first_failures;  // a few of them, for people
};

// golden.json: [{"text", "ids" (special tokens added; may be left out), "plain" (not), "decoded"
// (from plain)}]. Also checks that the incremental detokenizer gives the same text in whole
// characters.
GoldenReport check_golden(const Tokenizer& tokenizer, const std::filesystem::path& golden);

// Sanitizers make the thousands of texts take minutes per vocabulary: every eleventh has texts of
// each kind too.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kHardTextStep = 11;
#else
inline constexpr int kHardTextStep = 1;
#endif

// hard_golden.json: for each recipe of the corpus the number of ids and checksums.
GoldenReport check_hard_golden(const Tokenizer& tokenizer, const std::filesystem::path& golden,
                               const std::filesystem::path& corpus);

// llama.cpp's vocabulary tests: texts in .inp with the line __ggml_vocab_test__ between them, their
// ids in .out, a line each, no special tokens added.
GoldenReport check_inp_out(const Tokenizer& tokenizer, const std::filesystem::path& inp,
                           const std::filesystem::path& out);

// The "tokenizer_samples" of a model fixture: texts and ids, no special tokens added.
GoldenReport check_samples(const Tokenizer& tokenizer, const std::filesystem::path& golden);

// pre_tokenizers.json: where the pre-tokenizers that GGUF files name cut texts of the corpus; one
// report for each name.
std::vector<std::pair<std::string, GoldenReport>> check_cuts(const std::filesystem::path& golden,
                                                             const std::filesystem::path& corpus);

}  // namespace rbee::testing
