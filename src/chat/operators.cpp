// Arithmetic, comparisons and slices, as Python does them on the values of a template.
#include <algorithm>
#include <cmath>
#include <limits>

#include "chat/builtins.hpp"
#include "chat/interpreter.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

const char* symbol(Operator op) {
  switch (op) {
    case Operator::add:
      return "+";
    case Operator::subtract:
      return "-";
    case Operator::multiply:
      return "*";
    case Operator::divide:
      return "/";
    case Operator::floor_divide:
      return "//";
    case Operator::modulo:
      return "%";
    case Operator::power:
      return "**";
    default:
      return "<";
  }
}

[[noreturn]] void fail_types(Operator op, const Value& a, const Value& b) {
  throw Failure("unsupported operand type(s) for " + std::string(symbol(op)) + ": '" +
                std::string(type_name(a)) + "' and '" + std::string(type_name(b)) + "'");
}

std::int64_t checked(bool overflow, std::int64_t result) {
  if (overflow) fail_integer_range();
  return result;
}

std::int64_t multiply(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  const bool overflow = __builtin_mul_overflow(a, b, &result);
  return checked(overflow, result);
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == -1) {  // the one quotient that may not fit
    std::int64_t negated = 0;
    const bool overflow = __builtin_sub_overflow(std::int64_t{0}, a, &negated);
    return checked(overflow, negated);
  }
  const std::int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::int64_t floor_modulo(std::int64_t a, std::int64_t b) {
  if (b == -1) return 0;
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double floor_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  return rest == 0 ? std::copysign(0.0, b) : rest;
}

double floor_divide(double a, double b) {
  const double rest = floor_modulo(a, b);
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

Value integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) throw Failure("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0) result = multiply(result, base);
    exponent >>= 1;
    if (exponent > 0) base = multiply(base, base);
  }
  return Value(result);
}

Value integer_arithmetic(Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case Operator::add: {
      const bool overflow = __builtin_add_overflow(a, b, &result);
      return Value(checked(overflow, result));
    }
    case Operator::subtract: {
      const bool overflow = __builtin_sub_overflow(a, b, &result);
      return Value(checked(overflow, result));
    }
    case Operator::multiply:
      return Value(multiply(a, b));
    case Operator::power: {
      // A base of 0, 1 or -1 needs no more than the exponent's last bit.
      const bool small = a >= -1 && a <= 1;
      return integer_power(a, small && b > 2 ? 2 + b % 2 : b);
    }
    default:
      break;
  }
  if (b == 0) throw Failure("division by zero");
  if (op == Operator::divide) return Value(static_cast<double>(a) / static_cast<double>(b));
  return Value(op == Operator::modulo ? floor_modulo(a, b) : floor_divide(a, b));
}

Value real_arithmetic(Operator op, double a, double b) {
  switch (op) {
    case Operator::add:
      return Value(a + b);
    case Operator::subtract:
      return Value(a - b);
    case Operator::multiply:
      return Value(a * b);
    case Operator::power: {
      if (a == 0 && b < 0) throw Failure("0.0 cannot be raised to a negative power");
      if (a < 0 && std::isfinite(b) && b != std::floor(b)) {
        throw Failure("a negative number to a fractional power is complex");
      }
      const double result = std::pow(a, b);
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) {
        throw Failure("the result of ** is too large");
      }
      return Value(result);
    }
    default:
      break;
  }
  if (b == 0) throw Failure("float division by zero");
  if (op == Operator::divide) return Value(a / b);
  return Value(op == Operator::modulo ? floor_modulo(a, b) : floor_divide(a, b));
}

Value add_strings(Runtime& runtime, const Value& a, const Value& b) {
  if (!a.string().markup && !b.string().markup) {
    runtime.require(a.text().size() + b.text().size());
    std::string text;
    text.reserve(a.text().size() + b.text().size());
    text.append(a.text()).append(b.text());
    return runtime.string(std::move(text));
  }
  const Value left = escape(runtime, a), right = escape(runtime, b);
  return runtime.string(std::string(left.text()).append(right.text()), true);
}

Value add_sequences(Runtime& runtime, const Value& a, const Value& b) {
  std::vector<Value> items = a.items();
  runtime.require((items.size() + b.items().size()) * sizeof(Value));
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.is(Kind::list) ? runtime.list(std::move(items)) : runtime.tuple(std::move(items));
}

Value repeat_value(Runtime& runtime, const Value& value, std::int64_t count) {
  if (value.is_string()) {
    return runtime.string(repeat(runtime, value.text(), count), value.string().markup);
  }
  std::vector<Value> items;
  const std::size_t size = value.items().size();
  if (count > 0 && size > 0) {
    const auto times = static_cast<std::size_t>(count);
    if (times > std::numeric_limits<std::size_t>::max() / sizeof(Value) / size) {
      runtime.require(std::numeric_limits<std::size_t>::max());
    }
    runtime.require(times * size * sizeof(Value));
    for (std::size_t i = 0; i < times; ++i) {
      items.insert(items.end(), value.items().begin(), value.items().end());
    }
  }
  return value.is(Kind::list) ? runtime.list(std::move(items)) : runtime.tuple(std::move(items));
}

// A slice's part as Python clips it to a sequence of `length` items.
std::int64_t clip(const Value& part, std::int64_t fallback, std::int64_t length, bool backwards) {
  if (part.is(Kind::none)) return fallback;
  const std::int64_t low = backwards ? -1 : 0;
  const std::int64_t high = backwards ? length - 1 : length;
  std::int64_t at = require_integer(part, "slice indices must be integers or None");
  if (at < 0) at = at < -length ? low : at + length;
  return std::clamp(at, low, high);
}

struct SliceRange {
  std::int64_t start, step;
  std::size_t count;
};

SliceRange slice_range(std::size_t size, const Value& start, const Value& stop, const Value& step) {
  const auto length = static_cast<std::int64_t>(size);
  std::int64_t by =
      step.is(Kind::none) ? 1 : require_integer(step, "slice indices must be integers or None");
  if (by == 0) throw Failure("slice step cannot be zero");
  by = std::max(by, -std::numeric_limits<std::int64_t>::max());
  const bool backwards = by < 0;
  const std::int64_t from = clip(start, backwards ? length - 1 : 0, length, backwards);
  const std::int64_t to = clip(stop, backwards ? -1 : length, length, backwards);
  const std::int64_t distance = backwards ? from - to : to - from;
  const std::int64_t stride = backwards ? -by : by;
  const std::size_t count =
      distance <= 0 ? 0 : static_cast<std::size_t>((distance - 1) / stride + 1);
  return {from, by, count};
}

std::string slice_text(Runtime& runtime, const String& string, const SliceRange& range) {
  runtime.spend_bytes(string.text.size());
  const std::string_view text = string.text;
  const auto start = static_cast<std::size_t>(range.start);
  if (range.step == 1) {
    if (string.ascii()) return std::string(text.substr(std::min(start, text.size()), range.count));
    const std::string_view rest = text.substr(byte_offset(text, start));
    return std::string(rest.substr(0, byte_offset(rest, range.count)));
  }
  std::vector<std::string_view> characters;
  runtime.require(string.length * sizeof(std::string_view));
  for (std::size_t at = 0; at < text.size(); at += characters.back().size()) {
    characters.push_back(text.substr(at, first_code_point(text.substr(at)).bytes));
  }
  std::string out;
  for (std::size_t i = 0; i < range.count; ++i) {
    out += characters[static_cast<std::size_t>(range.start +
                                               static_cast<std::int64_t>(i) * range.step)];
  }
  return out;
}

Value slice_of_range(const Range& source, const SliceRange& range) {
  auto result = std::make_shared<Range>();
  result->start = source.start + range.start * source.step;
  result->step = multiply(source.step, range.step);
  result->length = range.count;
  // Python shows the stop that the slice's own bounds give.
  result->stop = result->start + static_cast<std::int64_t>(range.count) * result->step;
  return {Kind::range, std::move(result)};
}

}  // namespace

std::string repeat(Runtime& runtime, std::string_view text, std::int64_t count) {
  std::string out;
  if (count <= 0 || text.empty()) return out;
  const auto times = static_cast<std::size_t>(count);
  if (times > std::numeric_limits<std::size_t>::max() / text.size()) {
    runtime.require(std::numeric_limits<std::size_t>::max());
  }
  runtime.require(times * text.size());
  out.reserve(times * text.size());
  for (std::size_t i = 0; i < times; ++i) out.append(text);
  return out;
}

Value apply(Runtime& runtime, Operator op, const Value& a, const Value& b) {
  if (op == Operator::modulo && a.is_string()) return format_percent(runtime, a, b);
  require_defined(a);
  require_defined(b);
  if (a.is_integral() && b.is_integral()) return integer_arithmetic(op, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return real_arithmetic(op, a.real(), b.real());
  if (op == Operator::add) {
    if (a.is_string() && b.is_string()) return add_strings(runtime, a, b);
    if (a.is_sequence() && a.kind() == b.kind()) return add_sequences(runtime, a, b);
  } else if (op == Operator::multiply) {
    if (b.is_integral() && (a.is_string() || a.is_sequence())) {
      return repeat_value(runtime, a, b.integer());
    }
    if (a.is_integral() && (b.is_string() || b.is_sequence())) {
      return repeat_value(runtime, b, a.integer());
    }
  }
  fail_types(op, a, b);
}

bool compare(Runtime& runtime, Operator op, const Value& a, const Value& b) {
  const auto is_nan = [](const Value& v) { return v.is(Kind::real) && std::isnan(v.real()); };
  switch (op) {
    case Operator::equal:
      return equal(runtime, a, b);
    case Operator::not_equal:
      return !equal(runtime, a, b);
    case Operator::less:
      return less(runtime, a, b);
    case Operator::greater:
      return less(runtime, b, a);
    case Operator::in:
      return contains(runtime, b, a);
    case Operator::not_in:
      return !contains(runtime, b, a);
    default:
      break;
  }
  if (is_nan(a) || is_nan(b)) return false;
  return op == Operator::less_equal ? !less(runtime, b, a) : !less(runtime, a, b);
}

Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop,
                const Value& step) {
  require_defined(object);
  std::size_t length = 0;
  const bool sliceable = object.is_string() || object.is_sequence() || object.is(Kind::range);
  if (!sliceable || !length_of(object, length)) {
    throw Failure("'" + std::string(type_name(object)) + "' object cannot be sliced");
  }
  const SliceRange range = slice_range(length, start, stop, step);
  if (object.is(Kind::range)) return slice_of_range(object.as<Range>(), range);
  if (object.is_string()) {
    return runtime.string(slice_text(runtime, object.string(), range), object.string().markup);
  }
  std::vector<Value> items;
  items.reserve(range.count);
  for (std::size_t i = 0; i < range.count; ++i) {
    items.push_back(object.items()[static_cast<std::size_t>(
        range.start + static_cast<std::int64_t>(i) * range.step)]);
  }
  return object.is(Kind::list) ? runtime.list(std::move(items)) : runtime.tuple(std::move(items));
}

}  // namespace rbee::jinja
