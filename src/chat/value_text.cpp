// str() and repr() of values.
#include <algorithm>

#include "chat/interpreter.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

class ReprWriter {
 public:
  ReprWriter(Runtime& runtime, std::string& out) : runtime_(runtime), out_(out) {}

  void write(const Value& value) {
    runtime_.spend();
    runtime_.require(out_.size());
    // Containers nest no deeper than max_depth, but a namespace may hold itself.
    if (++depth_ > 2 * runtime_.max_depth()) throw Failure("a value too deeply nested is printed");
    switch (value.kind()) {
      case Kind::missing:
      case Kind::undefined:
        out_ += "Undefined";
        break;
      case Kind::none:
        out_ += "None";
        break;
      case Kind::boolean:
        out_ += value.boolean() ? "True" : "False";
        break;
      case Kind::integer:
        out_ += std::to_string(value.integer());
        break;
      case Kind::real:
        out_ += float_repr(value.real());
        break;
      case Kind::string:
        write_string(value.string());
        break;
      case Kind::list:
        write_items(value.items(), "[", "]");
        break;
      case Kind::tuple:
        write_items(value.items(), "(", value.items().size() == 1 ? ",)" : ")");
        break;
      case Kind::dict:
        write_dict(value.as<Dict>());
        break;
      case Kind::view:
        write_view(value);
        break;
      case Kind::range:
        write_range(value.as<Range>());
        break;
      case Kind::macro:
        out_ += "<Macro ";
        append_string_repr(out_, value.as<MacroValue>().body->name);
        out_ += ">";
        break;
      case Kind::space:
        write_namespace(value.as<Namespace>());
        break;
      default:
        out_.append("<").append(type_name(value)).append(" object>");
    }
    --depth_;
  }

 private:
  void write_string(const String& string) {
    runtime_.spend_bytes(string.text.size());
    if (string.markup) out_ += "Markup(";
    append_string_repr(out_, string.text);
    if (string.markup) out_ += ")";
  }

  void write_items(const std::vector<Value>& items, const char* open, const char* close) {
    out_ += open;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i != 0) out_ += ", ";
      write(items[i]);
    }
    out_ += close;
  }

  void write_dict(const Dict& dict) {
    out_ += "{";
    for (std::size_t i = 0; i < dict.entries.size(); ++i) {
      if (i != 0) out_ += ", ";
      write(dict.entries[i].first);
      out_ += ": ";
      write(dict.entries[i].second);
    }
    out_ += "}";
  }

  void write_view(const Value& value) {
    constexpr const char* kNames[] = {"dict_keys(", "dict_values(", "dict_items("};
    out_ += kNames[static_cast<std::size_t>(value.as<View>().what)];
    write_items(to_vector(runtime_, value), "[", "])");
  }

  void write_range(const Range& range) {
    out_.append("range(").append(std::to_string(range.start)).append(", ");
    out_ += std::to_string(range.stop);
    if (range.step != 1) out_.append(", ").append(std::to_string(range.step));
    out_ += ")";
  }

  void write_namespace(const Namespace& space) {
    out_ += "<Namespace {";
    for (std::size_t i = 0; i < space.attributes.size(); ++i) {
      if (i != 0) out_ += ", ";
      append_string_repr(out_, space.attributes[i].first);
      out_ += ": ";
      write(space.attributes[i].second);
    }
    out_ += "}>";
  }

  Runtime& runtime_;
  std::string& out_;
  std::size_t depth_ = 0;
};

void append_escape(std::string& out, char32_t c) {
  constexpr const char* kHex = "0123456789abcdef";
  const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
  out += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[c >> shift & 0xF];
}

}  // namespace

void append_string_repr(std::string& out, std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (c.value == '\\' || c.value == static_cast<unsigned char>(quote)) {
      out += '\\';
      out += static_cast<char>(c.value);
    } else if ((c.value >= 0x20 && c.value < 0x7F) || is_printable(c.value)) {
      out.append(text.substr(0, c.bytes));
    } else {
      append_escape(out, c.value);
    }
    text.remove_prefix(c.bytes);
  }
  out += quote;
}

void append_repr(Runtime& runtime, std::string& out, const Value& value) {
  ReprWriter(runtime, out).write(value);
}

void append_text(Runtime& runtime, std::string& out, const Value& value) {
  if (value.is_string()) {
    runtime.spend_bytes(value.text().size());
    runtime.require(out.size() + value.text().size());
    out += value.text();
  } else if (!value.is_undefined()) {
    append_repr(runtime, out, value);
  }
}

std::string to_text(Runtime& runtime, const Value& value) {
  std::string out;
  append_text(runtime, out, value);
  return out;
}

std::string to_repr(Runtime& runtime, const Value& value) {
  std::string out;
  append_repr(runtime, out, value);
  return out;
}

}  // namespace rbee::jinja
