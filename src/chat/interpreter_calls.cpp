// Loops, macros and calls.
#include <algorithm>

#include "chat/builtins.hpp"
#include "chat/interpreter.hpp"
#include "chat/iterators.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {

const Value& LoopValue::peek(Runtime& runtime) {
  if (!peeked) {
    Value item;
    const bool more = items != nullptr && items->next(runtime, item);
    after = more ? std::move(item) : Value();
    peeked = true;
  }
  return after;
}

bool LoopValue::next(Runtime& runtime) {
  peek(runtime);
  if (after.is(Kind::missing)) return false;
  peeked = false;
  ++index;
  before = std::exchange(current, std::exchange(after, Value()));
  return true;
}

std::size_t LoopValue::length(Runtime& runtime) {
  if (!known_length) {
    std::size_t sized = 0;
    if (node->test || !length_of(iterable, sized)) {
      std::vector<Value> rest;
      for (Value item; items->next(runtime, item);) {
        runtime.require(rest.size() * sizeof(Value));
        rest.push_back(std::move(item));
      }
      sized = rest.size() + index + (peeked && !after.is(Kind::missing) ? 1 : 0);
      items = std::make_shared<ListIterator>(std::move(rest));
    }
    known_length = sized;
  }
  return *known_length;
}

void LoopValue::clear() {
  iterable = after = current = before = Value();
  items.reset();
  frame.reset();
  last_changed.reset();
  known_length = index;
  peeked = true;
}

namespace {

// Clears the loop at the end of its run: a loop may be stored where it refers to itself.
class LoopEnd {
 public:
  explicit LoopEnd(LoopValue& loop) : loop_(loop) {}
  ~LoopEnd() { loop_.clear(); }
  LoopEnd(const LoopEnd&) = delete;
  LoopEnd& operator=(const LoopEnd&) = delete;

 private:
  LoopValue& loop_;
};

}  // namespace

Interpreter::Flow Interpreter::execute_for(const For& node) {
  const auto loop = std::make_shared<LoopValue>();
  loop->node = &node;
  loop->iterable = evaluate(*node.iterable);
  if (!node.recursive) return run_loop(node, loop);
  loop->frame = frame_;
  emit(recurse(*loop, loop->iterable).text());
  return Flow::normal;
}

// The text of a recursive loop over `iterable`, one level deeper than `loop`.
Value Interpreter::recurse(const LoopValue& loop, const Value& iterable) {
  if (!loop.node->recursive || loop.frame == nullptr) {
    throw Failure("The loop must have the 'recursive' marker to be called recursively.");
  }
  const auto inner = std::make_shared<LoopValue>();
  inner->node = loop.node;
  inner->iterable = iterable;
  inner->frame = loop.frame;
  inner->recursion = loop.index == 0 ? 0 : loop.recursion + 1;
  const Activation activation(*this, make_frame(loop.node->slots, loop.frame));
  Capture capture(*this);
  run_loop(*loop.node, inner);
  return capture.take();
}

// The items for which the loop's test holds, tested when they are asked for.
std::shared_ptr<Iterator> Interpreter::filtered(const For& node, const Value& iterable) {
  auto items = iterate(runtime_, iterable);
  if (!node.test) return items;
  // The loop may look ahead from inside a macro, so the test brings its frame along.
  auto next = [this, &node, frame = frame_, items = std::move(items)](Runtime& runtime,
                                                                      Value& out) {
    const Activation activation(*this, frame);
    while (items->next(runtime, out)) {
      enter(node.test_loads);
      assign(*node.test_target, out);
      if (truthy(evaluate(*node.test))) return true;
    }
    return false;
  };
  return std::make_shared<Generator<decltype(next)>>(std::move(next));
}

Interpreter::Flow Interpreter::run_loop(const For& node, const std::shared_ptr<LoopValue>& loop) {
  loop->items = filtered(node, loop->iterable);
  const LoopEnd end(*loop);
  bool empty = true;
  while (true) {
    if (node.uses_loop) {
      if (!loop->next(runtime_)) break;
      frame_->slots[node.loop_slot] = Value(Kind::loop, loop);
    } else if (!loop->items->next(runtime_, loop->current)) {
      break;
    }
    runtime_.spend();
    enter(node.body_loads);
    assign(*node.target, loop->current);
    const Flow flow = execute(node.body);
    if (flow == Flow::leave_loop) break;
    // As in jinja2, where the mark that the loop ran is set at the end of its body.
    if (flow == Flow::normal) empty = false;
  }
  if (!empty || node.otherwise.empty()) return Flow::normal;
  enter(node.else_loads);
  return execute(node.otherwise);
}

Value Interpreter::loop_member(const std::shared_ptr<LoopValue>& loop, std::string_view name,
                               bool& found) {
  found = true;
  const auto number = [](std::size_t n) { return Value(static_cast<std::int64_t>(n)); };
  const auto or_undefined = [this](const Value& item, const char* hint) {
    return item.is(Kind::missing) ? runtime_.undefined(hint) : item;
  };
  if (name == "index") return number(loop->index);
  if (name == "index0") return number(loop->index - 1);
  if (name == "first") return Value(loop->index == 1);
  if (name == "last") return Value(loop->peek(runtime_).is(Kind::missing));
  if (name == "length") return number(loop->length(runtime_));
  if (name == "revindex") return number(loop->length(runtime_) - loop->index + 1);
  if (name == "revindex0") return number(loop->length(runtime_) - loop->index);
  if (name == "depth") return number(loop->recursion + 1);
  if (name == "depth0") return number(loop->recursion);
  if (name == "previtem") return or_undefined(loop->before, "there is no previous item");
  if (name == "nextitem") return or_undefined(loop->peek(runtime_), "there is no next item");
  if (name == "cycle" || name == "changed") {
    return runtime_.method(Value(Kind::loop, loop), name == "cycle" ? "cycle" : "changed", nullptr);
  }
  found = false;
  return {};
}

Value Interpreter::call_loop_method(LoopValue& loop, std::string_view name, Args& args) {
  if (!args.named.empty()) throw Failure(std::string(name) + "() takes no keyword arguments");
  if (name == "cycle") {
    if (args.positional.empty()) throw Failure("no items for cycling given");
    return args.positional[(loop.index - 1) % args.positional.size()];
  }
  const auto same = [this](const Value& a, const Value& b) { return equal(runtime_, a, b); };
  if (loop.last_changed && std::equal(loop.last_changed->begin(), loop.last_changed->end(),
                                      args.positional.begin(), args.positional.end(), same)) {
    return Value(false);
  }
  loop.last_changed = std::move(args.positional);
  return Value(true);
}

Value Interpreter::call(const Value& callee, Args& args) {
  runtime_.spend();
  switch (callee.kind()) {
    case Kind::undefined:
      fail_undefined(callee);
    case Kind::macro:
      return call_macro(callee.as<MacroValue>(), args);
    case Kind::function:
      return callee.as<Function>().call(runtime_, args);
    case Kind::method: {
      const auto& method = callee.as<Method>();
      if (method.self.is(Kind::loop)) {
        return call_loop_method(method.self.as<LoopValue>(), method.name, args);
      }
      return method.call(runtime_, method.self, args);
    }
    case Kind::loop: {
      const Parameters given("loop", args, {"iterable"}, 1);
      return recurse(callee.as<LoopValue>(), *given[0]);
    }
    case Kind::joiner: {
      auto& joiner = callee.as<Joiner>();
      const bool first = !std::exchange(joiner.used, true);
      return runtime_.string(first ? "" : joiner.separator);
    }
    default:
      break;
  }
  throw Failure("'" + std::string(type_name(callee)) + "' object is not callable");
}

std::shared_ptr<Frame> Interpreter::make_frame(std::size_t slots, std::shared_ptr<Frame> outer) {
  auto frame = std::make_shared<Frame>();
  frame->charge = runtime_.charge(sizeof(Frame) + slots * sizeof(Value));
  frame->slots.resize(slots);
  frame->outer = std::move(outer);
  return frame;
}

Value Interpreter::make_macro(const MacroBody& body) {
  auto macro = std::make_shared<MacroValue>();
  macro->charge = runtime_.charge(sizeof(MacroValue));
  macro->body = &body;
  macro->frame = frame_;
  if (!std::exchange(frame_->kept, true)) runtime_.keep(frame_);
  return {Kind::macro, std::move(macro)};
}

Value Interpreter::call_macro(const MacroValue& macro, Args& args) {
  const std::shared_ptr<Frame> frame = make_frame(macro.body->slots, macro.frame);
  bind_parameters(*macro.body, args, *frame);
  const Activation activation(*this, frame);
  enter(macro.body->loads);
  set_defaults(*macro.body, *frame);
  Capture capture(*this);
  execute(macro.body->body);
  return capture.take();
}

void Interpreter::bind_parameters(const MacroBody& body, Args& args, Frame& frame) {
  const std::size_t count = body.parameters.size();
  for (std::size_t i = 0; i < count; ++i) {
    Value& slot = frame.slots[body.parameter_slots[i]];
    if (i < args.positional.size()) {
      slot = args.positional[i];
      continue;
    }
    const auto named = std::find_if(args.named.begin(), args.named.end(), [&](const auto& arg) {
      return arg.first == body.parameters[i];
    });
    if (named == args.named.end()) continue;
    slot = std::move(named->second);
    args.named.erase(named);
  }
  bind_special(body, args, frame);
}

void Interpreter::bind_special(const MacroBody& body, Args& args, Frame& frame) {
  const std::size_t count = body.parameters.size();
  if (body.uses_caller) {
    Value caller = runtime_.undefined("No caller defined");
    const auto named = std::find_if(args.named.begin(), args.named.end(),
                                    [](const auto& arg) { return arg.first == "caller"; });
    if (named != args.named.end()) {
      if (!named->second.is(Kind::none)) caller = std::move(named->second);
      args.named.erase(named);
    }
    frame.slots[body.caller_slot] = std::move(caller);
  }
  if (body.uses_kwargs) {
    std::vector<Entry> entries;
    for (auto& [name, value] : args.named) {
      entries.emplace_back(runtime_.string(name), std::move(value));
    }
    frame.slots[body.kwargs_slot] = runtime_.dict(std::move(entries));
  } else if (!args.named.empty()) {
    throw Failure("macro '" + body.name + "' takes no keyword argument '" + args.named[0].first +
                  "'");
  }
  const bool extra = args.positional.size() > count;
  if (body.uses_varargs) {
    std::vector<Value> rest;
    if (extra) {
      rest.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(count),
                  args.positional.end());
    }
    frame.slots[body.varargs_slot] = runtime_.tuple(std::move(rest));
  } else if (extra) {
    throw Failure("macro '" + body.name + "' takes not more than " + std::to_string(count) +
                  " argument(s)");
  }
}

void Interpreter::set_defaults(const MacroBody& body, Frame& frame) {
  const std::size_t required = body.parameters.size() - body.defaults.size();
  for (std::size_t i = 0; i < body.parameters.size(); ++i) {
    const std::uint32_t slot = body.parameter_slots[i];
    if (!frame.slots[slot].is(Kind::missing)) continue;
    frame.slots[slot] =
        i >= required
            ? evaluate(*body.defaults[i - required])
            : runtime_.undefined("parameter '" + body.parameters[i] + "' was not provided");
  }
}

}  // namespace rbee::jinja
