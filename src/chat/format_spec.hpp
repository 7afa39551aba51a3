// Python's format specifications: the part after the colon in "{:>10.2f}", and printf conversions.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "chat/runtime.hpp"
#include "chat/value.hpp"

namespace rbee::jinja {

struct FormatSpec {
  std::string fill = " ";  // one character
  char align = '\0';       // < > = ^, or 0 for the type's default
  char sign = '-';         // + - or space
  bool alternate = false;  // #
  char grouping = '\0';    // , or _
  std::int64_t width = 0;
  std::optional<std::int64_t> precision;
  char type = '\0';
};

// Fails when the text is no specification.
FormatSpec parse_format_spec(std::string_view text);
// The value as the specification says. Fails when it does not fit the value's type.
std::string format_value(Runtime& runtime, const Value& value, const FormatSpec& spec);
// Digits of a non-negative number by type (e, f, g and the like), without sign.
std::string format_float(double value, char type, std::int64_t precision, bool alternate);
std::string format_unsigned(std::uint64_t value, char type);  // d, x, X, o, b
std::string pad(Runtime& runtime, std::string text, const FormatSpec& spec, char default_align,
                std::size_t sign_length);

}  // namespace rbee::jinja
