// The tests of `is`.
#include <algorithm>

#include "chat/builtins.hpp"
#include "chat/interpreter.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

using Predicate = bool (*)(const Value&);

template <Predicate predicate>
bool test_plain(Runtime&, const Value& target, Args& args) {
  const Parameters none("test", args, {});
  return predicate(target);
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is(Kind::none); }
bool is_boolean(const Value& v) { return v.is(Kind::boolean); }
bool is_false(const Value& v) { return v.is(Kind::boolean) && !v.boolean(); }
bool is_true(const Value& v) { return v.is(Kind::boolean) && v.boolean(); }
bool is_integer(const Value& v) { return v.is(Kind::integer); }
bool is_float(const Value& v) { return v.is(Kind::real); }
bool is_number(const Value& v) { return v.is_number(); }
bool is_string(const Value& v) { return v.is_string(); }
bool is_mapping(const Value& v) { return v.is(Kind::dict); }
bool is_escaped(const Value& v) { return v.is_string() && v.string().markup; }

// What has a length and can be subscripted.
bool is_sequence(const Value& v) {
  std::size_t length = 0;
  return !v.is(Kind::view) && length_of(v, length);
}

bool is_callable(const Value& v) {
  switch (v.kind()) {
    case Kind::undefined:
    case Kind::macro:
    case Kind::loop:
    case Kind::function:
    case Kind::method:
    case Kind::joiner:
      return true;
    default:
      return false;
  }
}

// Whether the text has letters with a case, and all of them are of the case `is_right`.
bool all_cased(std::string_view text, bool (*is_right)(char32_t), bool (*is_wrong)(char32_t)) {
  bool any = false;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (is_wrong(c.value) || is_title(c.value)) return false;
    any = any || is_right(c.value);
    text.remove_prefix(c.bytes);
  }
  return any;
}

bool test_lower(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("lower", args, {});
  return all_cased(to_text(runtime, target), is_lower, is_upper);
}
bool test_upper(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("upper", args, {});
  return all_cased(to_text(runtime, target), is_upper, is_lower);
}

bool remainder_is(Runtime& runtime, const Value& target, const Value& by, std::int64_t wanted) {
  return equal(runtime, apply(runtime, Operator::modulo, target, by), Value(wanted));
}
bool test_odd(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("odd", args, {});
  return remainder_is(runtime, target, Value(std::int64_t{2}), 1);
}
bool test_even(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("even", args, {});
  return remainder_is(runtime, target, Value(std::int64_t{2}), 0);
}
bool test_divisible(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("divisibleby", args, {"num"}, 1);
  return remainder_is(runtime, target, *given[0], 0);
}

template <Operator op>
bool test_compare(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("comparison", args, {"other"}, 1);
  return compare(runtime, op, target, *given[0]);
}

bool test_same(Runtime&, const Value& target, Args& args) {
  const Parameters given("sameas", args, {"other"}, 1);
  return identical(target, *given[0]);
}

bool test_filter(Runtime&, const Value& target, Args& args) {
  const Parameters none("filter", args, {});
  return target.is_string() && find_filter(target.text()) != nullptr;
}
bool test_test(Runtime&, const Value& target, Args& args) {
  const Parameters none("test", args, {});
  return target.is_string() && find_test(target.text()) != nullptr;
}

constexpr TestEntry kTests[] = {
    {"defined", test_plain<is_defined>},
    {"undefined", test_plain<is_undefined>},
    {"none", test_plain<is_none>},
    {"boolean", test_plain<is_boolean>},
    {"false", test_plain<is_false>},
    {"true", test_plain<is_true>},
    {"integer", test_plain<is_integer>},
    {"float", test_plain<is_float>},
    {"number", test_plain<is_number>},
    {"string", test_plain<is_string>},
    {"mapping", test_plain<is_mapping>},
    {"sequence", test_plain<is_sequence>},
    {"iterable", test_plain<is_iterable>},
    {"callable", test_plain<is_callable>},
    {"escaped", test_plain<is_escaped>},
    {"lower", test_lower},
    {"upper", test_upper},
    {"odd", test_odd},
    {"even", test_even},
    {"divisibleby", test_divisible},
    {"sameas", test_same},
    {"filter", test_filter},
    {"test", test_test},
    {"in", test_compare<Operator::in>},
    {"==", test_compare<Operator::equal>},
    {"eq", test_compare<Operator::equal>},
    {"equalto", test_compare<Operator::equal>},
    {"!=", test_compare<Operator::not_equal>},
    {"ne", test_compare<Operator::not_equal>},
    {">", test_compare<Operator::greater>},
    {"gt", test_compare<Operator::greater>},
    {"greaterthan", test_compare<Operator::greater>},
    {">=", test_compare<Operator::greater_equal>},
    {"ge", test_compare<Operator::greater_equal>},
    {"<", test_compare<Operator::less>},
    {"lt", test_compare<Operator::less>},
    {"lessthan", test_compare<Operator::less>},
    {"<=", test_compare<Operator::less_equal>},
    {"le", test_compare<Operator::less_equal>},
};

}  // namespace

const TestEntry* find_test(std::string_view name) {
  const auto* it = std::find_if(std::begin(kTests), std::end(kTests),
                                [&](const TestEntry& entry) { return entry.name == name; });
  return it != std::end(kTests) ? it : nullptr;
}

}  // namespace rbee::jinja
