// tiktoken.model.
#include <fmt/format.h>

#include <algorithm>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "tokenizer/base64.hpp"
#include "tokenizer/gguf_pre_tokenizers.hpp"
#include "tokenizer/ranked_bytes.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kMostTokens = std::size_t{1} << 22;
constexpr int kSpecialTokens = 256;

// The ids after the ranks, by the names that Kimi's tokenizer gives to those that no file names.
std::vector<AddedToken> reserved_tokens(std::size_t first) {
  std::vector<AddedToken> tokens;
  for (int i = 0; i < kSpecialTokens; ++i) {
    AddedToken token;
    token.id = static_cast<TokenId>(first) + i;
    token.content = fmt::format("<|reserved_token_{}|>", token.id);
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

TokenizerParts parse_tiktoken_model(std::string_view text, const std::string& file) {
  RankedBytes vocabulary;
  std::size_t count = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++count;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t space = std::min(line.find(' '), line.size());
    auto bytes = decode_base64(line.substr(0, space));
    // Ranks are in order in all files there are; gaps would need a table of them.
    const std::string rank = fmt::format(" {}", vocabulary.tokens.size());
    if (!bytes || line.substr(space) != rank || vocabulary.tokens.size() == kMostTokens) {
      throw LoadError(file, fmt::format("line {}", count),
                      fmt::format("base64 and the rank{}", rank), repair_utf8(line.substr(0, 100)));
    }
    vocabulary.tokens.push_back(std::move(*bytes));
  }
  if (vocabulary.tokens.empty()) throw LoadError(file, "(whole file)", "lines with tokens", "none");
  vocabulary.special = reserved_tokens(vocabulary.tokens.size());
  return ranked_bytes_parts(std::move(vocabulary), find_gguf_pre_tokenizer("kimi-k2")->splits, file,
                            "pattern");
}

TokenizerParts read_tiktoken_model(const std::string& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return parse_tiktoken_model({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file);
}

}  // namespace rbee
