// "..." % args and "...".format(args).
#include <algorithm>
#include <cmath>

#include "chat/builtins.hpp"
#include "chat/format_spec.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

std::string ascii_repr(Runtime& runtime, const Value& value) {
  const std::string text = to_repr(runtime, value);
  std::string out;
  constexpr const char* kHex = "0123456789abcdef";
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    rest.remove_prefix(c.bytes);
    if (c.value < 0x80) {
      out += static_cast<char>(c.value);
      continue;
    }
    const int digits = c.value < 0x100 ? 2 : c.value < 0x10000 ? 4 : 8;
    out += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[c.value >> shift & 0xF];
  }
  return out;
}

class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, const Value& format, const Value& args)
      : runtime_(runtime), markup_(format.string().markup), rest_(format.text()), args_(args) {}

  std::string run() {
    while (!rest_.empty()) {
      const std::size_t plain = std::min(rest_.find('%'), rest_.size());
      out_.append(rest_.substr(0, plain));
      rest_.remove_prefix(plain);
      if (!rest_.empty()) {
        rest_.remove_prefix(1);
        convert();
      }
      runtime_.require(out_.size());
    }
    const bool leftover = args_.is(Kind::tuple)
                              ? used_ < args_.items().size()
                              : used_ == 0 && !args_.is(Kind::dict) && !args_.is(Kind::list);
    if (leftover) throw Failure("not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  char take() {
    if (rest_.empty()) throw Failure("incomplete format");
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  Value next_argument() {
    if (named_.kind() != Kind::missing) return std::exchange(named_, Value());
    if (args_.is(Kind::tuple)) {
      if (used_ >= args_.items().size()) throw Failure("not enough arguments for format string");
      return args_.items()[used_++];
    }
    if (used_++ > 0) throw Failure("not enough arguments for format string");
    return args_;
  }

  void take_name() {
    if (!args_.is(Kind::dict)) throw Failure("format requires a mapping");
    std::size_t end = 0;
    for (std::size_t open = 1; open > 0; ++end) {
      if (end == rest_.size()) throw Failure("incomplete format key");
      open += rest_[end] == '(' ? 1 : 0;
      open -= rest_[end] == ')' ? 1 : 0;
    }
    const std::string_view name = rest_.substr(0, end - 1);
    const Value* value = args_.as<Dict>().find(name);
    if (value == nullptr) throw Failure("KeyError: " + std::string(name));
    named_ = *value;
    used_ = 1;
    rest_.remove_prefix(end);
  }

  std::int64_t take_number() {
    if (!rest_.empty() && rest_[0] == '*') {
      take();
      return require_integer(next_argument(), "* wants int");
    }
    std::size_t digits = 0;
    while (digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9') ++digits;
    const std::string_view text = rest_.substr(0, digits);
    rest_.remove_prefix(digits);
    return text.empty() ? 0 : int_from_text(text, 10).value_or(0);
  }

  void convert() {
    named_ = Value();
    if (!rest_.empty() && rest_[0] == '(') {
      take();
      take_name();
    }
    FormatSpec spec;
    bool zero = false;
    for (; !rest_.empty() && std::string_view("#0- +").find(rest_[0]) != std::string_view::npos;
         take()) {
      const char flag = rest_[0];
      if (flag == '#') spec.alternate = true;
      if (flag == '0') zero = true;
      if (flag == '-') spec.align = '<';
      if (flag == '+') spec.sign = '+';
      if (flag == ' ' && spec.sign != '+') spec.sign = ' ';
    }
    spec.width = take_number();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = spec.width == INT64_MIN ? INT64_MAX : -spec.width;
    }
    if (!rest_.empty() && rest_[0] == '.') {
      take();
      spec.precision = std::max<std::int64_t>(take_number(), 0);
    }
    while (!rest_.empty() && std::string_view("hlL").find(rest_[0]) != std::string_view::npos) {
      take();
    }
    convert_one(spec, zero, take());
  }

  void convert_one(FormatSpec& spec, bool zero, char type) {
    if (type == '%') {
      out_ += '%';
      return;
    }
    if (std::string_view("srac").find(type) != std::string_view::npos) {
      convert_text(spec, type, next_argument());
      return;
    }
    if (zero && spec.align != '<') {
      spec.fill = std::string(1, '0');
      spec.align = '=';
    }
    if (std::string_view("diuxXo").find(type) != std::string_view::npos) {
      convert_integer(spec, type == 'i' || type == 'u' ? 'd' : type, next_argument());
    } else if (std::string_view("eEfFgG").find(type) != std::string_view::npos) {
      const Value value = next_argument();
      require_defined(value);
      if (!value.is_number()) throw Failure("must be real number, not " + type_of(value));
      spec.type = type;
      out_ += format_value(runtime_, Value(value.real()), spec);
    } else {
      throw Failure("unsupported format character '" + std::string(1, type) + "'");
    }
  }

  static std::string type_of(const Value& value) { return std::string(type_name(value)); }

  void convert_text(FormatSpec& spec, char type, const Value& value) {
    std::string text;
    if (type == 'c') {
      if (value.is_string() && value.string().length == 1) {
        text = value.text();
      } else {
        spec.precision.reset();
        const std::int64_t code = require_integer(value, "%c");
        if (code < 0 || code > 0x10FFFF) throw Failure("%c arg not in range(0x110000)");
        append_utf8(text, static_cast<char32_t>(code));
      }
    } else {
      const Value shown = type == 's' ? value
                                      : runtime_.string(type == 'r' ? to_repr(runtime_, value)
                                                                    : ascii_repr(runtime_, value));
      text = markup_ ? std::string(escape(runtime_, shown).text()) : to_text(runtime_, shown);
    }
    if (spec.precision) {
      text.resize(byte_offset(text, static_cast<std::size_t>(*spec.precision)));
    }
    out_ += pad(runtime_, std::move(text), spec, '>', 0);
  }

  void convert_integer(FormatSpec& spec, char type, const Value& value) {
    require_defined(value);
    if (!value.is_number() || (type != 'd' && value.is(Kind::real))) {
      throw Failure("%" + std::string(1, type) + " format: an integer is required, not " +
                    type_of(value));
    }
    const std::int64_t number =
        value.is(Kind::real) ? int_from_float(value.real()) : value.integer();
    const auto magnitude =
        number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
    std::string digits = format_unsigned(magnitude, type);
    if (spec.precision && *spec.precision > static_cast<std::int64_t>(digits.size())) {
      digits.insert(
          0, repeat(runtime_, "0", *spec.precision - static_cast<std::int64_t>(digits.size())));
    }
    std::string prefix = number < 0 ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
    if (spec.alternate && type != 'd') prefix += std::string("0") + type;
    const std::size_t prefix_length = prefix.size();
    out_ += pad(runtime_, std::move(prefix) + digits, spec, '>', prefix_length);
  }

  Runtime& runtime_;
  bool markup_;
  std::string_view rest_;
  const Value& args_;
  std::size_t used_ = 0;
  Value named_;  // the argument of %(name), until it is used
  std::string out_;
};

class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, bool markup, Args& args)
      : runtime_(runtime), markup_(markup), args_(args) {}

  std::string run(std::string_view text, std::size_t levels = 2) {
    std::string out;
    while (!text.empty()) {
      const std::size_t brace = std::min(text.find_first_of("{}"), text.size());
      out.append(text.substr(0, brace));
      text.remove_prefix(brace);
      if (text.empty()) break;
      if (text.size() > 1 && text[1] == text[0]) {
        out += text[0];
        text.remove_prefix(2);
        continue;
      }
      if (text[0] == '}') throw Failure("Single '}' encountered in format string");
      if (levels == 0) throw Failure("Max string recursion exceeded");
      const std::size_t end = field_end(text);
      out += field(text.substr(1, end - 1), levels);
      runtime_.require(out.size());
      text.remove_prefix(end + 1);
    }
    return out;
  }

 private:
  // Place of the brace that closes the one at text[0].
  static std::size_t field_end(std::string_view text) {
    std::size_t open = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '{') ++open;
      if (text[i] == '}' && --open == 0) return i;
    }
    throw Failure(text.size() == 1 ? "Single '{' encountered in format string"
                                   : "expected '}' before end of string");
  }

  std::string field(std::string_view text, std::size_t levels) {
    std::size_t end = 0;
    for (bool subscript = false; end < text.size(); ++end) {
      if (text[end] == '[') subscript = true;
      if (text[end] == ']') subscript = false;
      if (!subscript && (text[end] == ':' || text[end] == '!')) break;
    }
    Value value = lookup(text.substr(0, end));
    text.remove_prefix(end);
    if (!text.empty() && text[0] == '!') {
      if (text.size() < 2 || (text.size() > 2 && text[2] != ':')) {
        throw Failure("expected ':' after conversion specifier");
      }
      value = converted(value, text[1]);
      text.remove_prefix(2);
    }
    const std::string spec = text.empty() ? "" : run(text.substr(1), levels - 1);
    if (spec.empty()) {
      return markup_ ? std::string(escape(runtime_, value).text()) : to_text(runtime_, value);
    }
    std::string shown = format_value(runtime_, value, parse_format_spec(spec));
    if (!markup_) return shown;
    return std::string(escape(runtime_, runtime_.string(std::move(shown))).text());
  }

  Value converted(const Value& value, char conversion) {
    switch (conversion) {
      case 's':
        return runtime_.string(to_text(runtime_, value));
      case 'r':
        return runtime_.string(to_repr(runtime_, value));
      case 'a':
        return runtime_.string(ascii_repr(runtime_, value));
      default:
        throw Failure("Unknown conversion specifier '" + std::string(1, conversion) + "'");
    }
  }

  // The argument that a field name such as "0", "name", "a.b" or "a[0]" means.
  Value lookup(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = argument(name.substr(0, end));
    name.remove_prefix(end);
    while (!name.empty()) {
      const bool subscript = name[0] == '[';
      const std::size_t stop = subscript ? name.find(']') : name.find_first_of(".[", 1);
      if (subscript && stop == std::string_view::npos)
        throw Failure("Missing ']' in format string");
      const std::size_t last = std::min(stop, name.size());
      const std::string part(name.substr(1, last - 1));
      if (part.empty()) throw Failure("Empty attribute in format string");
      const bool number = part.find_first_not_of("0123456789") == std::string::npos;
      if (subscript && number) {
        value = get_item(runtime_, value, Value(int_from_text(part, 10).value_or(0)));
      } else {
        const Value key = Value::constant(part);
        value = subscript ? get_item(runtime_, value, key) : get_attribute(runtime_, value, key);
      }
      name.remove_prefix(subscript ? last + 1 : last);
    }
    return value;
  }

  Value argument(std::string_view name) {
    const bool number = name.find_first_not_of("0123456789") == std::string_view::npos;
    if (!number) {
      const auto it = std::find_if(args_.named.begin(), args_.named.end(),
                                   [&](const auto& arg) { return arg.first == name; });
      if (it == args_.named.end()) throw Failure("KeyError: " + std::string(name));
      return it->second;
    }
    if (name.empty() ? manual_ : automatic_ > 0) {
      throw Failure("cannot switch between manual and automatic field numbering");
    }
    manual_ = manual_ || !name.empty();
    const std::int64_t index = name.empty() ? static_cast<std::int64_t>(automatic_++)
                                            : int_from_text(name, 10).value_or(0);
    if (static_cast<std::size_t>(index) >= args_.positional.size()) {
      throw Failure("Replacement index " + std::to_string(index) +
                    " out of range for positional args tuple");
    }
    return args_.positional[static_cast<std::size_t>(index)];
  }

  Runtime& runtime_;
  bool markup_;
  Args& args_;
  std::size_t automatic_ = 0;  // unnumbered fields so far
  bool manual_ = false;        // a numbered field was seen
};

}  // namespace

Value format_percent(Runtime& runtime, const Value& format, const Value& args) {
  runtime.spend_bytes(format.text().size());
  return runtime.string(PercentFormatter(runtime, format, args).run(), format.string().markup);
}

Value format_braces(Runtime& runtime, const Value& format, Args& args) {
  const bool markup = format.string().markup;
  runtime.spend_bytes(format.text().size());
  return runtime.string(BraceFormatter(runtime, markup, args).run(format.text()), markup);
}

}  // namespace rbee::jinja
