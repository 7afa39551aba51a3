// CharsMap: the precompiled normalisation rules of a SentencePiece model (precompiled_charsmap):
// a trie of texts and what replaces them. The trie is a double array in the layout of darts-clone
// (https://github.com/s-yata/darts-clone); the blob is its size in bytes (u32, little-endian), its
// units, and the replacements, each ended by a NUL byte.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rbee {

class CharsMap {
 public:
  // Throws LoadError(file, field, ...).
  CharsMap(std::string_view blob, const std::string& file, const std::string& field);

  struct Rule {
    std::size_t size;  // bytes of the text that it replaces
    std::string_view replacement;
  };
  // The rule for the longest text that `text` begins with, or for the shortest. Rules that a real
  // map does not have (texts over 128 bytes, replacements over 256, broken UTF-8) are passed over.
  std::optional<Rule> longest(std::string_view text) const { return find(text, true); }
  std::optional<Rule> shortest(std::string_view text) const { return find(text, false); }

 private:
  std::optional<Rule> find(std::string_view text, bool longest) const;
  std::optional<std::string_view> replacement(std::uint32_t offset) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace rbee
