#include "chat/parser.hpp"

#include <algorithm>

#include "chat/scope.hpp"

namespace rbee::jinja {
namespace {

class Parser : private ExpressionParser {
 public:
  Parser(std::string_view source, std::size_t max_depth)
      : ExpressionParser(tokenize(source), max_depth) {}

  Template run() {
    Template result;
    result.body = parse_body({});
    return result;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  // Statements up to a tag that is one of `ends`, whose name is then the current token; or up to
  // the end of the source when there are none.
  Block parse_body(Ends ends) {
    const Nesting nesting(*this);
    Block body;
    while (current().kind != TokenKind::end) {
      const Token& token = take();
      if (token.kind == TokenKind::data) {
        body.push_back(std::make_unique<Data>(token.line, token.text));
      } else if (token.kind == TokenKind::variable_begin) {
        auto output = std::make_unique<Output>(token.line);
        output->items.push_back(parse_tuple());
        expect(TokenKind::variable_end, "end of print statement");
        body.push_back(std::move(output));
      } else {
        if (std::any_of(ends.begin(), ends.end(), [&](auto end) { return is_name(end); })) {
          return body;
        }
        body.push_back(parse_statement(ends));
        expect(TokenKind::block_end, "end of statement block");
      }
    }
    if (ends.size() != 0) {
      fail("Unexpected end of template. Jinja was looking for the tag '" +
           std::string(*ends.begin()) + "'.");
    }
    return body;
  }

  // The body of a block tag, from the end of the tag on.
  Block parse_block(Ends ends) {
    skip_op(":");
    expect(TokenKind::block_end, "end of statement block");
    return parse_body(ends);
  }
  Block parse_whole_block(std::string_view end) {
    Block body = parse_block({end});
    take();
    return body;
  }

  std::unique_ptr<Stmt> parse_statement(Ends ends) {
    const Token& token = current();
    if (token.kind != TokenKind::name) fail("tag name expected");
    const std::string& tag = token.text;
    if (tag == "if") return parse_if();
    if (tag == "for") return parse_for();
    if (tag == "set") return parse_set();
    if (tag == "macro") return parse_macro();
    if (tag == "call") return parse_call_block();
    if (tag == "filter") return parse_filter_block();
    if (tag == "with") return parse_with();
    if (tag == "print") return parse_print();
    if (tag == "generation") return parse_generation();
    if (tag == "break" || tag == "continue") return parse_loop_control();
    static constexpr std::string_view kUnsupported[] = {"include", "import", "from",
                                                        "extends", "block",  "autoescape"};
    if (std::find(std::begin(kUnsupported), std::end(kUnsupported), tag) !=
        std::end(kUnsupported)) {
      fail("the tag '" + tag + "' is not supported in chat templates");
    }
    fail("Encountered unknown tag '" + tag + "'." +
         (ends.size() == 0
              ? ""
              : " Jinja was looking for the tag '" + std::string(*ends.begin()) + "'."));
  }

  std::unique_ptr<Stmt> parse_if() {
    auto node = std::make_unique<If>(current().line);
    do {
      take();
      ExprPtr condition = parse_tuple(false);
      node->branches.emplace_back(std::move(condition), parse_block({"endif", "else", "elif"}));
    } while (is_name("elif"));
    if (take().text == "else") node->otherwise = parse_whole_block("endif");
    return node;
  }

  std::unique_ptr<Stmt> parse_for() {
    auto node = std::make_unique<For>(take().line);
    node->target = parse_target(false, "in");
    if (!skip_name("in")) fail("expected token 'in'");
    node->iterable = parse_tuple(false, "recursive");
    if (skip_name("if")) node->test = parse_expression();
    node->recursive = skip_name("recursive");
    ++loops_;
    node->body = parse_block({"endfor", "else"});
    --loops_;
    if (take().text == "else") node->otherwise = parse_whole_block("endfor");
    return node;
  }

  std::unique_ptr<Stmt> parse_set() {
    const std::size_t line = take().line;
    ExprPtr target = parse_target(true);
    if (skip_op("=")) {
      auto node = std::make_unique<Assign>(line);
      node->target = std::move(target);
      node->value = parse_tuple();
      return node;
    }
    auto node = std::make_unique<AssignBlock>(line);
    node->target = std::move(target);
    node->filter = parse_filters(nullptr, false);
    node->body = parse_whole_block("endset");
    return node;
  }

  void parse_signature(MacroBody& macro) {
    expect_op("(");
    while (!is_op(")")) {
      if (!macro.parameters.empty()) expect_op(",");
      std::string name = parse_target_name();
      if (macro.parameters.size() > 255) fail("more than 255 macro parameters");
      if (std::find(macro.parameters.begin(), macro.parameters.end(), name) !=
          macro.parameters.end()) {
        fail("duplicate argument '" + name + "' in a macro");
      }
      if (skip_op("=")) {
        macro.defaults.push_back(parse_expression());
      } else if (!macro.defaults.empty()) {
        fail("non-default argument follows default argument");
      }
      macro.parameters.push_back(std::move(name));
    }
    expect_op(")");
  }

  // The body of a macro: a loop around the macro is none of its own.
  Block parse_function_body(std::string_view end) {
    const std::size_t loops = std::exchange(loops_, 0);
    Block body = parse_whole_block(end);
    loops_ = loops;
    return body;
  }

  std::unique_ptr<Stmt> parse_macro() {
    auto node = std::make_unique<MacroStmt>(take().line);
    node->macro.name = parse_target_name();
    parse_signature(node->macro);
    node->macro.body = parse_function_body("endmacro");
    return node;
  }

  std::unique_ptr<Stmt> parse_call_block() {
    auto node = std::make_unique<CallBlock>(take().line);
    if (is_op("(")) parse_signature(node->caller);
    node->call = parse_expression();
    if (node->call->kind != ExprKind::call) fail("expected call", node->line);
    node->caller.body = parse_function_body("endcall");
    return node;
  }

  std::unique_ptr<Stmt> parse_generation() {
    auto node = std::make_unique<Generation>(take().line);
    node->body.body = parse_function_body("endgeneration");
    return node;
  }

  std::unique_ptr<Stmt> parse_filter_block() {
    auto node = std::make_unique<FilterBlock>(take().line);
    node->filter = parse_filters(nullptr, true);
    node->body = parse_whole_block("endfilter");
    return node;
  }

  std::unique_ptr<Stmt> parse_with() {
    auto node = std::make_unique<With>(take().line);
    while (current().kind != TokenKind::block_end) {
      if (!node->targets.empty()) expect_op(",");
      node->targets.push_back(parse_target(false));
      expect_op("=");
      node->values.push_back(parse_expression());
    }
    node->body = parse_whole_block("endwith");
    return node;
  }

  std::unique_ptr<Stmt> parse_print() {
    auto node = std::make_unique<Output>(take().line);
    while (current().kind != TokenKind::block_end) {
      if (!node->items.empty()) expect_op(",");
      node->items.push_back(parse_expression());
    }
    return node;
  }

  std::unique_ptr<Stmt> parse_loop_control() {
    const Token& token = take();
    if (loops_ == 0) fail("'" + token.text + "' outside loop", token.line);
    return std::make_unique<Stmt>(
        token.text == "break" ? StmtKind::break_loop : StmtKind::continue_loop, token.line);
  }

  std::size_t loops_ = 0;  // around the current place, in the current function
};

}  // namespace

Template parse_template(std::string_view source, std::size_t max_depth) {
  Template result = Parser(source, max_depth).run();
  resolve_scopes(result);
  return result;
}

}  // namespace rbee::jinja
