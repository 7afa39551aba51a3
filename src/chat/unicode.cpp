#include "chat/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "chat/special_casing.hpp"

namespace rbee::jinja {
namespace {

struct Range {
  char32_t first, last;
};

// Digits that are no decimal digits: superscripts, circled digits and the like.
constexpr Range kOtherDigits[] = {
    {0xB2, 0xB3},       {0xB9, 0xB9},       {0x1369, 0x1371},   {0x19DA, 0x19DA},
    {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
    {0x2474, 0x247C},   {0x2488, 0x2490},   {0x24EA, 0x24EA},   {0x24F5, 0x24FD},
    {0x24FF, 0x24FF},   {0x2776, 0x277E},   {0x2780, 0x2788},   {0x278A, 0x2792},
    {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A}};

// Characters outside the letter categories that still have a case.
constexpr Range kOtherUpper[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
constexpr Range kOtherLower[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},    {0x2E0, 0x2E4},
    {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},   {0x1D78, 0x1D78},  {0x1D9B, 0x1DBF},
    {0x2071, 0x2071},   {0x207F, 0x207F},   {0x2090, 0x209C},   {0x2170, 0x217F},  {0x24D0, 0x24E9},
    {0x2C7C, 0x2C7D},   {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9},  {0xAB5C, 0xAB5F},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}};

template <std::size_t n>
bool contains(const Range (&ranges)[n], char32_t c) {
  const auto* it = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                    [](char32_t x, const Range& r) { return x < r.first; });
  return it != std::begin(ranges) && c <= std::prev(it)->last;
}

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<int>(c)); }

const SpecialCasing* special_casing(char32_t c) {
  if (c < 0xDF) return nullptr;
  const auto* it =
      std::lower_bound(std::begin(kSpecialCasing), std::end(kSpecialCasing), c,
                       [](const SpecialCasing& s, char32_t x) { return s.code_point < x; });
  return it != std::end(kSpecialCasing) && it->code_point == c ? it : nullptr;
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2018 || c == 0x2019;
  }
}

// A capital sigma that ends a word has its own lower case.
bool is_final_sigma(std::string_view before, std::string_view after) {
  bool cased_before = false;
  while (!before.empty()) {
    const CodePoint c = last_code_point(before);
    before.remove_suffix(c.bytes);
    if (is_case_ignorable(c.value)) continue;
    cased_before = is_cased(c.value);
    break;
  }
  if (!cased_before) return false;
  while (!after.empty()) {
    const CodePoint c = first_code_point(after);
    after.remove_prefix(c.bytes);
    if (is_case_ignorable(c.value)) continue;
    return !is_cased(c.value);
  }
  return true;
}

// Appends the lower case of the character at byte `at` of text, `length` bytes long.
void append_lower(std::string& out, std::string_view text, std::size_t at, CodePoint c) {
  if (c.value < 0x80) {
    out += static_cast<char>(c.value >= 'A' && c.value <= 'Z' ? c.value + 32 : c.value);
  } else if (c.value == 0x130) {  // I with dot above: i and a combining dot
    out += "i\xCC\x87";
  } else if (c.value == 0x3A3 && is_final_sigma(text.substr(0, at), text.substr(at + c.bytes))) {
    append_utf8(out, 0x3C2);
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<int>(c.value))));
  }
}

// Calls f(position, code point) for each character.
template <class F>
void for_each(std::string_view text, F f) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = first_code_point(text.substr(at));
    f(at, c);
    at += c.bytes;
  }
}

// Length of the valid sequence at text[at], or 0.
std::size_t valid_sequence(std::string_view text, std::size_t at) {
  utf8proc_int32_t c = 0;
  const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                  static_cast<utf8proc_ssize_t>(text.size() - at), &c);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) & 0x3Fu : 0u;
  };
  const unsigned lead = static_cast<unsigned char>(text[0]);
  if (lead < 0xC0) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | byte(1), std::min<std::size_t>(2, text.size())};
  if (lead < 0xF0) {
    return {(lead & 0x0F) << 12 | byte(1) << 6 | byte(2), std::min<std::size_t>(3, text.size())};
  }
  return {(lead & 0x07) << 18 | byte(1) << 12 | byte(2) << 6 | byte(3),
          std::min<std::size_t>(4, text.size())};
}

CodePoint last_code_point(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return first_code_point(text.substr(at));
}

void append_utf8(std::string& out, char32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const bool surrogate = code_point >= 0xD800 && code_point < 0xE000;
  const char32_t c = surrogate || code_point > 0x10FFFF ? 0xFFFD : code_point;
  const auto n = utf8proc_encode_char(static_cast<int>(c), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
}

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::size_t byte_offset(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += first_code_point(text.substr(at)).bytes;
  return at;
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const std::size_t n = valid_sequence(text, at);
    if (n == 0) return false;
    at += n;
  }
  return true;
}

std::string sanitize_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = valid_sequence(text, at);
    if (n == 0) {
      append_utf8(out, 0xFFFD);
      ++at;
    } else {
      out.append(text.substr(at, n));
      at += n;
    }
  }
  return out;
}

bool is_space(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_line_break(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_alpha(char32_t c) {
  const auto k = category(c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_digit(char32_t c) { return is_decimal(c) || contains(kOtherDigits, c); }
bool is_numeric(char32_t c) {
  const auto k = category(c);
  return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}
bool is_upper(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LU || contains(kOtherUpper, c);
}
bool is_lower(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LL || contains(kOtherLower, c);
}
bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  const auto k = category(c);
  return k != UTF8PROC_CATEGORY_CN &&
         !(k >= UTF8PROC_CATEGORY_ZS && k <= UTF8PROC_CATEGORY_CO);  // Zs Zl Zp Cc Cf Cs Co
}

bool is_identifier_part(char32_t c) {
  if (c < 0x80) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }
  const auto k = category(c);
  return is_alpha(c) || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC ||
         k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC;
}

void append_upper(std::string& out, char32_t c) {
  if (const SpecialCasing* s = special_casing(c)) {
    for (const char32_t u : s->upper) {
      if (u != 0) append_utf8(out, u);
    }
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<int>(c))));
  }
}

void append_title(std::string& out, char32_t c) {
  if (const SpecialCasing* s = special_casing(c)) {
    for (const char32_t u : s->title) {
      if (u != 0) append_utf8(out, u);
    }
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<int>(c))));
  }
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&](std::size_t, CodePoint c) { append_upper(out, c.value); });
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&](std::size_t at, CodePoint c) { append_lower(out, text, at, c); });
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&](std::size_t at, CodePoint c) {
    if (at == 0) {
      append_title(out, c.value);
    } else {
      append_lower(out, text, at, c);
    }
  });
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool inside_word = false;
  for_each(text, [&](std::size_t at, CodePoint c) {
    if (inside_word) {
      append_lower(out, text, at, c);
    } else {
      append_title(out, c.value);
    }
    inside_word = is_cased(c.value);
  });
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&](std::size_t at, CodePoint c) {
    if (is_upper(c.value)) {
      append_lower(out, text, at, c);
    } else if (is_lower(c.value)) {
      append_upper(out, c.value);
    } else {
      append_utf8(out, c.value);
    }
  });
  return out;
}

std::string_view strip(std::string_view text, Side side) {
  while (side != Side::right && !text.empty()) {
    const CodePoint c = first_code_point(text);
    if (!is_space(c.value)) break;
    text.remove_prefix(c.bytes);
  }
  while (side != Side::left && !text.empty()) {
    const CodePoint c = last_code_point(text);
    if (!is_space(c.value)) break;
    text.remove_suffix(c.bytes);
  }
  return text;
}

std::string_view strip(std::string_view text, std::string_view set, Side side) {
  std::vector<char32_t> wanted;
  for_each(set, [&](std::size_t, CodePoint c) { wanted.push_back(c.value); });
  std::sort(wanted.begin(), wanted.end());
  const auto in_set = [&](char32_t c) {
    return std::binary_search(wanted.begin(), wanted.end(), c);
  };
  while (side != Side::right && !text.empty()) {
    const CodePoint c = first_code_point(text);
    if (!in_set(c.value)) break;
    text.remove_prefix(c.bytes);
  }
  while (side != Side::left && !text.empty()) {
    const CodePoint c = last_code_point(text);
    if (!in_set(c.value)) break;
    text.remove_suffix(c.bytes);
  }
  return text;
}

}  // namespace rbee::jinja
