// How the pre-tokenizers that GGUF files name (tokenizer.ggml.pre) cut text.
#pragma once
#include <optional>
#include <span>
#include <string_view>

namespace rbee {

struct GgufPreTokenizer {
  std::span<const std::string_view> splits;  // regular expressions; applied in order, each match a
                                             // piece of its own
  bool ignore_merges = false;                // a piece that is a token is not merged
  bool adds_bos = false;                     // where the file does not say
  bool composes = false;                     // text is brought to Unicode form NFC first
  bool isolates_punctuation = false;         // runs of punctuation are cut out before the splits
};

std::optional<GgufPreTokenizer> find_gguf_pre_tokenizer(std::string_view name);

}  // namespace rbee
