// What changed in Unicode between the versions of the libraries at hand (PCRE2 10.42: 14.0,
// utf8proc 2.8: 15.0) and those that Hugging Face tokenizers is built from.
#pragma once
#include <optional>
#include <span>

#include "tokenizer/unicode.hpp"

namespace rbee {

struct CategoryRange {
  char32_t first;
  char32_t last;
  Category category;
};

// What 15.0 to 16.0 assigned, ascending.
std::span<const CategoryRange> assigned_since_unicode_14() noexcept;

// Assigned as punctuation since 8.0, or made so.
bool is_later_punctuation(char32_t code) noexcept;

// A mark that normalisation by 9.0 does not move, being unassigned then.
bool is_later_mark(char32_t code) noexcept;

// A character whose decomposition came after 9.0.
bool decomposes_later(char32_t code) noexcept;

// The lower case of capitals that came after 15.0.
std::optional<char32_t> later_lower_case(char32_t code) noexcept;

}  // namespace rbee
