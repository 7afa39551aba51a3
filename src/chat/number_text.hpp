// Numbers to text and back, as Python's int() and float() and their repr() do it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rbee::jinja {

std::string float_repr(double value);  // the shortest text that reads back as the same number
// value rounded to `precision` digits after the point, exactly as Python's round(): half to even on
// the exact value.
double round_float(double value, std::int64_t precision);

// nullopt when the text is no such number; int_from_text fails beyond 64 bits.
std::optional<std::int64_t> int_from_text(std::string_view text, int base);
std::optional<double> float_from_text(std::string_view text);
// Fails beyond 64 bits, and for infinities and NaN.
std::int64_t int_from_float(double value);

// Fails when the result of an integer operation does not fit 64 bits.
[[noreturn]] void fail_integer_range();

}  // namespace rbee::jinja
