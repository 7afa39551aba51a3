// Statements.
#include "chat/interpreter.hpp"

#include "chat/builtins.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {

Interpreter::Interpreter(const Template& root, const Json& variables, Runtime& runtime)
    : root_(root),
      variables_(variables),
      runtime_(runtime),
      context_(root.context_names.size()),
      context_known_(root.context_names.size()) {}

std::string Interpreter::run() {
  std::string text;
  out_ = &text;
  const Activation activation(*this, make_frame(root_.slots, nullptr));
  enter(root_.loads);
  execute(root_.body);
  return text;
}

Interpreter::Nesting::Nesting(Interpreter& interpreter) : interpreter_(interpreter) {
  // One call of a macro nests a few blocks and expressions.
  constexpr std::size_t kLevelsPerCall = 10;
  if (interpreter_.nesting_ >= kLevelsPerCall * interpreter_.runtime_.max_depth()) {
    throw Failure("blocks, expressions and macro calls are nested too deeply");
  }
  ++interpreter_.nesting_;
}

Interpreter::Activation::Activation(Interpreter& interpreter, std::shared_ptr<Frame> frame)
    : interpreter_(interpreter), outer_(std::exchange(interpreter.frame_, std::move(frame))) {
  if (++interpreter_.calls_ > interpreter_.runtime_.max_depth()) {
    --interpreter_.calls_;
    interpreter_.frame_ = std::move(outer_);
    throw Failure("macro calls are nested too deeply");
  }
}

Interpreter::Activation::~Activation() {
  --interpreter_.calls_;
  interpreter_.frame_ = std::move(outer_);
}

Interpreter::Capture::Capture(Interpreter& interpreter)
    : interpreter_(interpreter),
      outer_(std::exchange(interpreter.out_, &text_)),
      printed_before_(interpreter.printed_) {}

Interpreter::Capture::~Capture() {
  interpreter_.out_ = outer_;
  interpreter_.printed_ = printed_before_;
}

void Interpreter::emit(std::string_view text) {
  runtime_.spend_bytes(text.size());
  runtime_.require(printed_ + text.size());
  printed_ += text.size();
  out_->append(text);
}

void Interpreter::enter(const Loads& loads) {
  for (const Load& load : loads) {
    Value value;
    if (load.what == Load::What::alias) {
      value = variable(load.from);
    } else if (load.what == Load::What::context) {
      value = context_variable(load.context_name);
    }
    frame_->slots[load.slot] = std::move(value);
  }
}

Value Interpreter::context_variable(std::size_t index) {
  if (!context_known_[index]) {
    context_known_[index] = true;
    const std::string& name = root_.context_names[index];
    context_[index] = json_member(runtime_, variables_, name);
    if (context_[index].is(Kind::missing)) context_[index] = find_global(name);
  }
  return context_[index];
}

Value& Interpreter::variable(Slot slot) {
  Frame* frame = frame_.get();
  for (std::uint32_t i = 0; i < slot.hops; ++i) frame = frame->outer.get();
  return frame->slots[slot.index];
}

Interpreter::Flow Interpreter::execute(const Block& block) {
  const Nesting nesting(*this);
  for (const auto& stmt : block) {
    const Flow flow = execute(*stmt);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute(const Stmt& stmt) {
  runtime_.spend();
  runtime_.line = stmt.line;
  switch (stmt.kind) {
    case StmtKind::data:
      emit(static_cast<const Data&>(stmt).text);
      break;
    case StmtKind::output:
      execute_output(static_cast<const Output&>(stmt));
      break;
    case StmtKind::loop:
      return execute_for(static_cast<const For&>(stmt));
    case StmtKind::condition:
      return execute_if(static_cast<const If&>(stmt));
    case StmtKind::assign: {
      const auto& node = static_cast<const Assign&>(stmt);
      check_attribute_targets(*node.target);
      assign(*node.target, evaluate(*node.value));
      break;
    }
    case StmtKind::assign_block:
      return execute_assign_block(static_cast<const AssignBlock&>(stmt));
    case StmtKind::macro:
      execute_macro(static_cast<const MacroStmt&>(stmt));
      break;
    case StmtKind::call_block:
      execute_call_block(static_cast<const CallBlock&>(stmt));
      break;
    case StmtKind::filter_block:
      return execute_filter_block(static_cast<const FilterBlock&>(stmt));
    case StmtKind::with:
      return execute_with(static_cast<const With&>(stmt));
    case StmtKind::generation: {
      Args none;
      const Value body = make_macro(static_cast<const Generation&>(stmt).body);
      emit(call(body, none).text());
      break;
    }
    case StmtKind::break_loop:
      return Flow::leave_loop;
    case StmtKind::continue_loop:
      return Flow::next_item;
  }
  return Flow::normal;
}

void Interpreter::execute_output(const Output& node) {
  for (const ExprPtr& item : node.items) {
    const Value value = evaluate(*item);
    if (value.is_string()) {
      emit(value.text());
    } else {
      emit(to_text(runtime_, value));
    }
  }
}

Interpreter::Flow Interpreter::execute_if(const If& node) {
  for (const auto& [condition, body] : node.branches) {
    if (truthy(evaluate(*condition))) return execute(body);
  }
  return execute(node.otherwise);
}

Interpreter::Flow Interpreter::execute_assign_block(const AssignBlock& node) {
  enter(node.loads);
  Value text;
  {
    Capture capture(*this);
    const Flow flow = execute(node.body);
    if (flow != Flow::normal) return flow;
    text = capture.take();
  }
  if (node.filter) text = evaluate_filter(static_cast<const Filter&>(*node.filter), &text);
  check_attribute_targets(*node.target);
  assign(*node.target, text);
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_filter_block(const FilterBlock& node) {
  enter(node.loads);
  Value text;
  {
    Capture capture(*this);
    const Flow flow = execute(node.body);
    if (flow != Flow::normal) return flow;
    text = capture.take();
  }
  emit(to_text(runtime_, evaluate_filter(static_cast<const Filter&>(*node.filter), &text)));
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_with(const With& node) {
  enter(node.loads);
  for (std::size_t i = 0; i < node.targets.size(); ++i) {
    assign(*node.targets[i], evaluate(*node.values[i]));
  }
  return execute(node.body);
}

void Interpreter::execute_macro(const MacroStmt& node) {
  variable(node.slot) = make_macro(node.macro);
}

void Interpreter::execute_call_block(const CallBlock& node) {
  const Value caller = make_macro(node.caller);
  emit(to_text(runtime_, evaluate_call(static_cast<const Call&>(*node.call), &caller)));
}

void Interpreter::check_attribute_targets(const Expr& target) {
  if (target.kind == ExprKind::attribute_target) {
    if (!variable(static_cast<const AttributeTarget&>(target).slot).is(Kind::space)) {
      throw Failure("cannot assign attribute on non-namespace object");
    }
  } else if (target.kind == ExprKind::tuple) {
    for (const ExprPtr& item : static_cast<const Items&>(target).items) {
      check_attribute_targets(*item);
    }
  }
}

void Interpreter::assign(const Expr& target, const Value& value) {
  if (target.kind == ExprKind::name) {
    variable(static_cast<const Name&>(target).slot) = value;
    return;
  }
  if (target.kind == ExprKind::attribute_target) {
    const auto& node = static_cast<const AttributeTarget&>(target);
    const Value space = variable(node.slot);
    if (!space.is(Kind::space)) throw Failure("cannot assign attribute on non-namespace object");
    set_attribute(runtime_, space.as<Namespace>(), node.attribute, value);
    return;
  }
  const auto& targets = static_cast<const Items&>(target).items;
  const std::vector<Value> values = to_vector(runtime_, value);
  if (values.size() != targets.size()) {
    throw Failure("expected " + std::to_string(targets.size()) + " values to unpack, got " +
                  std::to_string(values.size()));
  }
  for (std::size_t i = 0; i < targets.size(); ++i) assign(*targets[i], values[i]);
}

}  // namespace rbee::jinja
