// Parser: tokens to a syntax tree, by jinja2's grammar.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/ast.hpp"
#include "chat/lexer.hpp"

namespace rbee::jinja {

// Walks over the tokens and parses expressions.
class ExpressionParser {
 protected:
  ExpressionParser(std::vector<Token> tokens, std::size_t max_depth)
      : tokens_(std::move(tokens)), max_depth_(max_depth) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + (at_ + 1 < tokens_.size() ? 1 : 0)]; }
  const Token& take();
  bool is_op(std::string_view op) const { return is(TokenKind::op, op); }
  bool is_name(std::string_view name) const { return is(TokenKind::name, name); }
  bool is(TokenKind kind, std::string_view text) const {
    return current().kind == kind && current().text == text;
  }
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  void expect_op(std::string_view op);
  const Token& expect(TokenKind kind, std::string_view what);
  [[noreturn]] void fail(const std::string& message) const { fail(message, current().line); }
  [[noreturn]] static void fail(const std::string& message, std::size_t line);

  // Counts the nesting of the source while it lives; fails beyond the limit.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

  ExprPtr parse_expression(bool with_conditional = true);
  // An expression, or several with commas between them as a tuple. until: a name that ends it.
  ExprPtr parse_tuple(bool with_conditional = true, std::string_view until = {});
  ExprPtr parse_target(bool with_attributes, std::string_view until = {});
  ExprPtr parse_filters(ExprPtr target, bool first_is_inline);
  std::string parse_target_name();

 private:
  enum class Items { full, targets, targets_with_attributes, parentheses };
  ExprPtr parse_items(Items what, bool with_conditional, std::string_view until);
  ExprPtr parse_logic(bool is_and);
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filter = true);
  ExprPtr parse_primary(bool with_attributes = false);
  ExprPtr parse_name_or_constant(bool with_attributes);
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_filter_suffix(ExprPtr node);
  ExprPtr parse_attribute(ExprPtr node);
  ExprPtr parse_subscript(ExprPtr node);
  ExprPtr parse_slice(ExprPtr object, ExprPtr start, std::size_t line);
  ExprPtr parse_test(ExprPtr node);
  ExprPtr parse_call(ExprPtr node);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  std::string parse_dotted_name();
  std::uint32_t parse_call_args(CallArgs& args);  // returns the depth of the deepest
  void parse_call_arg(CallArgs& args, std::uint32_t& deepest, std::size_t line);
  bool match_compare(Operator& op);
  ExprPtr finish(ExprPtr node, std::initializer_list<const Expr*> children) const;
  ExprPtr finish(ExprPtr node, std::uint32_t child_depth) const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t max_depth_;
  std::size_t nesting_ = 0;
};

// Throws SyntaxFailure.
Template parse_template(std::string_view source, std::size_t max_depth);

}  // namespace rbee::jinja
