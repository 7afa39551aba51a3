#include "tokenizer/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

// Source: UnicodeData.txt of Unicode 16.0 against that of 14.0.
constexpr CategoryRange kAssignedSince14[] = {
    // clang-format off
    {0x897, 0x897, Category::mn}, {0xCF3, 0xCF3, Category::mc}, {0xECE, 0xECE, Category::mn},
    {0x1B4E, 0x1B4F, Category::po}, {0x1B7F, 0x1B7F, Category::po}, {0x1C89, 0x1C89, Category::lu},
    {0x1C8A, 0x1C8A, Category::ll}, {0x2427, 0x2429, Category::so}, {0x2FFC, 0x2FFF, Category::so},
    {0x31E4, 0x31E5, Category::so}, {0x31EF, 0x31EF, Category::so}, {0xA7CB, 0xA7CC, Category::lu},
    {0xA7CD, 0xA7CD, Category::ll}, {0xA7DA, 0xA7DA, Category::lu}, {0xA7DB, 0xA7DB, Category::ll},
    {0xA7DC, 0xA7DC, Category::lu}, {0x105C0, 0x105F3, Category::lo},
    {0x10D40, 0x10D49, Category::nd}, {0x10D4A, 0x10D4D, Category::lo},
    {0x10D4E, 0x10D4E, Category::lm}, {0x10D4F, 0x10D4F, Category::lo},
    {0x10D50, 0x10D65, Category::lu}, {0x10D69, 0x10D6D, Category::mn},
    {0x10D6E, 0x10D6E, Category::pd}, {0x10D6F, 0x10D6F, Category::lm},
    {0x10D70, 0x10D85, Category::ll}, {0x10D8E, 0x10D8F, Category::sm},
    {0x10EC2, 0x10EC4, Category::lo}, {0x10EFC, 0x10EFF, Category::mn},
    {0x1123F, 0x11240, Category::lo}, {0x11241, 0x11241, Category::mn},
    {0x11380, 0x11389, Category::lo}, {0x1138B, 0x1138B, Category::lo},
    {0x1138E, 0x1138E, Category::lo}, {0x11390, 0x113B5, Category::lo},
    {0x113B7, 0x113B7, Category::lo}, {0x113B8, 0x113BA, Category::mc},
    {0x113BB, 0x113C0, Category::mn}, {0x113C2, 0x113C2, Category::mc},
    {0x113C5, 0x113C5, Category::mc}, {0x113C7, 0x113CA, Category::mc},
    {0x113CC, 0x113CD, Category::mc}, {0x113CE, 0x113CE, Category::mn},
    {0x113CF, 0x113CF, Category::mc}, {0x113D0, 0x113D0, Category::mn},
    {0x113D1, 0x113D1, Category::lo}, {0x113D2, 0x113D2, Category::mn},
    {0x113D3, 0x113D3, Category::lo}, {0x113D4, 0x113D5, Category::po},
    {0x113D7, 0x113D8, Category::po}, {0x113E1, 0x113E2, Category::mn},
    {0x116D0, 0x116E3, Category::nd}, {0x1171E, 0x1171E, Category::mc},
    {0x11B00, 0x11B09, Category::po}, {0x11BC0, 0x11BE0, Category::lo},
    {0x11BE1, 0x11BE1, Category::po}, {0x11BF0, 0x11BF9, Category::nd},
    {0x11F00, 0x11F01, Category::mn}, {0x11F02, 0x11F02, Category::lo},
    {0x11F03, 0x11F03, Category::mc}, {0x11F04, 0x11F10, Category::lo},
    {0x11F12, 0x11F33, Category::lo}, {0x11F34, 0x11F35, Category::mc},
    {0x11F36, 0x11F3A, Category::mn}, {0x11F3E, 0x11F3F, Category::mc},
    {0x11F40, 0x11F40, Category::mn}, {0x11F41, 0x11F41, Category::mc},
    {0x11F42, 0x11F42, Category::mn}, {0x11F43, 0x11F4F, Category::po},
    {0x11F50, 0x11F59, Category::nd}, {0x11F5A, 0x11F5A, Category::mn},
    {0x1342F, 0x1342F, Category::lo}, {0x13439, 0x1343F, Category::cf},
    {0x13440, 0x13440, Category::mn}, {0x13441, 0x13446, Category::lo},
    {0x13447, 0x13455, Category::mn}, {0x13460, 0x143FA, Category::lo},
    {0x16100, 0x1611D, Category::lo}, {0x1611E, 0x16129, Category::mn},
    {0x1612A, 0x1612C, Category::mc}, {0x1612D, 0x1612F, Category::mn},
    {0x16130, 0x16139, Category::nd}, {0x16D40, 0x16D42, Category::lm},
    {0x16D43, 0x16D6A, Category::lo}, {0x16D6B, 0x16D6C, Category::lm},
    {0x16D6D, 0x16D6F, Category::po}, {0x16D70, 0x16D79, Category::nd},
    {0x18CFF, 0x18CFF, Category::lo}, {0x1B132, 0x1B132, Category::lo},
    {0x1B155, 0x1B155, Category::lo}, {0x1CC00, 0x1CCEF, Category::so},
    {0x1CCF0, 0x1CCF9, Category::nd}, {0x1CD00, 0x1CEB3, Category::so},
    {0x1D2C0, 0x1D2D3, Category::no}, {0x1DF25, 0x1DF2A, Category::ll},
    {0x1E030, 0x1E06D, Category::lm}, {0x1E08F, 0x1E08F, Category::mn},
    {0x1E4D0, 0x1E4EA, Category::lo}, {0x1E4EB, 0x1E4EB, Category::lm},
    {0x1E4EC, 0x1E4EF, Category::mn}, {0x1E4F0, 0x1E4F9, Category::nd},
    {0x1E5D0, 0x1E5ED, Category::lo}, {0x1E5EE, 0x1E5EF, Category::mn},
    {0x1E5F0, 0x1E5F0, Category::lo}, {0x1E5F1, 0x1E5FA, Category::nd},
    {0x1E5FF, 0x1E5FF, Category::po}, {0x1F6DC, 0x1F6DC, Category::so},
    {0x1F774, 0x1F776, Category::so}, {0x1F77B, 0x1F77F, Category::so},
    {0x1F7D9, 0x1F7D9, Category::so}, {0x1F8B2, 0x1F8BB, Category::so},
    {0x1F8C0, 0x1F8C1, Category::so}, {0x1FA75, 0x1FA77, Category::so},
    {0x1FA87, 0x1FA89, Category::so}, {0x1FA8F, 0x1FA8F, Category::so},
    {0x1FAAD, 0x1FAAF, Category::so}, {0x1FABB, 0x1FABF, Category::so},
    {0x1FAC6, 0x1FAC6, Category::so}, {0x1FACE, 0x1FACF, Category::so},
    {0x1FADA, 0x1FADC, Category::so}, {0x1FADF, 0x1FADF, Category::so},
    {0x1FAE8, 0x1FAE9, Category::so}, {0x1FAF7, 0x1FAF8, Category::so},
    {0x1FBCB, 0x1FBEF, Category::so}, {0x2B739, 0x2B739, Category::lo},
    {0x2EBF0, 0x2EE5D, Category::lo}, {0x31350, 0x323AF, Category::lo},
    // clang-format on
};

constexpr std::array<std::string_view, 30> kNames = {
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

bool in(Category value, Category first, Category last) noexcept {
  return value >= first && value <= last;
}

}  // namespace

std::span<const CategoryRange> assigned_since_unicode_14() noexcept { return kAssignedSince14; }

std::string_view name(Category category) noexcept {
  return kNames[static_cast<std::size_t>(category)];
}

Category category(char32_t code) noexcept {
  const auto known = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (known != UTF8PROC_CATEGORY_CN) return static_cast<Category>(known);
  const auto* range = std::ranges::lower_bound(kAssignedSince14, code, {}, &CategoryRange::last);
  if (range == std::end(kAssignedSince14) || code < range->first) return Category::cn;
  return range->category;
}

bool is_whitespace(char32_t code) noexcept {
  if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_letter(char32_t code) noexcept { return in(category(code), Category::lu, Category::lo); }
bool is_mark(char32_t code) noexcept { return in(category(code), Category::mn, Category::me); }
bool is_number(char32_t code) noexcept { return in(category(code), Category::nd, Category::no); }

bool is_punctuation(char32_t code) noexcept {
  if (code < 0x80) {
    return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') ||
           (code >= '[' && code <= '`') || (code >= '{' && code <= '~');
  }
  return in(category(code), Category::pc, Category::po);
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
    } else {
      append_utf8(
          out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value))));
    }
  }
  return out;
}

namespace {

struct Mark {
  utf8proc_int32_t code;
  utf8proc_propval_t combining_class;
};

// Appends the decomposition of one character to out.
void decompose(char32_t code, bool compatibility, std::vector<utf8proc_int32_t>& out) {
  const int options = UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
  std::array<utf8proc_int32_t, 32> parts{};  // the longest decomposition has 18 characters
  int last_boundary = 0;
  const auto count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts.data(), parts.size(),
                              static_cast<utf8proc_option_t>(options), &last_boundary);
  const auto usable = std::clamp<utf8proc_ssize_t>(count, 0, parts.size());
  out.insert(out.end(), parts.begin(), parts.begin() + usable);
}

// Puts runs of combining marks in canonical order. (The library's own ordering takes quadratic time
// for long runs.)
void order_marks(std::vector<utf8proc_int32_t>& codes) {
  std::vector<Mark> run;
  const auto class_of = [&](std::size_t i) {
    return utf8proc_get_property(codes[i])->combining_class;
  };
  for (std::size_t begin = 0; begin < codes.size();) {
    if (codes[begin] < 0x300 || class_of(begin) == 0) {
      ++begin;
      continue;
    }
    run.clear();
    std::size_t end = begin;
    for (; end < codes.size() && class_of(end) != 0; ++end) {
      run.push_back({codes[end], class_of(end)});
    }
    std::ranges::stable_sort(run, {}, &Mark::combining_class);
    for (std::size_t i = begin; i < end; ++i) codes[i] = run[i - begin].code;
    begin = end;
  }
}

}  // namespace

std::string normalize(std::string_view text, NormalForm form) {
  if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    return std::string(text);
  }
  const bool compatibility = form == NormalForm::nfkc || form == NormalForm::nfkd;
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    at += point.size;
    if (point.value < 0x80) {
      codes.push_back(static_cast<utf8proc_int32_t>(point.value));
    } else {
      decompose(point.value, compatibility, codes);
    }
  }
  order_marks(codes);
  if (form == NormalForm::nfc || form == NormalForm::nfkc) {
    const auto size = utf8proc_normalize_utf32(
        codes.data(), static_cast<utf8proc_ssize_t>(codes.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    codes.resize(static_cast<std::size_t>(std::max<utf8proc_ssize_t>(size, 0)));
  }
  std::string out;
  out.reserve(text.size());
  for (const utf8proc_int32_t code : codes) append_utf8(out, static_cast<char32_t>(code));
  return out;
}

}  // namespace rbee
