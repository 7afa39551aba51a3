#include "tokenizer/pre_tokenizer_names.hpp"

#include <array>
#include <string>
#include <vector>

#include "tokenizer/gguf_pre_tokenizers.hpp"
#include "tokenizer/unicode.hpp"

namespace rbee {
namespace {

// One for each way to cut, the best known first.
constexpr std::array<std::string_view, 17> kNames{
    "gpt-2",        "llama-bpe",      "dbrx",    "qwen2",       "stablelm2", "starcoder",
    "gpt-4o",       "tekken",         "kimi-k2", "deepseek-v3", "olmo",      "falcon",
    "deepseek-llm", "deepseek-coder", "qwen35",  "default",     "mpt"};

// Contractions in both cases, digits of several scripts, words with marks, decomposed letters, line
// ends and runs of blanks, punctuation before and after letters and lines.
constexpr std::string_view kText =
    "Hello  world, don't DON'T we'LL i'm 12345678 1 22 3.14 \u0661\u0662\u0663\u0664 x2y "
    "camelCaseWord HTTPServer \u00c9cole e\u0301te\u0301 na\u00efve \u0440\u0443\u0441\u0441\u043a"
    "\u0438\u0439 "
    "\u4e2d\u6587\u5b57\u7b26abc\u65e5\u672c\u8a9e\u3072\u3089\u304c\u306a\u30ab\u30bf "
    "\ud55c\uad6d\uc5b4 \u0939\u093f\u0928\u094d\u0926\u0940\n\n  indented\r\n\ttab \t x\n"
    "foo/bar//baz!!! (a+b)=c^2 <tag> ~x| `y` $5 #1 @me _z /path/\n- list \u2014 \u201cq\u201d "
    "\uff01\uff08\uff09 \U0001F600\U0001F469\u200d\U0001F4BB end.\n \n\n   ";

struct Cut {
  std::string text;
  std::vector<std::string> pieces;
  bool operator==(const Cut&) const = default;
};

Cut cut(std::string text, const PreTokenizer& pre_tokenizer) {
  Pieces pieces;
  pieces.text = text;
  pieces.ranges = {{0, text.size()}};
  pre_tokenizer.apply(pieces);
  Cut out{std::move(text), {}};
  for (const Pieces::Range range : pieces.ranges) out.pieces.emplace_back(pieces.view(range));
  return out;
}

Cut cut_as(const GgufPreTokenizer& pre) {
  PreTokenizer pre_tokenizer;
  if (pre.isolates_punctuation) pre_tokenizer.add_punctuation_runs();
  for (const std::string_view split : pre.splits) pre_tokenizer.add_split(split, "", "");
  std::string text(kText);
  if (pre.composes) text = normalize(text, NormalForm::nfc);
  return cut(std::move(text), pre_tokenizer);
}

bool ignores_merges(const TokenizerParts& parts) {
  const auto* bpe = std::get_if<Bpe>(&parts.model);
  return bpe != nullptr && bpe->options().ignore_merges;
}

}  // namespace

std::optional<std::string_view> gguf_pre_tokenizer_name(const TokenizerParts& parts) {
  const Cut wanted = cut(parts.normalizer.apply(kText), parts.pre_tokenizer);
  std::optional<std::string_view> second;
  for (const std::string_view name : kNames) {
    const GgufPreTokenizer pre = *find_gguf_pre_tokenizer(name);
    if (cut_as(pre) != wanted) continue;
    if (pre.ignore_merges == ignores_merges(parts)) return name;
    if (!second) second = name;
  }
  return second;
}

}  // namespace rbee
