// The syntax tree of a template, with its variables resolved to slots (see scope.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "chat/value.hpp"

namespace rbee::jinja {

// Where a variable lives: slot `index` of the frame `hops` functions further out.
struct Slot {
  std::uint32_t hops = 0;
  std::uint32_t index = 0;
};

enum class ExprKind : std::uint8_t {
  constant,
  name,
  attribute_target,
  tuple,
  list,
  dict,
  arithmetic,
  logic,
  negate,
  plus,
  negation,  // not
  compare,
  concat,
  conditional,
  get_attribute,
  get_item,
  slice,
  call,
  filter,
  test,
};

enum class Operator : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};

struct Expr {
  Expr(ExprKind k, std::size_t l) : kind(k), line(static_cast<std::uint32_t>(l)) {}
  virtual ~Expr() = default;
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;

  ExprKind kind;
  std::uint32_t line;
  std::uint32_t depth = 1;  // of the tree below, this node included
};
using ExprPtr = std::unique_ptr<Expr>;

struct CallArgs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr unpacked_list, unpacked_dict;  // *list and **dict; null if absent
};

struct Constant : Expr {
  Constant(std::size_t l, Value v) : Expr(ExprKind::constant, l), value(std::move(v)) {}
  Value value;
};

struct Name : Expr {
  Name(std::size_t l, std::string n) : Expr(ExprKind::name, l), name(std::move(n)) {}
  std::string name;
  Slot slot;
};

struct AttributeTarget : Expr {  // space.attribute on the left of a set
  AttributeTarget(std::size_t l, std::string n, std::string a)
      : Expr(ExprKind::attribute_target, l), name(std::move(n)), attribute(std::move(a)) {}
  std::string name, attribute;
  Slot slot;
};

struct Items : Expr {  // tuple, list, concat
  using Expr::Expr;
  std::vector<ExprPtr> items;
};

struct DictLiteral : Expr {
  explicit DictLiteral(std::size_t l) : Expr(ExprKind::dict, l) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};

struct Operation {
  Operator op;
  ExprPtr operand;
};

struct Chain : Expr {  // arithmetic: from left to right; compare: each with its neighbour
  using Expr::Expr;
  ExprPtr first;
  std::vector<Operation> rest;
};

struct Logic : Expr {
  Logic(std::size_t l, bool a) : Expr(ExprKind::logic, l), is_and(a) {}
  bool is_and;
  std::vector<ExprPtr> operands;
};

struct Unary : Expr {  // negate, plus, negation
  using Expr::Expr;
  ExprPtr operand;
};

struct Conditional : Expr {
  explicit Conditional(std::size_t l) : Expr(ExprKind::conditional, l) {}
  ExprPtr condition, then, otherwise;  // otherwise may be null
};

struct GetAttribute : Expr {
  GetAttribute(std::size_t l, ExprPtr o, std::string n)
      : Expr(ExprKind::get_attribute, l),
        object(std::move(o)),
        name(Value::constant(std::move(n))) {}
  ExprPtr object;
  Value name;
};

struct GetItem : Expr {
  GetItem(std::size_t l, ExprPtr o, ExprPtr i)
      : Expr(ExprKind::get_item, l), object(std::move(o)), index(std::move(i)) {}
  ExprPtr object, index;
};

struct Slice : Expr {
  explicit Slice(std::size_t l) : Expr(ExprKind::slice, l) {}
  ExprPtr object, start, stop, step;  // each but object may be null
};

struct Call : Expr {
  Call(std::size_t l, ExprPtr c) : Expr(ExprKind::call, l), callee(std::move(c)) {}
  ExprPtr callee;
  CallArgs args;
};

struct Filter : Expr {
  Filter(std::size_t l, ExprPtr t, std::string n)
      : Expr(ExprKind::filter, l), target(std::move(t)), name(std::move(n)) {}
  ExprPtr target;  // null inside a filter or set block: the block's text
  std::string name;
  CallArgs args;
  const struct FilterEntry* entry = nullptr;  // null: unknown, fails when it is reached
};

struct Test : Expr {
  Test(std::size_t l, ExprPtr t, std::string n)
      : Expr(ExprKind::test, l), target(std::move(t)), name(std::move(n)) {}
  ExprPtr target;
  std::string name;
  CallArgs args;
  const struct TestEntry* entry = nullptr;
};

enum class StmtKind : std::uint8_t {
  data,
  output,
  loop,
  condition,
  assign,
  assign_block,
  macro,
  call_block,
  filter_block,
  with,
  generation,
  break_loop,
  continue_loop,
};

struct Stmt {
  Stmt(StmtKind k, std::size_t l) : kind(k), line(static_cast<std::uint32_t>(l)) {}
  virtual ~Stmt() = default;
  Stmt(const Stmt&) = delete;
  Stmt& operator=(const Stmt&) = delete;

  StmtKind kind;
  std::uint32_t line;
};
using Block = std::vector<std::unique_ptr<Stmt>>;

// What to do with the variables of a scope when it is entered.
struct Load {
  enum class What { context, alias, unset };
  What what = What::unset;
  std::uint32_t slot = 0;          // in the frame of the scope
  Slot from;                       // for alias
  std::uint32_t context_name = 0;  // for context: index into Template::context_names
};
using Loads = std::vector<Load>;

struct Data : Stmt {
  Data(std::size_t l, std::string t) : Stmt(StmtKind::data, l), text(std::move(t)) {}
  std::string text;
};

struct Output : Stmt {
  explicit Output(std::size_t l) : Stmt(StmtKind::output, l) {}
  std::vector<ExprPtr> items;
};

struct For : Stmt {
  explicit For(std::size_t l) : Stmt(StmtKind::loop, l) {}
  ExprPtr target, iterable, test,
      test_target;  // test_target: the target again, in the test's scope
  bool recursive = false;
  bool uses_loop = false;
  std::uint32_t loop_slot = 0;
  Block body, otherwise;
  Loads body_loads, test_loads, else_loads;
  std::uint32_t slots = 0;  // of a recursive loop's own frame
};

struct If : Stmt {
  explicit If(std::size_t l) : Stmt(StmtKind::condition, l) {}
  std::vector<std::pair<ExprPtr, Block>> branches;
  Block otherwise;
};

struct Assign : Stmt {
  explicit Assign(std::size_t l) : Stmt(StmtKind::assign, l) {}
  ExprPtr target, value;
};

struct AssignBlock : Stmt {
  explicit AssignBlock(std::size_t l) : Stmt(StmtKind::assign_block, l) {}
  ExprPtr target, filter;  // filter may be null
  Block body;
  Loads loads;
};

struct MacroBody {   // of a macro, a call block or a generation block
  std::string name;  // empty for a block
  std::vector<std::string> parameters;
  std::vector<std::uint32_t> parameter_slots;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Block body;
  Loads loads;
  std::uint32_t slots = 0;
  // The special variables, and whether the body reads them.
  std::uint32_t caller_slot = 0, kwargs_slot = 0, varargs_slot = 0;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
};

struct MacroStmt : Stmt {
  explicit MacroStmt(std::size_t l) : Stmt(StmtKind::macro, l) {}
  MacroBody macro;
  Slot slot;
};

struct CallBlock : Stmt {
  explicit CallBlock(std::size_t l) : Stmt(StmtKind::call_block, l) {}
  MacroBody caller;
  ExprPtr call;
};

struct FilterBlock : Stmt {
  explicit FilterBlock(std::size_t l) : Stmt(StmtKind::filter_block, l) {}
  ExprPtr filter;
  Block body;
  Loads loads;
};

struct With : Stmt {
  explicit With(std::size_t l) : Stmt(StmtKind::with, l) {}
  std::vector<ExprPtr> targets, values;
  Block body;
  Loads loads;
};

struct Generation : Stmt {
  explicit Generation(std::size_t l) : Stmt(StmtKind::generation, l) {}
  MacroBody body;
};

struct Template {
  Block body;
  Loads loads;
  std::uint32_t slots = 0;
  std::vector<std::string> context_names;  // globals and variables that the template reads
};

}  // namespace rbee::jinja
