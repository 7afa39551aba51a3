// Walking over the parts of an expression.
#pragma once
#include "chat/ast.hpp"

namespace rbee::jinja {
namespace detail {

template <class F>
void visit_one(const ExprPtr& child, F& f) {
  if (child) f(*child);
}

template <class F>
void visit_args(const CallArgs& args, F& f) {
  for (const ExprPtr& arg : args.positional) f(*arg);
  for (const auto& named : args.named) f(*named.second);
  visit_one(args.unpacked_list, f);
  visit_one(args.unpacked_dict, f);
}

}  // namespace detail

// Calls f(Expr&) with each direct child of expr, in the order of evaluation.
template <class F>
void for_each_child(const Expr& expr, F f) {
  using detail::visit_args, detail::visit_one;
  switch (expr.kind) {
    case ExprKind::constant:
    case ExprKind::name:
    case ExprKind::attribute_target:
      break;
    case ExprKind::tuple:
    case ExprKind::list:
    case ExprKind::concat:
      for (const ExprPtr& item : static_cast<const Items&>(expr).items) f(*item);
      break;
    case ExprKind::dict:
      for (const auto& [key, value] : static_cast<const DictLiteral&>(expr).items) {
        f(*key);
        f(*value);
      }
      break;
    case ExprKind::arithmetic:
    case ExprKind::compare:
      f(*static_cast<const Chain&>(expr).first);
      for (const Operation& part : static_cast<const Chain&>(expr).rest) f(*part.operand);
      break;
    case ExprKind::logic:
      for (const ExprPtr& part : static_cast<const Logic&>(expr).operands) f(*part);
      break;
    case ExprKind::negate:
    case ExprKind::plus:
    case ExprKind::negation:
      f(*static_cast<const Unary&>(expr).operand);
      break;
    case ExprKind::conditional: {
      const auto& node = static_cast<const Conditional&>(expr);
      f(*node.condition);
      f(*node.then);
      visit_one(node.otherwise, f);
      break;
    }
    case ExprKind::get_attribute:
      f(*static_cast<const GetAttribute&>(expr).object);
      break;
    case ExprKind::get_item:
      f(*static_cast<const GetItem&>(expr).object);
      f(*static_cast<const GetItem&>(expr).index);
      break;
    case ExprKind::slice: {
      const auto& node = static_cast<const Slice&>(expr);
      f(*node.object);
      visit_one(node.start, f);
      visit_one(node.stop, f);
      visit_one(node.step, f);
      break;
    }
    case ExprKind::call:
      f(*static_cast<const Call&>(expr).callee);
      visit_args(static_cast<const Call&>(expr).args, f);
      break;
    case ExprKind::filter:
      visit_one(static_cast<const Filter&>(expr).target, f);
      visit_args(static_cast<const Filter&>(expr).args, f);
      break;
    case ExprKind::test:
      f(*static_cast<const Test&>(expr).target);
      visit_args(static_cast<const Test&>(expr).args, f);
      break;
  }
}

}  // namespace rbee::jinja
