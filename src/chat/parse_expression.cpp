#include <algorithm>

#include "chat/parser.hpp"

namespace rbee::jinja {
namespace {

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::data:
      return "template data / text";
    case TokenKind::variable_begin:
      return "begin of print statement";
    case TokenKind::variable_end:
      return "end of print statement";
    case TokenKind::block_begin:
      return "begin of statement block";
    case TokenKind::block_end:
      return "end of statement block";
    case TokenKind::string:
      return "string";
    case TokenKind::integer:
      return "integer";
    case TokenKind::real:
      return "float";
    case TokenKind::end:
      return "end of template";
    case TokenKind::name:
    case TokenKind::op:
      break;
  }
  return token.text;
}

}  // namespace

void ExpressionParser::fail(const std::string& message, std::size_t line) {
  throw SyntaxFailure{line, message};
}

const Token& ExpressionParser::take() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::skip_op(std::string_view op) {
  if (!is_op(op)) return false;
  take();
  return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
  if (!is_name(name)) return false;
  take();
  return true;
}

void ExpressionParser::expect_op(std::string_view op) {
  if (!skip_op(op)) {
    fail("expected token '" + std::string(op) + "', got '" + describe(current()) + "'");
  }
}

const Token& ExpressionParser::expect(TokenKind kind, std::string_view what) {
  if (current().kind != kind) {
    fail("expected token '" + std::string(what) + "', got '" + describe(current()) + "'");
  }
  return take();
}

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (parser_.nesting_ >= parser_.max_depth_) {
    parser_.fail("nested deeper than " + std::to_string(parser_.max_depth_) + " levels");
  }
  ++parser_.nesting_;
}

ExprPtr ExpressionParser::finish(ExprPtr node, std::uint32_t child_depth) const {
  node->depth = std::max(node->depth, child_depth + 1);
  if (node->depth > max_depth_) {
    fail("an expression is nested deeper than " + std::to_string(max_depth_) + " levels",
         node->line);
  }
  return node;
}

ExprPtr ExpressionParser::finish(ExprPtr node, std::initializer_list<const Expr*> children) const {
  std::uint32_t deepest = 0;
  for (const Expr* child : children) {
    if (child != nullptr) deepest = std::max(deepest, child->depth);
  }
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_expression(bool with_conditional) {
  const Nesting nesting(*this);
  ExprPtr value = parse_logic(false);
  while (with_conditional && is_name("if")) {
    auto node = std::make_unique<Conditional>(take().line);
    node->then = std::move(value);
    node->condition = parse_logic(false);
    if (skip_name("else")) node->otherwise = parse_expression();
    const std::initializer_list<const Expr*> children = {node->then.get(), node->condition.get(),
                                                         node->otherwise.get()};
    value = finish(std::move(node), children);
  }
  return value;
}

ExprPtr ExpressionParser::parse_logic(bool is_and) {
  const std::size_t line = current().line;
  ExprPtr first = is_and ? parse_not() : parse_logic(true);
  const std::string_view word = is_and ? "and" : "or";
  if (!is_name(word)) return first;
  auto node = std::make_unique<Logic>(line, is_and);
  std::uint32_t deepest = first->depth;
  node->operands.push_back(std::move(first));
  while (skip_name(word)) {
    node->operands.push_back(is_and ? parse_not() : parse_logic(true));
    deepest = std::max(deepest, node->operands.back()->depth);
  }
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  auto node = std::make_unique<Unary>(ExprKind::negation, take().line);
  node->operand = parse_not();
  const Expr* operand = node->operand.get();
  return finish(std::move(node), {operand});
}

bool ExpressionParser::match_compare(Operator& op) {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"==", Operator::equal},  {"!=", Operator::not_equal},  {"<", Operator::less},
      {">", Operator::greater}, {"<=", Operator::less_equal}, {">=", Operator::greater_equal}};
  if (current().kind == TokenKind::op) {
    for (const auto& [text, value] : kOperators) {
      if (skip_op(text)) {
        op = value;
        return true;
      }
    }
    return false;
  }
  const bool negated = is_name("not") && ahead().kind == TokenKind::name && ahead().text == "in";
  if (!negated && !is_name("in")) return false;
  op = negated ? Operator::not_in : Operator::in;
  if (negated) take();
  take();
  return true;
}

ExprPtr ExpressionParser::parse_compare() {
  auto node = std::make_unique<Chain>(ExprKind::compare, current().line);
  node->first = parse_sum();
  std::uint32_t deepest = node->first->depth;
  for (Operator op{}; match_compare(op);) {
    node->rest.push_back({op, parse_sum()});
    deepest = std::max(deepest, node->rest.back().operand->depth);
  }
  if (node->rest.empty()) return std::move(node->first);
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_sum() {
  auto node = std::make_unique<Chain>(ExprKind::arithmetic, current().line);
  node->first = parse_concat();
  std::uint32_t deepest = node->first->depth;
  while (is_op("+") || is_op("-")) {
    const Operator op = take().text == "+" ? Operator::add : Operator::subtract;
    node->rest.push_back({op, parse_concat()});
    deepest = std::max(deepest, node->rest.back().operand->depth);
  }
  if (node->rest.empty()) return std::move(node->first);
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_concat() {
  const std::size_t line = current().line;
  ExprPtr first = parse_product();
  if (!is_op("~")) return first;
  auto node = std::make_unique<jinja::Items>(ExprKind::concat, line);
  std::uint32_t deepest = first->depth;
  node->items.push_back(std::move(first));
  while (skip_op("~")) {
    node->items.push_back(parse_product());
    deepest = std::max(deepest, node->items.back()->depth);
  }
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_product() {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"*", Operator::multiply},
      {"/", Operator::divide},
      {"//", Operator::floor_divide},
      {"%", Operator::modulo}};
  auto node = std::make_unique<Chain>(ExprKind::arithmetic, current().line);
  node->first = parse_power();
  std::uint32_t deepest = node->first->depth;
  while (current().kind == TokenKind::op) {
    const auto* found =
        std::find_if(std::begin(kOperators), std::end(kOperators),
                     [&](const auto& entry) { return entry.first == current().text; });
    if (found == std::end(kOperators)) break;
    take();
    node->rest.push_back({found->second, parse_power()});
    deepest = std::max(deepest, node->rest.back().operand->depth);
  }
  if (node->rest.empty()) return std::move(node->first);
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_power() {
  auto node = std::make_unique<Chain>(ExprKind::arithmetic, current().line);
  node->first = parse_unary();
  std::uint32_t deepest = node->first->depth;
  while (skip_op("**")) {
    node->rest.push_back({Operator::power, parse_unary()});
    deepest = std::max(deepest, node->rest.back().operand->depth);
  }
  if (node->rest.empty()) return std::move(node->first);
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_unary(bool with_filter) {
  ExprPtr node;
  if (is_op("-") || is_op("+")) {
    const Nesting nesting(*this);
    const ExprKind kind = is_op("-") ? ExprKind::negate : ExprKind::plus;
    auto unary = std::make_unique<Unary>(kind, take().line);
    unary->operand = parse_unary(false);
    const Expr* operand = unary->operand.get();
    node = finish(std::move(unary), {operand});
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filter_suffix(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::parse_name_or_constant(bool with_attributes) {
  const Token& token = take();
  const std::string& name = token.text;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    const bool value = name[0] == 't' || name[0] == 'T';
    return std::make_unique<Constant>(token.line, Value(value));
  }
  if (name == "none" || name == "None") {
    return std::make_unique<Constant>(token.line, Value::none());
  }
  if (with_attributes && skip_op(".")) {
    const Token& attribute = expect(TokenKind::name, "name");
    return std::make_unique<AttributeTarget>(token.line, name, attribute.text);
  }
  return std::make_unique<Name>(token.line, name);
}

ExprPtr ExpressionParser::parse_primary(bool with_attributes) {
  const Token& token = current();
  switch (token.kind) {
    case TokenKind::name:
      return parse_name_or_constant(with_attributes);
    case TokenKind::string: {
      std::string text;
      while (current().kind == TokenKind::string) text += take().text;
      return std::make_unique<Constant>(token.line, Value::constant(std::move(text)));
    }
    case TokenKind::integer:
      take();
      return std::make_unique<Constant>(token.line, Value(token.integer));
    case TokenKind::real:
      take();
      return std::make_unique<Constant>(token.line, Value(token.real));
    default:
      break;
  }
  if (is_op("[")) return parse_list();
  if (is_op("{")) return parse_dict();
  if (!is_op("(")) fail("unexpected '" + describe(token) + "'");
  take();
  ExprPtr inside = parse_items(Items::parentheses, true, {});
  expect_op(")");
  return inside;
}

ExprPtr ExpressionParser::parse_tuple(bool with_conditional, std::string_view until) {
  return parse_items(Items::full, with_conditional, until);
}

ExprPtr ExpressionParser::parse_items(Items what, bool with_conditional, std::string_view until) {
  const Nesting nesting(*this);
  auto node = std::make_unique<jinja::Items>(ExprKind::tuple, current().line);
  const bool simple = what == Items::targets || what == Items::targets_with_attributes;
  std::uint32_t deepest = 0;
  bool is_tuple = false;
  while (true) {
    if (!node->items.empty()) expect_op(",");
    if (current().kind == TokenKind::variable_end || current().kind == TokenKind::block_end ||
        is_op(")") || (!until.empty() && is_name(until))) {
      break;
    }
    node->items.push_back(simple ? parse_primary(what == Items::targets_with_attributes)
                                 : parse_expression(with_conditional));
    deepest = std::max(deepest, node->items.back()->depth);
    if (!is_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!node->items.empty()) return std::move(node->items[0]);
    if (what != Items::parentheses) {
      fail("Expected an expression, got '" + describe(current()) + "'");
    }
  }
  return finish(std::move(node), deepest);
}

namespace {

bool can_assign(const Expr& target) {
  if (target.kind == ExprKind::tuple) {
    const auto& items = static_cast<const Items&>(target).items;
    return std::all_of(items.begin(), items.end(), [](const ExprPtr& e) { return can_assign(*e); });
  }
  return target.kind == ExprKind::name || target.kind == ExprKind::attribute_target;
}

}  // namespace

ExprPtr ExpressionParser::parse_target(bool with_attributes, std::string_view until) {
  ExprPtr target =
      parse_items(with_attributes ? Items::targets_with_attributes : Items::targets, true, until);
  if (!can_assign(*target)) fail("can't assign to this expression", target->line);
  return target;
}

std::string ExpressionParser::parse_target_name() {
  const Token& token = expect(TokenKind::name, "name");
  static constexpr std::string_view kConstants[] = {"true",  "True", "false",
                                                    "False", "none", "None"};
  if (std::find(std::begin(kConstants), std::end(kConstants), token.text) != std::end(kConstants)) {
    fail("can't assign to '" + token.text + "'", token.line);
  }
  return token.text;
}

ExprPtr ExpressionParser::parse_list() {
  const Nesting nesting(*this);
  auto node = std::make_unique<jinja::Items>(ExprKind::list, take().line);
  std::uint32_t deepest = 0;
  while (!is_op("]")) {
    if (!node->items.empty()) expect_op(",");
    if (is_op("]")) break;
    node->items.push_back(parse_expression());
    deepest = std::max(deepest, node->items.back()->depth);
  }
  expect_op("]");
  return finish(std::move(node), deepest);
}

ExprPtr ExpressionParser::parse_dict() {
  const Nesting nesting(*this);
  auto node = std::make_unique<DictLiteral>(take().line);
  std::uint32_t deepest = 0;
  while (!is_op("}")) {
    if (!node->items.empty()) expect_op(",");
    if (is_op("}")) break;
    ExprPtr key = parse_expression();
    expect_op(":");
    ExprPtr value = parse_expression();
    deepest = std::max({deepest, key->depth, value->depth});
    node->items.emplace_back(std::move(key), std::move(value));
  }
  expect_op("}");
  return finish(std::move(node), deepest);
}

}  // namespace rbee::jinja
