// Python's str methods.
#include <algorithm>

#include "chat/builtins.hpp"
#include "chat/text_search.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

// A result that stays marked as safe if the string was.
Value same_kind(Runtime& runtime, const Value& self, std::string text) {
  return runtime.string(std::move(text), self.string().markup);
}

// An argument that becomes part of the string: escaped if the string is marked as safe.
std::string part_of(Runtime& runtime, const Value& self, const Value& argument) {
  require_text(argument, "str method");
  return std::string(self.string().markup ? escape(runtime, argument).text() : argument.text());
}

void refuse_names(const Args& args, std::string_view method) {
  if (!args.named.empty()) {
    throw Failure("str." + std::string(method) + "() takes no keyword arguments");
  }
}

template <std::string (*map)(std::string_view)>
Value method_map(Runtime& runtime, const Value& self, Args& args) {
  const Parameters none("str method", args, {});
  runtime.spend_bytes(self.text().size());
  return same_kind(runtime, self, map(self.text()));
}

template <Side side>
Value method_strip(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "strip");
  const Parameters given("strip", args, {"chars"});
  runtime.spend_bytes(self.text().size());
  const bool whitespace = !given.given(0) || given[0]->is(Kind::none);
  return same_kind(runtime, self,
                   std::string(whitespace ? strip(self.text(), side)
                                          : strip(self.text(), given.text(0, ""), side)));
}

template <bool (*predicate)(char32_t)>
Value method_all(Runtime& runtime, const Value& self, Args& args) {
  const Parameters none("str method", args, {});
  std::string_view rest = self.text();
  runtime.spend_bytes(rest.size());
  if (rest.empty()) return Value(false);
  while (!rest.empty()) {
    const CodePoint c = first_code_point(rest);
    if (!predicate(c.value)) return Value(false);
    rest.remove_prefix(c.bytes);
  }
  return Value(true);
}

bool is_alphanumeric(char32_t c) { return is_alpha(c) || is_digit(c) || is_numeric(c); }

Value method_is_ascii(Runtime&, const Value& self, Args& args) {
  const Parameters none("isascii", args, {});
  return Value(self.string().ascii());
}

Value method_is_case(Runtime& runtime, const Value& self, Args& args, const char* test) {
  return Value(find_test(test)->call(runtime, self, args));
}
Value method_is_lower(Runtime& runtime, const Value& self, Args& args) {
  return method_is_case(runtime, self, args, "lower");
}
Value method_is_upper(Runtime& runtime, const Value& self, Args& args) {
  return method_is_case(runtime, self, args, "upper");
}

Value method_is_title(Runtime&, const Value& self, Args& args) {
  const Parameters none("istitle", args, {});
  bool any = false, inside_word = false;
  for (std::string_view rest = self.text(); !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    rest.remove_prefix(c.bytes);
    const bool opens = is_upper(c.value) || is_title(c.value);
    if ((opens && inside_word) || (is_lower(c.value) && !inside_word)) return Value(false);
    inside_word = opens || is_lower(c.value);
    any = any || inside_word;
  }
  return Value(any);
}

Value method_join(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "join");
  const Parameters given("join", args, {"iterable"}, 1);
  std::string out;
  std::size_t index = 0;
  const auto items = iterate(runtime, *given[0]);
  for (Value item; items->next(runtime, item); ++index) {
    if (!item.is_string() && !self.string().markup) {
      throw Failure("sequence item " + std::to_string(index) + ": expected str instance, " +
                    std::string(type_name(item)) + " found");
    }
    const Value piece = self.string().markup ? escape(runtime, item) : item;
    runtime.require(out.size() + piece.text().size() + self.text().size());
    if (index != 0) out += self.text();
    out += piece.text();
  }
  return same_kind(runtime, self, std::move(out));
}

Value method_replace(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "replace");
  const Parameters given("replace", args, {"old", "new", "count"}, 2);
  return same_kind(runtime, self,
                   replace_all(runtime, self.text(), require_text(*given[0], "replace"),
                               part_of(runtime, self, *given[1]), given.integer(2, -1)));
}

// The part of the string between the optional start and end arguments, at `i` and i + 1. False when
// start lies beyond the end.
bool bounded(const Value& self, const Parameters& given, std::size_t i, std::string_view& part,
             std::size_t& offset) {
  const auto length = static_cast<std::int64_t>(self.string().length);
  const auto bound = [&](std::size_t at, std::int64_t fallback) {
    if (!given.given(at) || given[at]->is(Kind::none)) return fallback;
    const std::int64_t value = given.integer(at, fallback);
    return value < 0 ? std::max<std::int64_t>(value + length, 0) : value;
  };
  const std::int64_t from = bound(i, 0), to = std::min(bound(i + 1, length), length);
  if (from > length || from > to) return false;
  offset = static_cast<std::size_t>(from);
  const std::string_view rest = self.text().substr(byte_offset(self.text(), offset));
  part = rest.substr(0, byte_offset(rest, static_cast<std::size_t>(to - from)));
  return true;
}

template <bool at_end>
Value method_starts_or_ends(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "startswith");
  const Parameters given("startswith", args, {"prefix", "start", "end"}, 1);
  std::string_view text;
  std::size_t offset = 0;
  const bool inside = bounded(self, given, 1, text, offset);
  const auto matches = [&](const Value& part) {
    const std::string_view wanted = require_text(part, "startswith or endswith");
    runtime.spend_bytes(wanted.size());
    if (!inside || wanted.size() > text.size()) return false;
    return text.substr(at_end ? text.size() - wanted.size() : 0, wanted.size()) == wanted;
  };
  if (!given[0]->is(Kind::tuple)) return Value(matches(*given[0]));
  return Value(std::any_of(given[0]->items().begin(), given[0]->items().end(), matches));
}

// Place of the needle in code points, or -1.
std::int64_t find_in(Runtime& runtime, const Value& self, Args& args, bool last) {
  refuse_names(args, "find");
  const Parameters given("find", args, {"sub", "start", "end"}, 1);
  const std::string_view needle = require_text(*given[0], "find");
  spend_search(runtime, self.text(), needle);
  std::string_view text;
  std::size_t offset = 0;
  if (!bounded(self, given, 1, text, offset)) return -1;
  const std::size_t at = last ? find_last_text(text, needle) : find_text(text, needle);
  if (at == std::string_view::npos) return -1;
  return static_cast<std::int64_t>(offset + count_code_points(text.substr(0, at)));
}

template <bool last>
Value method_find(Runtime& runtime, const Value& self, Args& args) {
  return Value(find_in(runtime, self, args, last));
}

template <bool last>
Value method_index(Runtime& runtime, const Value& self, Args& args) {
  const std::int64_t at = find_in(runtime, self, args, last);
  if (at < 0) throw Failure("substring not found");
  return Value(at);
}

Value method_count(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "count");
  const Parameters given("count", args, {"sub", "start", "end"}, 1);
  const std::string_view needle = require_text(*given[0], "count");
  spend_search(runtime, self.text(), needle);
  std::string_view text;
  std::size_t offset = 0;
  if (!bounded(self, given, 1, text, offset)) return Value(std::int64_t{0});
  if (needle.empty()) return Value(static_cast<std::int64_t>(count_code_points(text)) + 1);
  std::int64_t count = 0;
  for (std::size_t at = 0; (at = find_text(text, needle, at)) != std::string_view::npos; ++count) {
    at += needle.size();
  }
  return Value(count);
}

template <bool suffix>
Value method_remove(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "removeprefix");
  const Parameters given("removeprefix or removesuffix", args, {"part"}, 1);
  const std::string_view part = require_text(*given[0], "removeprefix or removesuffix");
  std::string_view text = self.text();
  const std::size_t kept = text.size() - std::min(text.size(), part.size());
  if (suffix && text.substr(kept) == part) text = text.substr(0, kept);
  if (!suffix && text.substr(0, part.size()) == part) text.remove_prefix(part.size());
  return same_kind(runtime, self, std::string(text));
}

enum class Align { left, right, center };

template <Align align>
Value method_justify(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "center");
  const Parameters given("ljust, rjust or center", args, {"width", "fillchar"}, 1);
  const std::int64_t width = given.integer(0, 0);
  const std::string fill = given.given(1) ? part_of(runtime, self, *given[1]) : " ";
  if (count_code_points(fill) != 1) {
    throw Failure("The fill character must be exactly one character long");
  }
  const auto length = static_cast<std::int64_t>(self.string().length);
  if (width <= length) return self;
  const std::int64_t padding = width - length;
  // Python's way to share an odd padding.
  const std::int64_t left = align == Align::left    ? 0
                            : align == Align::right ? padding
                                                    : padding / 2 + (padding & width & 1);
  std::string text = repeat(runtime, fill, left);
  text += self.text();
  text += repeat(runtime, fill, padding - left);
  return same_kind(runtime, self, std::move(text));
}

Value method_zfill(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "zfill");
  const Parameters given("zfill", args, {"width"}, 1);
  const auto length = static_cast<std::int64_t>(self.string().length);
  const std::string zeros =
      repeat(runtime, "0", std::max<std::int64_t>(given.integer(0, 0), length) - length);
  const std::string_view text = self.text();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  return same_kind(
      runtime, self,
      std::string(text.substr(0, sign ? 1 : 0)).append(zeros).append(text.substr(sign ? 1 : 0)));
}

template <bool last>
Value method_partition(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args, "partition");
  const Parameters given("partition", args, {"sep"}, 1);
  const std::string_view separator = require_text(*given[0], "partition");
  if (separator.empty()) throw Failure("empty separator");
  const std::string_view text = self.text();
  spend_search(runtime, text, separator);
  const std::size_t at = last ? find_last_text(text, separator) : find_text(text, separator);
  const auto make = [&](std::string_view part) {
    return same_kind(runtime, self, std::string(part));
  };
  if (at == std::string_view::npos) {
    return last ? runtime.tuple({make(""), make(""), self})
                : runtime.tuple({self, make(""), make("")});
  }
  return runtime.tuple(
      {make(text.substr(0, at)), make(separator), make(text.substr(at + separator.size()))});
}

Value method_format(Runtime& runtime, const Value& self, Args& args) {
  return format_braces(runtime, self, args);
}

Value method_encode(Runtime&, const Value&, Args&) {
  throw Failure("encode() is not supported: templates have no bytes");
}

struct MethodEntry {
  std::string_view name;
  Method::Call call;
};

constexpr MethodEntry kMethods[] = {
    {"upper", method_map<to_upper>},
    {"lower", method_map<to_lower>},
    {"casefold", method_map<to_lower>},
    {"title", method_map<to_title>},
    {"capitalize", method_map<capitalize>},
    {"swapcase", method_map<swap_case>},
    {"strip", method_strip<Side::both>},
    {"lstrip", method_strip<Side::left>},
    {"rstrip", method_strip<Side::right>},
    {"startswith", method_starts_or_ends<false>},
    {"endswith", method_starts_or_ends<true>},
    {"join", method_join},
    {"replace", method_replace},
    {"find", method_find<false>},
    {"rfind", method_find<true>},
    {"index", method_index<false>},
    {"rindex", method_index<true>},
    {"count", method_count},
    {"removeprefix", method_remove<false>},
    {"removesuffix", method_remove<true>},
    {"ljust", method_justify<Align::left>},
    {"rjust", method_justify<Align::right>},
    {"center", method_justify<Align::center>},
    {"zfill", method_zfill},
    {"partition", method_partition<false>},
    {"rpartition", method_partition<true>},
    {"format", method_format},
    {"encode", method_encode},
    {"isdigit", method_all<is_digit>},
    {"isdecimal", method_all<is_decimal>},
    {"isnumeric", method_all<is_numeric>},
    {"isalpha", method_all<is_alpha>},
    {"isalnum", method_all<is_alphanumeric>},
    {"isspace", method_all<is_space>},
    {"isprintable", method_all<is_printable>},
    {"isascii", method_is_ascii},
    {"isupper", method_is_upper},
    {"islower", method_is_lower},
    {"istitle", method_is_title},
};

}  // namespace

Method::Call find_string_method(std::string_view name) {
  const auto* it = std::find_if(std::begin(kMethods), std::end(kMethods),
                                [&](const MethodEntry& entry) { return entry.name == name; });
  return it != std::end(kMethods) ? it->call : find_split_method(name);
}

}  // namespace rbee::jinja
