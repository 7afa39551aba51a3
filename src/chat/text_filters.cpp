// Filters that change text.
#include <algorithm>

#include "chat/builtins.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

// The value as text; text stays what it is, marked as safe or not.
Value soft_text(Runtime& runtime, const Value& value) {
  return value.is_string() ? value : runtime.string(to_text(runtime, value));
}

// A filter without parameters that maps text to text.
template <std::string (*map)(std::string_view)>
Value map_text(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("filter", args, {});
  const Value text = soft_text(runtime, target);
  runtime.spend_bytes(text.text().size());
  return runtime.string(map(text.text()), text.string().markup);
}

bool begins_word(char32_t c) {
  return c == '-' || is_space(c) || c == '(' || c == '{' || c == '[' || c == '<';
}

// Each run between separators as jinja2 splits words: first letter upper, the rest lower.
std::string title_words(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const bool separator = begins_word(first_code_point(text.substr(at)).value);
    std::size_t end = at;
    while (end < text.size()) {
      const CodePoint c = first_code_point(text.substr(end));
      if (begins_word(c.value) != separator) break;
      end += c.bytes;
    }
    const std::size_t first = first_code_point(text.substr(at)).bytes;
    out += to_upper(text.substr(at, first));
    out += to_lower(text.substr(at + first, end - at - first));
    at = end;
  }
  return out;
}

Value filter_string(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("string", args, {});
  return soft_text(runtime, target);
}

Value filter_trim(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("trim", args, {"chars"});
  const Value text = soft_text(runtime, target);
  runtime.spend_bytes(text.text().size());
  const bool whitespace = !given.given(0) || given[0]->is(Kind::none);
  const std::string_view rest =
      whitespace ? strip(text.text()) : strip(text.text(), given.text(0, ""), Side::both);
  return runtime.string(std::string(rest), text.string().markup);
}

Value filter_replace(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("replace", args, {"old", "new", "count"}, 2);
  const bool all = !given.given(2) || given[2]->is(Kind::none);
  const std::int64_t count = all ? -1 : given.integer(2, -1);
  return runtime.string(replace_all(runtime, to_text(runtime, target), to_text(runtime, *given[0]),
                                    to_text(runtime, *given[1]), count));
}

Value filter_escape(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("escape", args, {});
  return escape(runtime, target);
}

Value filter_force_escape(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("forceescape", args, {});
  return escape(runtime, runtime.string(to_text(runtime, target)));
}

Value filter_safe(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("safe", args, {});
  return runtime.string(to_text(runtime, target), true);
}

std::string unescape_html(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&lt;", "<"},  {"&gt;", ">"},   {"&quot;", "\""},       {"&#34;", "\""},
      {"&#39;", "'"}, {"&apos;", "'"}, {"&nbsp;", "\xC2\xA0"}, {"&amp;", "&"}};
  std::string out;
  while (!text.empty()) {
    const auto* found =
        std::find_if(std::begin(kEntities), std::end(kEntities),
                     [&](const auto& e) { return text.substr(0, e.first.size()) == e.first; });
    const bool entity = found != std::end(kEntities);
    out += entity ? found->second : text.substr(0, 1);
    text.remove_prefix(entity ? found->first.size() : 1);
  }
  return out;
}

Value filter_striptags(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("striptags", args, {});
  const std::string text = to_text(runtime, target);
  std::string plain;
  std::size_t at = 0;
  for (std::size_t tag = 0; (tag = text.find('<', at)) != std::string::npos;) {
    const bool comment = text.compare(tag, 4, "<!--") == 0;
    const std::size_t end = comment ? text.find("-->", tag + 4) : text.find('>', tag);
    if (end == std::string::npos) break;
    plain.append(text, at, tag - at);
    at = end + (comment ? 3 : 1);
  }
  plain.append(text, at);
  std::string words;  // single spaces between words
  for (std::string_view rest = strip(plain); !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    if (is_space(c.value)) {
      words += ' ';
      rest = strip(rest, Side::left);
    } else {
      words.append(rest.substr(0, c.bytes));
      rest.remove_prefix(c.bytes);
    }
  }
  return runtime.string(unescape_html(words));
}

std::string quote_url(std::string_view text, bool for_query) {
  constexpr const char* kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 0x80 && (std::isalnum(byte) != 0 || c == '_' || c == '.' ||
                                       c == '-' || c == '~' || (c == '/' && !for_query));
    if (plain) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    }
  }
  return out;
}

Value filter_urlencode(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("urlencode", args, {});
  if (target.is_string() || !is_iterable(target)) {
    return runtime.string(quote_url(to_text(runtime, target), false));
  }
  std::vector<Value> pairs;
  if (target.is(Kind::dict)) {
    for (const auto& [key, value] : target.as<Dict>().entries) {
      pairs.push_back(runtime.tuple({key, value}));
    }
  } else {
    pairs = to_vector(runtime, target);
  }
  std::string out;
  for (const Value& pair : pairs) {
    const std::vector<Value> parts = to_vector(runtime, pair);
    if (parts.size() != 2) throw Failure("urlencode wants pairs of key and value");
    if (!out.empty()) out += '&';
    out += quote_url(to_text(runtime, parts[0]), true) + "=" +
           quote_url(to_text(runtime, parts[1]), true);
  }
  return runtime.string(std::move(out));
}

Value filter_format(Runtime& runtime, const Value& target, Args& args) {
  if (!args.positional.empty() && !args.named.empty()) {
    throw Failure("can't handle positional and keyword arguments at the same time");
  }
  const Value text = soft_text(runtime, target);
  if (args.named.empty()) return format_percent(runtime, text, runtime.tuple(args.positional));
  std::vector<Entry> entries;
  for (const auto& [name, value] : args.named) entries.emplace_back(runtime.string(name), value);
  return format_percent(runtime, text, runtime.dict(std::move(entries)));
}

Value filter_wordcount(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("wordcount", args, {});
  const Value text = soft_text(runtime, target);
  std::int64_t words = 0;
  bool inside = false;
  for (std::string_view rest = text.text(); !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    const bool word = is_identifier_part(c.value) || is_numeric(c.value);
    if (word && !inside) ++words;
    inside = word;
    rest.remove_prefix(c.bytes);
  }
  runtime.spend_bytes(text.text().size());
  return Value(words);
}

Value filter_xmlattr(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("xmlattr", args, {"autospace"});
  if (!target.is(Kind::dict)) throw Failure("xmlattr wants a mapping");
  std::string out;
  for (const auto& [key, value] : target.as<Dict>().entries) {
    if (value.is(Kind::none) || value.is_undefined()) continue;
    const std::string_view name = require_text(key, "xmlattr");
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      throw Failure("Invalid character in attribute name: " + to_repr(runtime, key));
    }
    if (!out.empty()) out += ' ';
    out.append(escape(runtime, key).text()).append("=\"");
    out.append(escape(runtime, value).text()).append("\"");
  }
  const bool space = !given.given(0) || given.flag(0);
  return runtime.string(space && !out.empty() ? " " + out : out);
}

constexpr FilterEntry kFilters[] = {
    {"trim", filter_trim},
    {"upper", map_text<to_upper>},
    {"lower", map_text<to_lower>},
    {"title", map_text<title_words>},
    {"capitalize", map_text<capitalize>},
    {"replace", filter_replace},
    {"string", filter_string},
    {"tojson", write_json},
    {"safe", filter_safe},
    {"escape", filter_escape},
    {"e", filter_escape},
    {"forceescape", filter_force_escape},
    {"striptags", filter_striptags},
    {"urlencode", filter_urlencode},
    {"format", filter_format},
    {"wordcount", filter_wordcount},
    {"xmlattr", filter_xmlattr},
};

}  // namespace

std::span<const FilterEntry> text_filters() { return kFilters; }

}  // namespace rbee::jinja
