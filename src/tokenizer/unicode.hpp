// Character properties that tokenizers ask for, by Unicode 16.0: utf8proc's tables with what later
// versions of the standard added to them.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rbee {

// General categories, in the order of utf8proc's enumeration (unassigned first).
enum class Category : std::uint8_t {
  // clang-format off
  cn, lu, ll, lt, lm, lo, mn, mc, me, nd, nl, no, pc, pd, ps, pe, pi, pf, po, sm, sc, sk, so, zs, zl,
  zp, cc, cf, cs, co,
  // clang-format on
};

struct CategoryRange {
  char32_t first;
  char32_t last;
  Category category;
};

// What Unicode 15.0 to 16.0 assigned: libraries made for Unicode 14 do not know it.
std::span<const CategoryRange> assigned_since_unicode_14() noexcept;

// "Lu" for Category::lu.
std::string_view name(Category category) noexcept;

Category category(char32_t code) noexcept;
bool is_whitespace(char32_t code) noexcept;   // property White_Space
bool is_letter(char32_t code) noexcept;       // L*
bool is_mark(char32_t code) noexcept;         // M*
bool is_number(char32_t code) noexcept;       // N*
bool is_punctuation(char32_t code) noexcept;  // P*, and all ASCII punctuation
bool is_word(char32_t code) noexcept;         // \w of Unicode technical standard 18, annex C

// The text with every character in lower case, each by itself (no final sigma rule).
std::string to_lower(std::string_view text);

enum class NormalForm : std::uint8_t { nfc, nfd, nfkc, nfkd };
// Unicode normalisation (Unicode standard annex 15).
std::string normalize(std::string_view text, NormalForm form);

}  // namespace rbee
