// Character properties that tokenizers ask for, as Hugging Face tokenizers answers them. It is
// built from libraries of several Unicode versions: categories are those of 16.0, punctuation that
// of 8.0 (in the Punctuation step), case and digits those of 17.0, normal forms those of 9.0.
#pragma once
#include <cstdint>
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

// "Lu" for Category::lu.
std::string_view name(Category category) noexcept;

Category category(char32_t code) noexcept;
bool is_whitespace(char32_t code) noexcept;   // property White_Space
bool is_letter(char32_t code) noexcept;       // L*
bool is_mark(char32_t code) noexcept;         // M*
bool is_number(char32_t code) noexcept;       // N*
bool is_punctuation(char32_t code) noexcept;  // P* of Unicode 8.0, and all ASCII punctuation
bool is_word(char32_t code) noexcept;         // \w of Unicode technical standard 18, annex C

// The text with every character in lower case, each by itself (no final sigma rule).
std::string to_lower(std::string_view text);

enum class NormalForm : std::uint8_t { nfc, nfd, nfkc, nfkd };
// Unicode normalisation (Unicode standard annex 15). Time grows as n log n.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace rbee
