#include "tokenizer/pre_tokenizer_names.hpp"

#include <gtest/gtest.h>

#include "tokenizer/gguf_pre_tokenizers.hpp"
#include "tokenizer/unicode.hpp"

namespace rbee {
namespace {

TokenizerParts parts_that_cut_as(const GgufPreTokenizer& pre) {
  Bpe::Options options;
  options.bytes = true;
  options.ignore_merges = pre.ignore_merges;
  TokenizerParts parts(Bpe(TextTable(), {}, options), Decoder::byte_level());
  if (pre.composes) {
    parts.normalizer.add([](std::string& text) { text = normalize(text, NormalForm::nfc); });
  }
  if (pre.isolates_punctuation) parts.pre_tokenizer.add_punctuation_runs();
  for (const std::string_view split : pre.splits) parts.pre_tokenizer.add_split(split, "", "");
  return parts;
}

// Each name is told from all others, or cuts as they do.
TEST(PreTokenizerNames, FindWhatCutsAlike) {
  for (const char* name : {"gpt-2", "llama-bpe", "dbrx", "qwen2", "stablelm2", "starcoder",
                           "gpt-4o", "tekken", "kimi-k2", "deepseek-v3", "olmo", "falcon",
                           "deepseek-llm", "deepseek-coder", "qwen35", "default"}) {
    EXPECT_EQ(gguf_pre_tokenizer_name(parts_that_cut_as(*find_gguf_pre_tokenizer(name))), name);
  }
}

TEST(PreTokenizerNames, NoneForAnother) {
  TokenizerParts parts = parts_that_cut_as(*find_gguf_pre_tokenizer("gpt-2"));
  parts.pre_tokenizer.add_split("o", "", "");
  EXPECT_EQ(gguf_pre_tokenizer_name(parts), std::nullopt);
}

}  // namespace
}  // namespace rbee
