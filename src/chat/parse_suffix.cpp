// What may follow an operand: attributes, subscripts, calls, filters and tests.
#include <algorithm>

#include "chat/parser.hpp"

namespace rbee::jinja {

ExprPtr ExpressionParser::parse_postfix(ExprPtr node) {
  while (true) {
    if (is_op(".")) {
      node = parse_attribute(std::move(node));
    } else if (is_op("[")) {
      node = parse_subscript(std::move(node));
    } else if (is_op("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::parse_filter_suffix(ExprPtr node) {
  while (true) {
    if (is_op("|")) {
      node = parse_filters(std::move(node), false);
    } else if (is_name("is")) {
      node = parse_test(std::move(node));
    } else if (is_op("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::parse_attribute(ExprPtr node) {
  const std::size_t line = take().line;
  const std::uint32_t depth = node->depth;
  const Token& token = take();
  if (token.kind == TokenKind::name) {
    return finish(std::make_unique<GetAttribute>(line, std::move(node), token.text), depth);
  }
  if (token.kind != TokenKind::integer) fail("expected name or number", token.line);
  auto index = std::make_unique<Constant>(token.line, Value(token.integer));
  return finish(std::make_unique<GetItem>(line, std::move(node), std::move(index)), depth);
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr node) {
  const Nesting nesting(*this);
  const std::size_t line = take().line;
  if (is_op(":")) {
    node = parse_slice(std::move(node), nullptr, line);
    expect_op("]");
    return node;
  }
  auto keys = std::make_unique<jinja::Items>(ExprKind::tuple, line);
  std::uint32_t deepest = node->depth;
  while (!is_op("]")) {
    if (!keys->items.empty()) expect_op(",");
    ExprPtr key = parse_expression();
    if (is_op(":") && keys->items.empty()) {
      node = parse_slice(std::move(node), std::move(key), line);
      expect_op("]");
      return node;
    }
    deepest = std::max(deepest, key->depth + 1);
    keys->items.push_back(std::move(key));
  }
  expect_op("]");
  ExprPtr index = keys->items.size() == 1 ? std::move(keys->items[0]) : ExprPtr(std::move(keys));
  return finish(std::make_unique<GetItem>(line, std::move(node), std::move(index)), deepest);
}

// From the first colon on.
ExprPtr ExpressionParser::parse_slice(ExprPtr object, ExprPtr start, std::size_t line) {
  auto node = std::make_unique<Slice>(line);
  node->object = std::move(object);
  node->start = std::move(start);
  expect_op(":");
  if (!is_op(":") && !is_op("]")) node->stop = parse_expression();
  if (skip_op(":") && !is_op("]")) node->step = parse_expression();
  const std::initializer_list<const Expr*> children = {node->object.get(), node->start.get(),
                                                       node->stop.get(), node->step.get()};
  return finish(std::move(node), children);
}

ExprPtr ExpressionParser::parse_call(ExprPtr node) {
  const std::size_t line = current().line;
  std::uint32_t deepest = node->depth;
  auto call = std::make_unique<Call>(line, std::move(node));
  deepest = std::max(deepest, parse_call_args(call->args));
  return finish(std::move(call), deepest);
}

std::uint32_t ExpressionParser::parse_call_args(CallArgs& args) {
  const Nesting nesting(*this);
  const std::size_t line = current().line;
  expect_op("(");
  std::uint32_t deepest = 0;
  for (bool first = true; !is_op(")"); first = false) {
    if (!first) {
      expect_op(",");
      if (is_op(")")) break;
    }
    parse_call_arg(args, deepest, line);
  }
  expect_op(")");
  return deepest;
}

void ExpressionParser::parse_call_arg(CallArgs& args, std::uint32_t& deepest, std::size_t line) {
  const auto ensure = [&](bool valid) {
    if (!valid) fail("invalid syntax for function call expression", line);
  };
  const auto parse = [&] {
    ExprPtr value = parse_expression();
    deepest = std::max(deepest, value->depth);
    return value;
  };
  if (skip_op("*")) {
    ensure(!args.unpacked_list && !args.unpacked_dict);
    args.unpacked_list = parse();
  } else if (skip_op("**")) {
    ensure(!args.unpacked_dict);
    args.unpacked_dict = parse();
  } else if (current().kind == TokenKind::name && ahead().kind == TokenKind::op &&
             ahead().text == "=") {
    ensure(!args.unpacked_dict);
    std::string name = take().text;
    take();
    // Few arguments are named; a search through them costs nothing.
    for (const auto& [other, value] : args.named) {
      if (other == name) fail("keyword argument repeated: " + name, line);
      if (args.named.size() > 255) fail("more than 255 keyword arguments", line);
    }
    args.named.emplace_back(std::move(name), parse());
  } else {
    ensure(!args.unpacked_list && !args.unpacked_dict && args.named.empty());
    args.positional.push_back(parse());
  }
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = expect(TokenKind::name, "name").text;
  while (skip_op(".")) name += "." + expect(TokenKind::name, "name").text;
  return name;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr target, bool first_is_inline) {
  while (first_is_inline || is_op("|")) {
    if (!first_is_inline) take();
    first_is_inline = false;
    const std::size_t line = current().line;
    std::uint32_t deepest = target ? target->depth : 0;
    auto filter = std::make_unique<Filter>(line, std::move(target), parse_dotted_name());
    if (is_op("(")) deepest = std::max(deepest, parse_call_args(filter->args));
    target = finish(std::move(filter), deepest);
  }
  return target;
}

ExprPtr ExpressionParser::parse_test(ExprPtr node) {
  const std::size_t line = take().line;
  const bool negated = skip_name("not");
  std::uint32_t deepest = node->depth;
  auto test = std::make_unique<Test>(line, std::move(node), parse_dotted_name());
  const TokenKind next = current().kind;
  const bool operand = next == TokenKind::name || next == TokenKind::string ||
                       next == TokenKind::integer || next == TokenKind::real || is_op("[") ||
                       is_op("{");
  if (is_op("(")) {
    deepest = std::max(deepest, parse_call_args(test->args));
  } else if (operand && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail("You cannot chain multiple tests with is");
    test->args.positional.push_back(parse_postfix(parse_primary()));
    deepest = std::max(deepest, test->args.positional[0]->depth);
  }
  ExprPtr result = finish(std::move(test), deepest);
  if (!negated) return result;
  auto negation = std::make_unique<Unary>(ExprKind::negation, line);
  deepest = result->depth;
  negation->operand = std::move(result);
  return finish(std::move(negation), deepest);
}

}  // namespace rbee::jinja
