#include "chat/scope.hpp"

#include <functional>
#include <map>
#include <string>

#include "chat/builtins.hpp"
#include "chat/lexer.hpp"
#include "chat/syntax_walk.hpp"

namespace rbee::jinja {
namespace {

// The variables of one frame.
struct FrameLayout {
  std::uint32_t level = 0;  // functions around it
  std::uint32_t slots = 0;
};

struct Variable {
  std::uint32_t slot = 0;
  bool parameter = false;
  bool stored = false;
  bool unset_at_first = false;  // its first mention sets it, in any case
  bool used = false;
};

struct Scope {
  Scope* outer = nullptr;
  FrameLayout* frame = nullptr;
  std::map<std::string, Variable, std::less<>> variables;
};

struct Found {
  Variable* variable = nullptr;
  FrameLayout* frame = nullptr;
};

Found find_variable(Scope* scope, std::string_view name) {
  for (; scope != nullptr; scope = scope->outer) {
    const auto it = scope->variables.find(name);
    if (it != scope->variables.end()) return {&it->second, scope->frame};
  }
  return {};
}

// First walk over a scope: which names it reads and sets itself, without its inner scopes.
class Collector {
 public:
  explicit Collector(Scope& scope) : scope_(scope) {}

  void parameter(const std::string& name) {
    Variable& variable = define(name);
    variable.parameter = variable.stored = true;
  }
  void target_parameters(const Expr& target) {
    if (target.kind == ExprKind::name) {
      parameter(static_cast<const Name&>(target).name);
    } else if (target.kind == ExprKind::tuple) {
      for (const ExprPtr& item : static_cast<const Items&>(target).items) target_parameters(*item);
    }
  }

  void body(const Block& body, bool conditional = false) {
    for (const auto& stmt : body) statement(*stmt, conditional);
  }
  void expression(const Expr* expr) {
    if (expr == nullptr) return;
    if (expr->kind == ExprKind::name) {
      read(static_cast<const Name&>(*expr).name);
    } else {
      for_each_child(*expr, [this](const Expr& child) { expression(&child); });
    }
  }

 private:
  Variable& define(const std::string& name) {
    const auto [it, added] = scope_.variables.try_emplace(name);
    if (added) it->second.slot = scope_.frame->slots++;
    return it->second;
  }

  void read(const std::string& name) {
    if (find_variable(&scope_, name).variable == nullptr) define(name);
  }

  void store(const std::string& name, bool conditional) {
    const bool known = scope_.variables.count(name) != 0;
    Variable& variable = define(name);
    if (!known) variable.unset_at_first = !conditional;
    variable.stored = true;
  }

  void target(const Expr& expr, bool conditional) {
    if (expr.kind == ExprKind::name) {
      store(static_cast<const Name&>(expr).name, conditional);
    } else if (expr.kind == ExprKind::attribute_target) {
      read(static_cast<const AttributeTarget&>(expr).name);
    } else if (expr.kind == ExprKind::tuple) {
      for (const ExprPtr& item : static_cast<const Items&>(expr).items) target(*item, conditional);
    }
  }

  void statement(const Stmt& stmt, bool conditional) {
    switch (stmt.kind) {
      case StmtKind::output:
        for (const ExprPtr& item : static_cast<const Output&>(stmt).items) expression(item.get());
        break;
      case StmtKind::loop:
        expression(static_cast<const For&>(stmt).iterable.get());
        break;
      case StmtKind::condition: {
        const auto& node = static_cast<const If&>(stmt);
        for (const auto& [test, block] : node.branches) {
          expression(test.get());
          body(block, true);
        }
        body(node.otherwise, true);
        break;
      }
      case StmtKind::assign: {
        const auto& node = static_cast<const Assign&>(stmt);
        expression(node.value.get());
        target(*node.target, conditional);
        break;
      }
      case StmtKind::assign_block:
        target(*static_cast<const AssignBlock&>(stmt).target, conditional);
        break;
      case StmtKind::macro:
        store(static_cast<const MacroStmt&>(stmt).macro.name, conditional);
        break;
      case StmtKind::call_block:
        expression(static_cast<const CallBlock&>(stmt).call.get());
        break;
      case StmtKind::filter_block:
        expression(static_cast<const FilterBlock&>(stmt).filter.get());
        break;
      case StmtKind::with:
        for (const ExprPtr& v : static_cast<const With&>(stmt).values) expression(v.get());
        break;
      default:
        break;
    }
  }

  Scope& scope_;
};

// Second walk: gives every name its slot and goes into the inner scopes.
class Resolver {
 public:
  explicit Resolver(Template& root) : root_(root) {}

  void run() {
    FrameLayout frame;
    Scope scope{nullptr, &frame, {}};
    Collector(scope).body(root_.body);
    root_.loads = loads_of(scope);
    block(root_.body, scope, false);
    root_.slots = frame.slots;
  }

 private:
  std::uint32_t context_name(const std::string& name) {
    const auto [it, added] =
        context_.try_emplace(name, static_cast<std::uint32_t>(root_.context_names.size()));
    if (added) root_.context_names.push_back(name);
    return it->second;
  }

  Loads loads_of(Scope& scope) {
    Loads loads;
    for (const auto& [name, variable] : scope.variables) {
      if (variable.parameter) continue;
      Load load;
      load.slot = variable.slot;
      const Found outer = find_variable(scope.outer, name);
      if (variable.stored && outer.variable != nullptr) {
        load.what = Load::What::alias;
        load.from = {scope.frame->level - outer.frame->level, outer.variable->slot};
      } else if (!variable.unset_at_first) {
        load.what = Load::What::context;
        load.context_name = context_name(name);
      }
      loads.push_back(load);
    }
    return loads;
  }

  Slot resolve(const std::string& name, Scope& scope) {
    const Found found = find_variable(&scope, name);
    if (found.variable == nullptr) return {};
    found.variable->used = true;
    return {scope.frame->level - found.frame->level, found.variable->slot};
  }

  // soft: inside a condition, where an unknown filter is an error only when it is reached.
  void expression(Expr* expr, Scope& scope, bool soft) {
    if (expr == nullptr) return;
    switch (expr->kind) {
      case ExprKind::name: {
        auto& node = static_cast<Name&>(*expr);
        node.slot = resolve(node.name, scope);
        return;
      }
      case ExprKind::attribute_target: {
        auto& node = static_cast<AttributeTarget&>(*expr);
        node.slot = resolve(node.name, scope);
        return;
      }
      case ExprKind::filter: {
        auto& node = static_cast<Filter&>(*expr);
        node.entry = find_filter(node.name);
        if (node.entry == nullptr && !soft) fail_unknown("filter", node.name, node.line);
        break;
      }
      case ExprKind::test: {
        auto& node = static_cast<Test&>(*expr);
        node.entry = find_test(node.name);
        if (node.entry == nullptr && !soft) fail_unknown("test", node.name, node.line);
        break;
      }
      case ExprKind::conditional:
        soft = true;
        break;
      default:
        break;
    }
    for_each_child(*expr, [&](Expr& child) { expression(&child, scope, soft); });
  }

  [[noreturn]] static void fail_unknown(const char* what, const std::string& name,
                                        std::size_t line) {
    throw SyntaxFailure{line, std::string("No ") + what + " named '" + name + "'."};
  }

  void block(Block& body, Scope& scope, bool soft) {
    for (const auto& stmt : body) statement(*stmt, scope, soft);
  }

  void statement(Stmt& stmt, Scope& scope, bool soft) {
    switch (stmt.kind) {
      case StmtKind::output:
        for (ExprPtr& item : static_cast<Output&>(stmt).items) expression(item.get(), scope, soft);
        break;
      case StmtKind::loop:
        loop(static_cast<For&>(stmt), scope, soft);
        break;
      case StmtKind::condition: {
        auto& node = static_cast<If&>(stmt);
        for (auto& [test, body] : node.branches) {
          expression(test.get(), scope, true);
          block(body, scope, true);
        }
        block(node.otherwise, scope, true);
        break;
      }
      case StmtKind::assign: {
        auto& node = static_cast<Assign&>(stmt);
        check_loop_target(*node.target, node.line);
        expression(node.value.get(), scope, soft);
        expression(node.target.get(), scope, soft);
        break;
      }
      case StmtKind::assign_block:
        assign_block(static_cast<AssignBlock&>(stmt), scope);
        break;
      case StmtKind::macro: {
        auto& node = static_cast<MacroStmt&>(stmt);
        function(node.macro, scope);
        node.slot = resolve(node.macro.name, scope);
        break;
      }
      case StmtKind::call_block: {
        auto& node = static_cast<CallBlock&>(stmt);
        function(node.caller, scope);
        expression(node.call.get(), scope, soft);
        break;
      }
      case StmtKind::generation:
        function(static_cast<Generation&>(stmt).body, scope);
        break;
      case StmtKind::filter_block: {
        auto& node = static_cast<FilterBlock&>(stmt);
        Scope inner{&scope, scope.frame, {}};
        Collector collector(inner);
        collector.body(node.body);
        collector.expression(node.filter.get());
        node.loads = loads_of(inner);
        block(node.body, inner, false);
        expression(node.filter.get(), inner, false);
        break;
      }
      case StmtKind::with:
        with(static_cast<With&>(stmt), scope, soft);
        break;
      default:
        break;
    }
  }

  void assign_block(AssignBlock& node, Scope& scope) {
    check_loop_target(*node.target, node.line);
    Scope inner{&scope, scope.frame, {}};
    Collector collector(inner);
    collector.body(node.body);
    collector.expression(node.filter.get());
    node.loads = loads_of(inner);
    block(node.body, inner, false);
    expression(node.filter.get(), inner, false);
    expression(node.target.get(), scope, false);
  }

  void with(With& node, Scope& scope, bool soft) {
    for (ExprPtr& value : node.values) expression(value.get(), scope, soft);
    Scope inner{&scope, scope.frame, {}};
    Collector collector(inner);
    for (const ExprPtr& target : node.targets) collector.target_parameters(*target);
    collector.body(node.body);
    node.loads = loads_of(inner);
    for (ExprPtr& target : node.targets) {
      check_loop_target(*target, node.line);
      expression(target.get(), inner, false);
    }
    block(node.body, inner, false);
  }

  // jinja2 refuses to set `loop` anywhere inside a loop.
  void check_loop_target(const Expr& target, std::size_t line) const {
    if (loops_ == 0) return;
    if (target.kind == ExprKind::name && static_cast<const Name&>(target).name == "loop") {
      throw SyntaxFailure{line, "Can't assign to special loop variable in for-loop target"};
    }
    if (target.kind == ExprKind::tuple) {
      for (const ExprPtr& item : static_cast<const Items&>(target).items) {
        check_loop_target(*item, line);
      }
    }
  }

  void loop(For& node, Scope& outer, bool soft) {
    expression(node.iterable.get(), outer, soft);
    ++loops_;
    check_loop_target(*node.target, node.line);
    FrameLayout own{outer.frame->level + 1, 0};
    FrameLayout* frame = node.recursive ? &own : outer.frame;
    if (node.test) {
      node.test_target = copy_target(*node.target);
      Scope scope{&outer, frame, {}};
      Collector collector(scope);
      collector.target_parameters(*node.target);
      collector.expression(node.test.get());
      node.test_loads = loads_of(scope);
      expression(node.test_target.get(), scope, false);
      expression(node.test.get(), scope, false);
    }
    Scope scope{&outer, frame, {}};
    Collector collector(scope);
    collector.parameter("loop");
    collector.target_parameters(*node.target);
    collector.body(node.body);
    node.body_loads = loads_of(scope);
    expression(node.target.get(), scope, false);
    Variable& loop_variable = scope.variables.find("loop")->second;
    loop_variable.used = false;
    block(node.body, scope, false);
    node.uses_loop = loop_variable.used || node.recursive;
    node.loop_slot = loop_variable.slot;

    Scope otherwise{&outer, frame, {}};
    Collector(otherwise).body(node.otherwise);
    node.else_loads = loads_of(otherwise);
    block(node.otherwise, otherwise, false);
    --loops_;
    if (node.recursive) node.slots = own.slots;
  }

  void function(MacroBody& macro, Scope& outer) {
    FrameLayout frame{outer.frame->level + 1, 0};
    Scope scope{&outer, &frame, {}};
    Collector collector(scope);
    for (const std::string& name : macro.parameters) collector.parameter(name);
    for (const char* name : {"caller", "kwargs", "varargs"}) collector.parameter(name);
    for (const ExprPtr& value : macro.defaults) collector.expression(value.get());
    collector.body(macro.body);
    macro.loads = loads_of(scope);
    for (const std::string& name : macro.parameters) {
      macro.parameter_slots.push_back(scope.variables.find(name)->second.slot);
    }
    for (ExprPtr& value : macro.defaults) expression(value.get(), scope, false);
    block(macro.body, scope, false);
    special(scope, macro, "caller", macro.caller_slot, macro.uses_caller);
    special(scope, macro, "kwargs", macro.kwargs_slot, macro.uses_kwargs);
    special(scope, macro, "varargs", macro.varargs_slot, macro.uses_varargs);
    macro.slots = frame.slots;
  }

  // A special variable that is also a declared parameter is just that.
  static void special(const Scope& scope, const MacroBody& macro, const char* name,
                      std::uint32_t& slot, bool& used) {
    const Variable& variable = scope.variables.find(name)->second;
    slot = variable.slot;
    used = variable.used;
    for (const std::string& parameter : macro.parameters) used = used && parameter != name;
  }

  static ExprPtr copy_target(const Expr& target) {
    if (target.kind == ExprKind::name) {
      return std::make_unique<Name>(target.line, static_cast<const Name&>(target).name);
    }
    auto copy = std::make_unique<Items>(ExprKind::tuple, target.line);
    for (const ExprPtr& item : static_cast<const Items&>(target).items) {
      copy->items.push_back(copy_target(*item));
    }
    return copy;
  }

  Template& root_;
  std::map<std::string, std::uint32_t, std::less<>> context_;
  std::size_t loops_ = 0;
};

}  // namespace

void resolve_scopes(Template& root) { Resolver(root).run(); }

}  // namespace rbee::jinja
