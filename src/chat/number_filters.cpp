// Filters that make or change numbers.
#include <cmath>
#include <limits>

#include "chat/builtins.hpp"
#include "chat/interpreter.hpp"
#include "chat/number_text.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

Value filter_abs(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("abs", args, {});
  require_defined(target);
  if (target.is(Kind::real)) return Value(std::fabs(target.real()));
  const std::int64_t value = require_integer(target, "abs");
  if (value >= 0) return Value(value);
  return apply(runtime, Operator::subtract, Value(std::int64_t{0}), Value(value));
}

Value filter_int(Runtime&, const Value& target, Args& args) {
  const Parameters given("int", args, {"default", "base"});
  require_defined(target);
  Value fallback = given.get(0, Value(std::int64_t{0}));
  if (target.is_integral()) return Value(target.integer());
  if (target.is(Kind::real)) {
    // As in Python, int() of an infinity fails but its second try gives the default.
    if (!std::isfinite(target.real())) {
      if (std::isnan(target.real())) return fallback;
      throw Failure("cannot convert float infinity to integer");
    }
    return Value(int_from_float(target.real()));
  }
  if (!target.is_string()) return fallback;
  const std::int64_t base = given.integer(1, 10);
  const bool known_base = base == 0 || (base >= 2 && base <= 36);
  if (known_base) {
    if (const auto value = int_from_text(target.text(), static_cast<int>(base))) {
      return Value(*value);
    }
  }
  const auto value = float_from_text(target.text());
  return value && std::isfinite(*value) ? Value(int_from_float(*value)) : fallback;
}

Value filter_float(Runtime&, const Value& target, Args& args) {
  const Parameters given("float", args, {"default"});
  require_defined(target);
  Value fallback = given.get(0, Value(0.0));
  if (target.is_number()) return Value(target.real());
  if (!target.is_string()) return fallback;
  const auto value = float_from_text(target.text());
  return value ? Value(*value) : fallback;
}

// An integer rounded to a multiple of ten to the power `digits`, half to even.
std::int64_t round_integer(std::int64_t value, std::int64_t digits) {
  if (digits > 18) return 0;
  std::int64_t scale = 1;
  for (std::int64_t i = 0; i < digits; ++i) scale *= 10;
  const std::int64_t rest = value % scale;
  std::int64_t rounded = value - rest;
  const std::int64_t distance = rest < 0 ? -rest : rest;
  const bool odd = (rounded / scale) % 2 != 0;
  if (distance > scale - distance || (distance == scale - distance && odd)) {
    const bool overflow = __builtin_add_overflow(rounded, rest < 0 ? -scale : scale, &rounded);
    if (overflow) fail_integer_range();
  }
  return rounded;
}

Value filter_round(Runtime&, const Value& target, Args& args) {
  const Parameters given("round", args, {"precision", "method"});
  require_defined(target);
  const std::int64_t precision = given.integer(0, 0);
  const std::string_view method = given.text(1, "common");
  if (method != "common" && method != "ceil" && method != "floor") {
    throw Failure("method must be common, ceil or floor");
  }
  if (!target.is_number()) {
    throw Failure("round: a number is wanted, not '" + std::string(type_name(target)) + "'");
  }
  if (method == "common") {
    if (target.is(Kind::real)) return Value(round_float(target.real(), precision));
    if (precision >= 0) return Value(target.integer());
    return Value(round_integer(target.integer(), -precision));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = target.real() * scale;
  if (!std::isfinite(scaled)) throw Failure("round: the number is too large");
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

constexpr FilterEntry kFilters[] = {
    {"abs", filter_abs}, {"int", filter_int}, {"float", filter_float}, {"round", filter_round}};

}  // namespace

std::span<const FilterEntry> number_filters() { return kFilters; }

}  // namespace rbee::jinja
