#include "tokenizer/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "tokenizer/unicode_history.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::array<std::string_view, 30> kNames = {
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

bool in(Category value, Category first, Category last) noexcept {
  return value >= first && value <= last;
}

}  // namespace

std::string_view name(Category category) noexcept {
  return kNames[static_cast<std::size_t>(category)];
}

Category category(char32_t code) noexcept {
  const auto known = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (known != UTF8PROC_CATEGORY_CN) return static_cast<Category>(known);
  const auto assigned = assigned_since_unicode_14();
  const auto range = std::ranges::lower_bound(assigned, code, {}, &CategoryRange::last);
  return range == assigned.end() || code < range->first ? Category::cn : range->category;
}

bool is_whitespace(char32_t code) noexcept {
  if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_letter(char32_t code) noexcept { return in(category(code), Category::lu, Category::lo); }
bool is_mark(char32_t code) noexcept { return in(category(code), Category::mn, Category::me); }
bool is_number(char32_t code) noexcept {
  // Unicode 17 has added two sets of numbers.
  return in(category(code), Category::nd, Category::no) || (code >= 0x11DE0 && code <= 0x11DE9) ||
         (code >= 0x16FF4 && code <= 0x16FF6);
}

bool is_punctuation(char32_t code) noexcept {
  if (code < 0x80) {
    return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') ||
           (code >= '[' && code <= '`') || (code >= '{' && code <= '~');
  }
  if (code == 0x166D || code == 0x111C9) return true;  // were punctuation then
  return in(category(code), Category::pc, Category::po) && !is_later_punctuation(code);
}

bool is_word(char32_t code) noexcept {
  if (code == 0x200C || code == 0x200D) return true;
  // Alphabetic symbols: circled and squared Latin letters.
  if ((code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
      (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189)) {
    return true;
  }
  const Category known = category(code);
  return in(known, Category::lu, Category::nl) || known == Category::pc;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    at += point.size;
    if (point.value == 0x130) {
      out += "i\xCC\x87";  // the only character whose lower case is two
    } else if (const auto later = later_lower_case(point.value)) {
      append_utf8(out, *later);
    } else {
      append_utf8(
          out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value))));
    }
  }
  return out;
}

}  // namespace rbee
