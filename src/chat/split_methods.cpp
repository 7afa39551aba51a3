// The str methods that split, and the replacing that goes with them.
#include <algorithm>

#include "chat/builtins.hpp"
#include "chat/text_search.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

using Parts = std::vector<std::string_view>;

// Splits at runs of white space. limit < 0: at all of them.
Parts split_space(std::string_view text, std::int64_t limit) {
  Parts parts;
  text = strip(text, Side::left);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text);  // with the white space at its end, as Python has it
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      const CodePoint c = first_code_point(text.substr(end));
      if (is_space(c.value)) break;
      end += c.bytes;
    }
    parts.push_back(text.substr(0, end));
    text = strip(text.substr(end), Side::left);
  }
  return parts;
}

// The same from the end; the parts come out last first.
Parts split_space_backwards(std::string_view text, std::int64_t limit) {
  Parts parts;
  text = strip(text, Side::right);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    std::size_t begin = text.size();
    while (begin > 0) {
      const CodePoint c = last_code_point(text.substr(0, begin));
      if (is_space(c.value)) break;
      begin -= c.bytes;
    }
    parts.push_back(text.substr(begin));
    text = strip(text.substr(0, begin), Side::right);
  }
  return parts;
}

Parts split_at(std::string_view text, std::string_view separator, std::int64_t limit) {
  Parts parts;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t at = find_text(text, separator);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.push_back(text);
  return parts;
}

// The same from the end; the parts come out last first.
Parts split_at_backwards(std::string_view text, std::string_view separator, std::int64_t limit) {
  const std::string mirrored = reversed_bytes(text);
  Parts parts = split_at(mirrored, reversed_bytes(separator), limit);
  for (std::string_view& part : parts) {
    const auto offset = static_cast<std::size_t>(part.data() - mirrored.data());
    part = text.substr(text.size() - offset - part.size(), part.size());
  }
  return parts;
}

Value make_list(Runtime& runtime, const Value& self, const Parts& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    items.push_back(runtime.string(std::string(part), self.string().markup));
  }
  return runtime.list(std::move(items));
}

template <bool backwards>
Value method_split(Runtime& runtime, const Value& self, Args& args) {
  const Parameters given("split", args, {"sep", "maxsplit"});
  const std::int64_t limit = given.integer(1, -1);
  const std::string_view text = self.text();
  runtime.spend_bytes(text.size());
  Parts parts;
  if (!given.given(0) || given[0]->is(Kind::none)) {
    parts = backwards ? split_space_backwards(text, limit) : split_space(text, limit);
  } else {
    const std::string_view separator = require_text(*given[0], "split");
    if (separator.empty()) throw Failure("empty separator");
    spend_search(runtime, text, separator);
    parts =
        backwards ? split_at_backwards(text, separator, limit) : split_at(text, separator, limit);
  }
  if (backwards) std::reverse(parts.begin(), parts.end());
  return make_list(runtime, self, parts);
}

Value method_splitlines(Runtime& runtime, const Value& self, Args& args) {
  const Parameters given("splitlines", args, {"keepends"});
  runtime.spend_bytes(self.text().size());
  return make_list(runtime, self, split_lines(self.text(), given.flag(0)));
}

// `from` empty: puts `to` before each character and at the end.
std::string interleave(Runtime& runtime, std::string_view text, std::string_view to,
                       std::int64_t count) {
  std::string out;
  while (count != 0) {
    runtime.require(out.size() + to.size());
    out += to;
    --count;
    if (text.empty()) return out;
    const std::size_t bytes = first_code_point(text).bytes;
    out += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return out.append(text);
}

}  // namespace

std::string replace_all(Runtime& runtime, std::string_view text, std::string_view from,
                        std::string_view to, std::int64_t count) {
  spend_search(runtime, text, from);
  if (from.empty()) return interleave(runtime, text, to, count);
  std::string out;
  for (; count != 0; --count) {
    const std::size_t at = find_text(text, from);
    if (at == std::string_view::npos) break;
    runtime.require(out.size() + at + to.size());
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0, at = 0; begin < text.size();) {
    std::size_t end = text.size(), next = text.size();
    for (; at < text.size();) {
      const CodePoint c = first_code_point(text.substr(at));
      if (!is_line_break(c.value)) {
        at += c.bytes;
        continue;
      }
      end = at;
      next = at + c.bytes;
      if (c.value == '\r' && next < text.size() && text[next] == '\n') ++next;
      break;
    }
    lines.push_back(text.substr(begin, (keep_ends ? next : end) - begin));
    begin = at = next;
  }
  return lines;
}

Method::Call find_split_method(std::string_view name) {
  if (name == "split") return method_split<false>;
  if (name == "rsplit") return method_split<true>;
  return name == "splitlines" ? method_splitlines : nullptr;
}

}  // namespace rbee::jinja
