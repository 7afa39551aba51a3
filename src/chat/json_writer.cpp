// The tojson filter: Python's json.dumps.
#include <algorithm>
#include <cmath>
#include <optional>

#include "chat/builtins.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;
  std::string item_separator, key_separator;
};

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, JsonStyle style) : runtime_(runtime), style_(std::move(style)) {}

  std::string run(const Value& value) {
    write(value);
    return std::move(out_);
  }

 private:
  void write(const Value& value) {
    runtime_.spend();
    runtime_.require(out_.size());
    switch (value.kind()) {
      case Kind::none:
        out_ += "null";
        break;
      case Kind::boolean:
        out_ += value.boolean() ? "true" : "false";
        break;
      case Kind::integer:
        out_ += std::to_string(value.integer());
        break;
      case Kind::real:
        out_ += number_text(value.real());
        break;
      case Kind::string:
        write_string(value.text());
        break;
      case Kind::list:
      case Kind::tuple:
        write_list(value.items());
        break;
      case Kind::dict:
        write_dict(value.as<Dict>());
        break;
      default:
        throw Failure("Object of type " + std::string(type_name(value)) +
                      " is not JSON serializable");
    }
  }

  static std::string number_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
  }

  void write_list(const std::vector<Value>& items) {
    open('[', items.empty());
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i);
      write(items[i]);
    }
    close(']', items.empty());
  }

  void write_dict(const Dict& dict) {
    std::vector<const Entry*> entries;
    for (const Entry& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [this](const Entry* a, const Entry* b) {
        return less(runtime_, a->first, b->first);
      });
    }
    open('{', entries.empty());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      separate(i);
      write_key(entries[i]->first);
      out_ += style_.key_separator;
      write(entries[i]->second);
    }
    close('}', entries.empty());
  }

  void write_key(const Value& key) {
    switch (key.kind()) {
      case Kind::string:
        write_string(key.text());
        return;
      case Kind::none:
        out_ += "\"null\"";
        return;
      case Kind::boolean:
        out_ += key.boolean() ? "\"true\"" : "\"false\"";
        return;
      case Kind::integer:
        out_ += '"' + std::to_string(key.integer()) + '"';
        return;
      case Kind::real:
        out_ += '"' + number_text(key.real()) + '"';
        return;
      default:
        throw Failure("keys must be str, int, float, bool or None, not " +
                      std::string(type_name(key)));
    }
  }

  void open(char bracket, bool empty) {
    out_ += bracket;
    if (!empty) ++level_;
  }

  // Before item i: a separator, and a new line if the text is indented.
  void separate(std::size_t i) {
    if (i != 0) out_ += style_.item_separator;
    new_line();
  }

  void close(char bracket, bool empty) {
    if (!empty) {
      --level_;
      new_line();
    }
    out_ += bracket;
  }

  void new_line() {
    if (!style_.indent) return;
    out_ += '\n';
    out_ += repeat(runtime_, *style_.indent, static_cast<std::int64_t>(level_));
  }

  void write_string(std::string_view text) {
    runtime_.spend_bytes(text.size());
    out_ += '"';
    while (!text.empty()) {
      const CodePoint c = first_code_point(text);
      write_character(c.value, text.substr(0, c.bytes));
      text.remove_prefix(c.bytes);
    }
    out_ += '"';
  }

  void write_character(char32_t c, std::string_view bytes) {
    switch (c) {
      case '"':
        out_ += "\\\"";
        return;
      case '\\':
        out_ += "\\\\";
        return;
      case '\n':
        out_ += "\\n";
        return;
      case '\r':
        out_ += "\\r";
        return;
      case '\t':
        out_ += "\\t";
        return;
      case '\b':
        out_ += "\\b";
        return;
      case '\f':
        out_ += "\\f";
        return;
      default:
        break;
    }
    if (c < 0x20 || (style_.ascii && c > 0x7F && c < 0x10000)) {
      write_escape(c);
    } else if (style_.ascii && c >= 0x10000) {
      write_escape(0xD800 + ((c - 0x10000) >> 10));
      write_escape(0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      out_ += bytes;
    }
  }

  void write_escape(char32_t unit) {
    constexpr const char* kHex = "0123456789abcdef";
    out_ += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out_ += kHex[unit >> shift & 0xF];
  }

  Runtime& runtime_;
  JsonStyle style_;
  std::string out_;
  std::size_t level_ = 0;
};

}  // namespace

Value write_json(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = given.flag(0);
  style.sort_keys = given.flag(3);
  if (given.given(1) && !given[1]->is(Kind::none)) {
    style.indent = given[1]->is_string() ? std::string(given[1]->text())
                                         : repeat(runtime, " ", given.integer(1, 0));
  }
  style.item_separator = style.indent ? "," : ", ";
  style.key_separator = ": ";
  if (given.given(2) && !given[2]->is(Kind::none)) {
    const std::vector<Value> separators = to_vector(runtime, *given[2]);
    if (separators.size() != 2) throw Failure("tojson: separators is a pair of strings");
    style.item_separator = require_text(separators[0], "tojson");
    style.key_separator = require_text(separators[1], "tojson");
  }
  return runtime.string(JsonWriter(runtime, std::move(style)).run(target));
}

}  // namespace rbee::jinja
