// Interpreter: renders a template once.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "chat/ast.hpp"
#include "chat/runtime.hpp"
#include "chat/value.hpp"

namespace rbee::jinja {

// The variables of one call of a function: the template, a macro, a recursive loop.
struct Frame : Object {
  void clear() override {
    slots.clear();
    outer.reset();
  }

  std::vector<Value> slots;
  std::shared_ptr<Frame> outer;  // of the function around, as it was when this one was made
  bool kept = false;
};

struct MacroValue : Object {
  const MacroBody* body = nullptr;
  std::shared_ptr<Frame> frame;  // where it was defined
};

// The `loop` variable.
struct LoopValue : Object {
  // The next item, looking ahead if need be; missing at the end.
  const Value& peek(Runtime& runtime);
  bool next(Runtime& runtime);  // moves on to the next item
  std::size_t length(Runtime& runtime);
  void clear() override;

  const For* node = nullptr;
  std::shared_ptr<Frame> frame;  // around a recursive loop
  std::size_t recursion = 0;
  Value iterable;
  std::shared_ptr<Iterator> items;
  bool peeked = false;
  Value after, current, before;
  std::size_t index = 0;  // from 1, once started
  std::optional<std::size_t> known_length;
  std::optional<std::vector<Value>> last_changed;
};

class Interpreter {
 public:
  Interpreter(const Template& root, const Json& variables, Runtime& runtime);

  std::string run();

 private:
  enum class Flow { normal, leave_loop, next_item };

  // What a block prints while it lives, apart from the text around it.
  class Capture {
   public:
    explicit Capture(Interpreter& interpreter);
    ~Capture();
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    Value take() { return interpreter_.runtime_.string(std::exchange(text_, {})); }

   private:
    Interpreter& interpreter_;
    std::string text_;
    std::string* outer_;
    std::size_t printed_before_;
  };

  // Counts the nesting of evaluations, which is what uses the stack.
  class Nesting {
   public:
    explicit Nesting(Interpreter& interpreter);
    ~Nesting() { --interpreter_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Interpreter& interpreter_;
  };

  // Makes `frame` the current one while it lives, in a call that is counted.
  class Activation {
   public:
    Activation(Interpreter& interpreter, std::shared_ptr<Frame> frame);
    ~Activation();
    Activation(const Activation&) = delete;
    Activation& operator=(const Activation&) = delete;

   private:
    Interpreter& interpreter_;
    std::shared_ptr<Frame> outer_;
  };

  // Statements.
  Flow execute(const Block& block);
  Flow execute(const Stmt& stmt);
  Flow execute_if(const If& node);
  Flow execute_filter_block(const FilterBlock& node);
  Flow execute_assign_block(const AssignBlock& node);
  Flow execute_with(const With& node);
  void execute_output(const Output& node);
  void execute_macro(const MacroStmt& node);
  void execute_call_block(const CallBlock& node);
  void emit(std::string_view text);
  void enter(const Loads& loads);
  void assign(const Expr& target, const Value& value);
  void check_attribute_targets(const Expr& target);

  // Loops and calls.
  Flow execute_for(const For& node);
  Flow run_loop(const For& node, const std::shared_ptr<LoopValue>& loop);
  std::shared_ptr<Iterator> filtered(const For& node, const Value& iterable);
  Value recurse(const LoopValue& loop, const Value& iterable);
  Value loop_member(const std::shared_ptr<LoopValue>& loop, std::string_view name, bool& found);
  Value call(const Value& callee, Args& args);
  Value call_loop_method(LoopValue& loop, std::string_view name, Args& args);
  Value call_macro(const MacroValue& macro, Args& args);
  void bind_parameters(const MacroBody& body, Args& args, Frame& frame);
  void bind_special(const MacroBody& body, Args& args, Frame& frame);
  void set_defaults(const MacroBody& body, Frame& frame);
  Value make_macro(const MacroBody& body);
  std::shared_ptr<Frame> make_frame(std::size_t slots, std::shared_ptr<Frame> outer);

  // Expressions.
  Value evaluate(const Expr& expr);
  Value evaluate_arithmetic(const Chain& node);
  Value evaluate_compare(const Chain& node);
  Value evaluate_logic(const Logic& node);
  Value evaluate_unary(const Unary& node);
  Value evaluate_conditional(const Conditional& node);
  Value evaluate_concat(const Items& node);
  Value evaluate_dict(const DictLiteral& node);
  Value evaluate_slice(const Slice& node);
  Value evaluate_attribute(const GetAttribute& node);
  Value evaluate_item(const GetItem& node);
  Value evaluate_call(const Call& node, const Value* caller);
  Value evaluate_filter(const Filter& node, const Value* block_text);
  bool evaluate_test(const Test& node);
  Value member(const Value& object, const Value& name, bool attribute_first);
  std::vector<Value> evaluate_all(const std::vector<ExprPtr>& items);
  void evaluate_args(const CallArgs& args, Args& out);
  Value& variable(Slot slot);
  Value context_variable(std::size_t index);

  const Template& root_;
  const Json& variables_;
  Runtime& runtime_;
  std::shared_ptr<Frame> frame_;
  std::string* out_ = nullptr;
  std::vector<Value> context_;  // by Template::context_names, filled as they are read
  std::vector<bool> context_known_;
  std::size_t printed_ = 0;  // bytes of text not yet made a value
  std::size_t nesting_ = 0;
  std::size_t calls_ = 0;
};

// JSON as values; not counted in the runtime's budget. Fails when it nests too deeply or holds an
// integer beyond 64 bits.
Value from_json(Runtime& runtime, const Json& json);
// The member of an object, or missing.
Value json_member(Runtime& runtime, const Json& object, const std::string& name);

// a op b, for the arithmetic operators and comparisons.
Value apply(Runtime& runtime, Operator op, const Value& a, const Value& b);
bool compare(Runtime& runtime, Operator op, const Value& a, const Value& b);

}  // namespace rbee::jinja
