// Filters that lay text out: indent, wrap, cut, centre.
#include <algorithm>
#include <cstdio>

#include "chat/builtins.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

Value filter_center(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("center", args, {"width"});
  const Value text = target.is_string() ? target : runtime.string(to_text(runtime, target));
  Args width;
  width.positional.emplace_back(given.integer(0, 80));
  return find_string_method("center")(runtime, text, width);
}

Value filter_indent(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("indent", args, {"width", "first", "blank"});
  const std::string_view source = require_text(target, "indent");
  std::string indention;
  if (given.given(0) && given[0]->is_string()) {
    indention = given[0]->text();
  } else {
    indention = repeat(runtime, " ", given.integer(0, 4));
  }
  const bool blank = given.flag(2);
  const std::string text = std::string(source) + "\n";
  runtime.spend_bytes(text.size());
  std::string out = given.flag(1) ? indention : "";
  bool is_first = true;
  for (const std::string_view line : split_lines(text, false)) {
    if (!is_first) {
      out += '\n';
      if (blank || !line.empty()) out += indention;
    }
    runtime.require(out.size() + line.size());
    out += line;
    is_first = false;
  }
  return runtime.string(std::move(out), target.string().markup);
}

Value filter_truncate(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("truncate", args, {"length", "killwords", "end", "leeway"});
  const std::string_view text = require_text(target, "truncate");
  const std::int64_t length = given.integer(0, 255);
  const std::string_view end = given.given(2) ? require_text(*given[2], "truncate") : "...";
  const bool default_leeway = !given.given(3) || given[3]->is(Kind::none);
  const std::int64_t leeway = default_leeway ? 5 : given.integer(3, 5);
  const auto end_length = static_cast<std::int64_t>(count_code_points(end));
  if (length < end_length) {
    throw Failure("expected length >= " + std::to_string(end_length) + ", got " +
                  std::to_string(length));
  }
  if (leeway < 0) throw Failure("expected leeway >= 0, got " + std::to_string(leeway));
  const auto have = static_cast<std::int64_t>(target.string().length);
  if (have <= length || have - length <= leeway) return target;
  std::string_view kept =
      text.substr(0, byte_offset(text, static_cast<std::size_t>(length - end_length)));
  if (!given.flag(1)) kept = kept.substr(0, kept.rfind(' '));
  return runtime.string(std::string(kept) + std::string(end), target.string().markup);
}

// A line's words and the white space between them; words may be cut after hyphens.
std::vector<std::string_view> wrap_chunks(std::string_view line, bool at_hyphens) {
  std::vector<std::string_view> chunks;
  for (std::size_t at = 0; at < line.size();) {
    const bool space = is_space(first_code_point(line.substr(at)).value);
    std::size_t end = at;
    char32_t before = 0, last = 0;
    while (end < line.size()) {
      const CodePoint c = first_code_point(line.substr(end));
      if (is_space(c.value) != space) break;
      const bool after_hyphen = last == '-' && is_alpha(before) && is_alpha(c.value);
      if (at_hyphens && !space && after_hyphen) break;
      before = last;
      last = c.value;
      end += c.bytes;
    }
    chunks.push_back(line.substr(at, end - at));
    at = end;
  }
  return chunks;
}

// Looks at no more characters than `limit`: a long word is cut many times.
bool is_longer(std::string_view text, std::size_t limit) {
  return byte_offset(text, limit) < text.size();
}

struct WrapOptions {
  std::size_t width;
  bool break_long_words, break_on_hyphens;
};

// The lines that Python's textwrap makes of one line.
std::vector<std::string> wrap_line(std::string_view line, const WrapOptions& options) {
  std::vector<std::string_view> chunks = wrap_chunks(line, options.break_on_hyphens);
  std::reverse(chunks.begin(), chunks.end());
  const auto is_blank = [](std::string_view s) { return strip(s).empty(); };
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    std::vector<std::string_view> current;
    std::size_t used = 0;
    if (!lines.empty() && is_blank(chunks.back())) chunks.pop_back();
    while (!chunks.empty() && !is_longer(chunks.back(), options.width - used)) {
      current.push_back(chunks.back());
      used += count_code_points(chunks.back());
      chunks.pop_back();
    }
    if (!chunks.empty() && is_longer(chunks.back(), options.width)) {
      std::string_view& word = chunks.back();
      if (options.break_long_words) {
        const std::size_t room = byte_offset(word, std::max<std::size_t>(options.width - used, 1));
        if (used < options.width) {
          current.push_back(word.substr(0, room));
          word.remove_prefix(room);
        }
      } else if (current.empty()) {
        current.push_back(word);
        chunks.pop_back();
      }
    }
    if (!current.empty() && is_blank(current.back())) current.pop_back();
    if (current.empty()) continue;
    std::string& text = lines.emplace_back();
    for (const std::string_view chunk : current) text += chunk;
  }
  return lines;
}

Value filter_wordwrap(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("wordwrap", args,
                         {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const std::string_view text = require_text(target, "wordwrap");
  const std::int64_t width = given.integer(0, 79);
  if (width <= 0) throw Failure("invalid width " + std::to_string(width) + " (must be > 0)");
  const WrapOptions options{static_cast<std::size_t>(width), !given.given(1) || given.flag(1),
                            !given.given(3) || given.flag(3)};
  const std::string_view separator = given.text(2, "\n");
  std::string out;
  bool is_first = true;
  for (const std::string_view line : split_lines(text, false)) {
    runtime.spend(1 + line.size() / 8);  // in the worst case each character is a line
    if (!std::exchange(is_first, false)) out += separator;
    bool first_part = true;
    for (const std::string& part : wrap_line(line, options)) {
      runtime.require(out.size() + part.size());
      if (!std::exchange(first_part, false)) out += separator;
      out += part;
    }
  }
  return runtime.string(std::move(out));
}

Value filter_filesizeformat(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("filesizeformat", args, {"binary"});
  static constexpr const char* kPrefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
  double bytes = 0;
  if (target.is_string()) {
    const auto number = float_from_text(target.text());
    if (!number) throw Failure("could not convert string to float");
    bytes = *number;
  } else if (target.is_number()) {
    bytes = target.real();
  } else {
    require_integer(target, "filesizeformat");
  }
  const bool binary = given.flag(0);
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return runtime.string("1 Byte");
  if (bytes < base) return runtime.string(std::to_string(int_from_float(bytes)) + " Bytes");
  double unit = base;
  const char* prefix = kPrefixes[0];
  for (const char* candidate : kPrefixes) {
    unit *= base;
    prefix = candidate;
    if (bytes < unit) break;
  }
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.1f ", base * bytes / unit);
  std::string name = binary && *prefix == 'k' ? "K" : prefix;
  return runtime.string(buffer + name + (binary ? "iB" : "B"));
}

// Dicts are shown in the order of their keys, so they are rebuilt in it.
Value sort_dicts(Runtime& runtime, const Value& value) {
  if (value.is(Kind::dict)) {
    std::vector<Entry> entries = value.as<Dict>().entries;
    for (Entry& entry : entries) entry.second = sort_dicts(runtime, entry.second);
    std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      return less(runtime, a.first, b.first);
    });
    return runtime.dict(std::move(entries));
  }
  if (!value.is_sequence()) return value;
  std::vector<Value> items = value.items();
  for (Value& item : items) item = sort_dicts(runtime, item);
  return value.is(Kind::list) ? runtime.list(std::move(items)) : runtime.tuple(std::move(items));
}

Value filter_pprint(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("pprint", args, {});
  constexpr std::size_t kLineWidth = 80;
  std::string text = to_repr(runtime, sort_dicts(runtime, target));
  if (count_code_points(text) > kLineWidth) {
    throw Failure("pprint of a value longer than one line is not supported");
  }
  return runtime.string(std::move(text));
}

constexpr FilterEntry kFilters[] = {
    {"center", filter_center},     {"indent", filter_indent},
    {"truncate", filter_truncate}, {"wordwrap", filter_wordwrap},
    {"pprint", filter_pprint},     {"filesizeformat", filter_filesizeformat},
};

}  // namespace

std::span<const FilterEntry> layout_filters() { return kFilters; }

}  // namespace rbee::jinja
