// Expressions.
#include "chat/builtins.hpp"
#include "chat/interpreter.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {

Value Interpreter::evaluate(const Expr& expr) {
  const Nesting nesting(*this);
  runtime_.spend();
  switch (expr.kind) {
    case ExprKind::constant:
      return static_cast<const Constant&>(expr).value;
    case ExprKind::name: {
      const auto& node = static_cast<const Name&>(expr);
      const Value& value = variable(node.slot);
      return value.is(Kind::missing) ? runtime_.undefined_variable(node.name) : value;
    }
    case ExprKind::attribute_target:
      break;  // never read
    case ExprKind::tuple:
      return runtime_.tuple(evaluate_all(static_cast<const Items&>(expr).items));
    case ExprKind::list:
      return runtime_.list(evaluate_all(static_cast<const Items&>(expr).items));
    case ExprKind::dict:
      return evaluate_dict(static_cast<const DictLiteral&>(expr));
    case ExprKind::arithmetic:
      return evaluate_arithmetic(static_cast<const Chain&>(expr));
    case ExprKind::logic:
      return evaluate_logic(static_cast<const Logic&>(expr));
    case ExprKind::negate:
    case ExprKind::plus:
    case ExprKind::negation:
      return evaluate_unary(static_cast<const Unary&>(expr));
    case ExprKind::compare:
      return evaluate_compare(static_cast<const Chain&>(expr));
    case ExprKind::concat:
      return evaluate_concat(static_cast<const Items&>(expr));
    case ExprKind::conditional:
      return evaluate_conditional(static_cast<const Conditional&>(expr));
    case ExprKind::get_attribute:
      return evaluate_attribute(static_cast<const GetAttribute&>(expr));
    case ExprKind::get_item:
      return evaluate_item(static_cast<const GetItem&>(expr));
    case ExprKind::slice:
      return evaluate_slice(static_cast<const Slice&>(expr));
    case ExprKind::call:
      return evaluate_call(static_cast<const Call&>(expr), nullptr);
    case ExprKind::filter:
      return evaluate_filter(static_cast<const Filter&>(expr), nullptr);
    case ExprKind::test:
      return Value(evaluate_test(static_cast<const Test&>(expr)));
  }
  return {};
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExprPtr>& items) {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const ExprPtr& item : items) values.push_back(evaluate(*item));
  return values;
}

Value Interpreter::evaluate_dict(const DictLiteral& node) {
  std::vector<Entry> entries;
  entries.reserve(node.items.size());
  for (const auto& [key, value] : node.items) {
    Value k = evaluate(*key);
    entries.emplace_back(std::move(k), evaluate(*value));
  }
  return runtime_.dict(std::move(entries));
}

Value Interpreter::evaluate_arithmetic(const Chain& node) {
  Value value = evaluate(*node.first);
  for (const auto& [op, operand] : node.rest) {
    const Value right = evaluate(*operand);
    runtime_.line = node.line;
    value = apply(runtime_, op, value, right);
  }
  return value;
}

Value Interpreter::evaluate_compare(const Chain& node) {
  Value left = evaluate(*node.first);
  for (const auto& [op, operand] : node.rest) {
    Value right = evaluate(*operand);
    runtime_.line = node.line;
    if (!compare(runtime_, op, left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::evaluate_logic(const Logic& node) {
  Value value;
  for (const ExprPtr& operand : node.operands) {
    value = evaluate(*operand);
    if (truthy(value) != node.is_and) break;
  }
  return value;
}

Value Interpreter::evaluate_unary(const Unary& node) {
  const Value value = evaluate(*node.operand);
  if (node.kind == ExprKind::negation) return Value(!truthy(value));
  require_defined(value);
  if (!value.is_number()) {
    throw Failure("bad operand type for unary " +
                  std::string(node.kind == ExprKind::negate ? "-" : "+") + ": '" +
                  std::string(type_name(value)) + "'");
  }
  if (node.kind == ExprKind::plus) {
    return value.is(Kind::boolean) ? Value(value.integer()) : value;
  }
  if (value.is(Kind::real)) return Value(-value.real());
  return apply(runtime_, Operator::subtract, Value(std::int64_t{0}), value);
}

Value Interpreter::evaluate_conditional(const Conditional& node) {
  if (truthy(evaluate(*node.condition))) return evaluate(*node.then);
  if (node.otherwise) return evaluate(*node.otherwise);
  return runtime_.undefined("the inline if-expression on line " + std::to_string(node.line) +
                            " evaluated to false and no else section was defined.");
}

Value Interpreter::evaluate_concat(const Items& node) {
  std::string text;
  for (const ExprPtr& item : node.items) append_text(runtime_, text, evaluate(*item));
  return runtime_.string(std::move(text));
}

Value Interpreter::evaluate_attribute(const GetAttribute& node) {
  const Value object = evaluate(*node.object);
  runtime_.line = node.line;
  return member(object, node.name, true);
}

Value Interpreter::evaluate_item(const GetItem& node) {
  const Value object = evaluate(*node.object);
  const Value index = evaluate(*node.index);
  runtime_.line = node.line;
  return member(object, index, false);
}

Value Interpreter::member(const Value& object, const Value& name, bool attribute_first) {
  if (object.is(Kind::loop) && name.is_string()) {
    bool found = false;
    Value value =
        loop_member(std::static_pointer_cast<LoopValue>(object.object()), name.text(), found);
    if (found) return value;
  }
  if (object.is(Kind::macro) && name.is_string() && name.text() == "name") {
    return runtime_.string(object.as<MacroValue>().body->name);
  }
  return attribute_first ? get_attribute(runtime_, object, name) : get_item(runtime_, object, name);
}

Value Interpreter::evaluate_slice(const Slice& node) {
  const Value object = evaluate(*node.object);
  const auto part = [this](const ExprPtr& expr) { return expr ? evaluate(*expr) : Value::none(); };
  const Value start = part(node.start), stop = part(node.stop), step = part(node.step);
  runtime_.line = node.line;
  return get_slice(runtime_, object, start, stop, step);
}

void Interpreter::evaluate_args(const CallArgs& args, Args& out) {
  out.positional = evaluate_all(args.positional);
  for (const auto& [name, value] : args.named) out.named.emplace_back(name, evaluate(*value));
  if (args.unpacked_list) {
    for (Value& value : to_vector(runtime_, evaluate(*args.unpacked_list))) {
      out.positional.push_back(std::move(value));
    }
  }
  if (!args.unpacked_dict) return;
  const Value named = evaluate(*args.unpacked_dict);
  if (!named.is(Kind::dict)) throw Failure("argument after ** must be a mapping");
  std::vector<Entry> entries;
  for (const auto& [name, value] : out.named) entries.emplace_back(runtime_.string(name), value);
  for (const auto& [key, value] : named.as<Dict>().entries) {
    if (!key.is_string()) throw Failure("keywords must be strings");
    out.named.emplace_back(key.text(), value);
    entries.emplace_back(key, value);
  }
  const std::size_t given = entries.size();
  const Value unique = runtime_.dict(std::move(entries));
  if (unique.as<Dict>().entries.size() != given) {
    throw Failure("got multiple values for a keyword argument");
  }
}

Value Interpreter::evaluate_call(const Call& node, const Value* caller) {
  const Value callee = evaluate(*node.callee);
  Args args;
  evaluate_args(node.args, args);
  if (caller != nullptr) args.named.emplace_back("caller", *caller);
  runtime_.line = node.line;
  return call(callee, args);
}

Value Interpreter::evaluate_filter(const Filter& node, const Value* block_text) {
  Value target;
  if (node.target) {
    target = node.target->kind == ExprKind::filter
                 ? evaluate_filter(static_cast<const Filter&>(*node.target), block_text)
                 : evaluate(*node.target);
  } else if (block_text != nullptr) {
    target = *block_text;
  }
  Args args;
  evaluate_args(node.args, args);
  runtime_.line = node.line;
  if (node.entry == nullptr) throw Failure("No filter named '" + node.name + "' found.");
  return node.entry->call(runtime_, target, args);
}

bool Interpreter::evaluate_test(const Test& node) {
  const Value target = evaluate(*node.target);
  Args args;
  evaluate_args(node.args, args);
  runtime_.line = node.line;
  if (node.entry == nullptr) throw Failure("No test named '" + node.name + "' found.");
  return node.entry->call(runtime_, target, args);
}

}  // namespace rbee::jinja
