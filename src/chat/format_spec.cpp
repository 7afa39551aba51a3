#include "chat/format_spec.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "chat/builtins.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

constexpr std::int64_t kMaxPrecision = 1000;

bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  if (digits == 0) return std::nullopt;
  const auto value = int_from_text(text.substr(0, digits), 10);
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

std::string group_digits(std::string digits, char separator, std::size_t group) {
  for (std::size_t at = digits.size(); at > group;) {
    at -= group;
    digits.insert(at, 1, separator);
  }
  return digits;
}

[[noreturn]] void fail_code(char type, const Value& value) {
  throw Failure("Unknown format code '" + std::string(1, type) + "' for object of type '" +
                std::string(type_name(value)) + "'");
}

std::string sign_of(bool negative, char sign) {
  if (negative) return "-";
  return sign == '-' ? "" : std::string(1, sign);
}

std::string format_integer(Runtime& runtime, const Value& value, const FormatSpec& spec) {
  const std::int64_t number = value.integer();
  if (spec.precision) throw Failure("Precision not allowed in integer format specifier");
  const char type = spec.type == '\0' || spec.type == 'n' ? 'd' : spec.type;
  if (type == 'c') {
    std::string character;
    if (number < 0 || number > 0x10FFFF) throw Failure("%c arg not in range(0x110000)");
    append_utf8(character, static_cast<char32_t>(number));
    return pad(runtime, std::move(character), spec, '<', 0);
  }
  if (std::string_view("dxXob").find(type) == std::string_view::npos) fail_code(type, value);
  const auto magnitude =
      number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
  std::string digits = format_unsigned(magnitude, type);
  if (spec.grouping != '\0') {
    if (spec.grouping == ',' && type != 'd') throw Failure("Cannot specify ',' with this type.");
    digits = group_digits(std::move(digits), spec.grouping, type == 'd' ? 3 : 4);
  }
  std::string prefix = sign_of(number < 0, spec.sign);
  if (spec.alternate && type != 'd') prefix += std::string("0") + type;
  const std::size_t prefix_length = prefix.size();
  return pad(runtime, std::move(prefix) + digits, spec, '>', prefix_length);
}

std::string format_real(Runtime& runtime, double number, const FormatSpec& spec) {
  const bool negative = std::signbit(number) && !std::isnan(number);
  const double magnitude = std::fabs(number);
  std::string digits;
  if (spec.type == '\0' && !spec.precision) {
    digits = float_repr(magnitude);
  } else if (spec.type == '%') {
    digits = format_float(magnitude * 100, 'f', spec.precision.value_or(6), spec.alternate) + "%";
  } else {
    const char type = spec.type == '\0' || spec.type == 'n' ? 'g' : spec.type;
    digits = format_float(magnitude, type, spec.precision.value_or(6), spec.alternate);
    // A float without a type always shows that it is one.
    const bool plain = digits.find_first_not_of("0123456789") == std::string::npos;
    if (spec.type == '\0' && plain) digits += ".0";
  }
  if (spec.grouping != '\0') {
    const std::size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
    digits = group_digits(digits.substr(0, whole), spec.grouping, 3) + digits.substr(whole);
  }
  std::string sign = sign_of(negative, spec.sign);
  const std::size_t sign_length = sign.size();
  return pad(runtime, std::move(sign) + digits, spec, '>', sign_length);
}

std::string format_text(Runtime& runtime, const Value& value, const FormatSpec& spec) {
  if (spec.type != '\0' && spec.type != 's') fail_code(spec.type, value);
  if (spec.sign != '-') throw Failure("Sign not allowed in string format specifier");
  if (spec.align == '=') throw Failure("'=' alignment not allowed in string format specifier");
  std::string text = to_text(runtime, value);
  if (spec.precision) {
    text.resize(byte_offset(text, static_cast<std::size_t>(*spec.precision)));
  }
  return pad(runtime, std::move(text), spec, '<', 0);
}

}  // namespace

FormatSpec parse_format_spec(std::string_view text) {
  FormatSpec spec;
  if (!text.empty()) {
    const std::size_t first = first_code_point(text).bytes;
    if (first < text.size() && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      text.remove_prefix(first + 1);
    } else if (is_align(text[0])) {
      spec.align = text[0];
      text.remove_prefix(1);
    }
  }
  if (!text.empty() && (text[0] == '+' || text[0] == '-' || text[0] == ' ')) {
    spec.sign = text[0];
    text.remove_prefix(1);
  }
  take(text, 'z');
  spec.alternate = take(text, '#');
  if (take(text, '0') && spec.align == '\0') {
    spec.fill = std::string(1, '0');
    spec.align = '=';
  }
  spec.width = take_number(text).value_or(0);
  if (!text.empty() && (text[0] == ',' || text[0] == '_')) {
    spec.grouping = text[0];
    text.remove_prefix(1);
  }
  if (take(text, '.')) {
    spec.precision = take_number(text);
    if (!spec.precision) throw Failure("Format specifier missing precision");
  }
  if (text.size() == 1) {
    spec.type = text[0];
  } else if (!text.empty()) {
    throw Failure("Invalid format specifier");
  }
  return spec;
}

std::string pad(Runtime& runtime, std::string text, const FormatSpec& spec, char default_align,
                std::size_t sign_length) {
  const auto length = static_cast<std::int64_t>(count_code_points(text));
  if (spec.width <= length) return text;
  const char align = spec.align == '\0' ? default_align : spec.align;
  const std::int64_t padding = spec.width - length;
  if (align == '=') return text.insert(sign_length, repeat(runtime, spec.fill, padding));
  const std::int64_t left = align == '<' ? 0 : align == '>' ? padding : padding / 2;
  return repeat(runtime, spec.fill, left) + text + repeat(runtime, spec.fill, padding - left);
}

std::string format_unsigned(std::uint64_t value, char type) {
  if (type == 'd') return std::to_string(value);
  const unsigned base = type == 'o' ? 8 : type == 'b' ? 2 : 16;
  const char* digits = type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  do {
    out += digits[value % base];
    value /= base;
  } while (value != 0);
  std::reverse(out.begin(), out.end());
  return out;
}

std::string format_float(double value, char type, std::int64_t precision, bool alternate) {
  if (std::string_view("eEfFgG").find(type) == std::string_view::npos) {
    throw Failure("Unknown format code '" + std::string(1, type) + "' for object of type 'float'");
  }
  if (precision > kMaxPrecision) throw Failure("the precision of a number is too large");
  const std::string format = std::string("%") + (alternate ? "#" : "") + ".*" + type;
  std::string out(static_cast<std::size_t>(kMaxPrecision) + 400, '\0');
  const int size =
      std::snprintf(out.data(), out.size(), format.c_str(), static_cast<int>(precision), value);
  out.resize(static_cast<std::size_t>(std::max(size, 0)));
  return out;
}

std::string format_value(Runtime& runtime, const Value& value, const FormatSpec& spec) {
  require_defined(value);
  const bool float_type =
      spec.type != '\0' && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (value.is(Kind::real) || (value.is_integral() && float_type)) {
    return format_real(runtime, value.real(), spec);
  }
  if (value.is_integral()) return format_integer(runtime, value, spec);
  return format_text(runtime, value, spec);
}

}  // namespace rbee::jinja
