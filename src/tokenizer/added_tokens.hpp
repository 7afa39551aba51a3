// AddedTokens: the tokens that are found in text before the model sees it, special ones
// ("<|im_end|>") and others ("<think>"). Matching is leftmost, longest first, as in Hugging Face
// tokenizers.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rbee {

struct AddedToken {
  std::int32_t id = -1;
  std::string content;
  bool special = false;
  bool single_word = false;  // only where no word character is next to it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // looked for in normalised text, itself normalised
};

// A set of byte strings and the search for the longest one that starts at a place.
class ByteTrie {
 public:
  void insert(std::string_view text, std::uint32_t value);  // a later value replaces an earlier one

  struct Found {
    std::size_t begin;
    std::size_t end;
    std::uint32_t value;
  };
  // The leftmost string at or after `from`, the longest of those; begin is text.size() when there
  // is none. Time: the text times the longest string at worst.
  Found find(std::string_view text, std::size_t from) const;

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;

  std::array<std::uint32_t, 256> first_ = [] {
    std::array<std::uint32_t, 256> none{};
    none.fill(kNone);
    return none;
  }();
  std::vector<std::uint32_t> values_;  // by node; kNone where no string ends
  std::unordered_map<std::uint64_t, std::uint32_t> children_;
};

class AddedTokens {
 public:
  static constexpr std::size_t kLongest = 1024;  // bytes of a token's content

  AddedTokens() = default;
  // normalize gives the form in which `normalized` tokens are looked for.
  // Precondition: contents are not empty and, normalised, at most kLongest bytes.
  AddedTokens(std::vector<AddedToken> tokens,
              const std::function<std::string(std::string_view)>& normalize);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* find(std::int32_t id) const;  // nullptr when it is not an added token
  // The text by which a token decodes: its content, normalised where it is looked for so.
  std::string_view decoded_content(const AddedToken& token) const;

  struct Part {
    std::string_view text;
    const AddedToken* token;  // nullptr for text between tokens
  };
  // Cuts text into tokens and what is between them (never empty). normalized chooses which of the
  // two kinds to look for. Special tokens are passed over as text unless with_special.
  std::vector<Part> split(std::string_view text, bool normalized, bool with_special) const;

 private:
  std::vector<AddedToken> tokens_;
  std::vector<std::string> normalized_contents_;  // by index in tokens_; empty: the content itself
  std::unordered_map<std::int32_t, std::uint32_t> by_id_;
  ByteTrie raw_;
  ByteTrie normalized_;
};

}  // namespace rbee
