#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tokenizer/unicode.hpp"
#include "tokenizer/unicode_history.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

struct Mark {
  utf8proc_int32_t code;
  utf8proc_propval_t combining_class;
};

// Appends the decomposition of one character to out.
void decompose(char32_t code, bool compatibility, std::vector<utf8proc_int32_t>& out) {
  if (decomposes_later(code)) {
    out.push_back(static_cast<utf8proc_int32_t>(code));
    return;
  }
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
  const auto class_of = [&](std::size_t i) -> utf8proc_propval_t {
    if (is_later_mark(static_cast<char32_t>(codes[i]))) return 0;
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

// Composes in place, cutting at marks that the reference takes for characters of their own.
void compose(std::vector<utf8proc_int32_t>& codes) {
  std::size_t written = 0;
  for (std::size_t begin = 0; begin < codes.size();) {
    std::size_t end = begin + 1;
    while (end < codes.size() && !is_later_mark(static_cast<char32_t>(codes[end]))) ++end;
    const auto size = utf8proc_normalize_utf32(
        codes.data() + begin, static_cast<utf8proc_ssize_t>(end - begin),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    const std::size_t count = size > 0 ? static_cast<std::size_t>(size) : 0;
    std::copy_n(codes.data() + begin, count, codes.data() + written);
    written += count;
    begin = end;
  }
  codes.resize(written);
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
  if (form == NormalForm::nfc || form == NormalForm::nfkc) compose(codes);
  std::string out;
  out.reserve(text.size());
  for (const utf8proc_int32_t code : codes) append_utf8(out, static_cast<char32_t>(code));
  return out;
}

}  // namespace rbee
