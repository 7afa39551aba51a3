// What holds for every tokenizer that a file can describe, for the fuzz targets.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tokenizer/bpe_tokenizer.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

// The input before its first NUL byte, and after it.
inline std::pair<std::string_view, std::string_view> split_at_nul(const std::uint8_t* data,
                                                                  std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), size);
  return {input.substr(0, end), input.substr(std::min(end + 1, size))};
}

// Ids are of the vocabulary, decoding gives valid UTF-8, and token by token the same.
inline void round_trip(TokenizerParts parts, std::string_view text) {
  const auto tokenizer = std::make_shared<const BpeTokenizer>(std::move(parts));
  for (const bool parse_special : {true, false}) {
    const auto ids = tokenizer->encode(text, {.parse_special = parse_special});
    for (const TokenId id : ids) require(id >= 0 && id < tokenizer->vocab_size());
    const std::string decoded = tokenizer->decode(ids, !parse_special);
    require(is_valid_utf8(decoded));
    Detokenizer detokenizer(tokenizer, !parse_special);
    std::string streamed;
    for (const TokenId id : ids) streamed += detokenizer.push(id);
    require(streamed + detokenizer.finish() == decoded);
  }
}

}  // namespace rbee::fuzz
