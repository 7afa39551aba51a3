#include "chat/value.hpp"

#include <algorithm>
#include <numeric>

#include "chat/runtime.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

constexpr std::size_t kSmallDict = 8;  // up to here a linear search is the fastest

}  // namespace

String::String(std::string t, bool is_markup)
    : text(std::move(t)), length(count_code_points(text)), markup(is_markup) {}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return value.string().markup ? "Markup" : "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::dict:
      return "dict";
    case Kind::view:
      return "dict view";
    case Kind::range:
      return "range";
    case Kind::iterator:
      return "generator";
    case Kind::space:
      return "Namespace";
    case Kind::macro:
      return "Macro";
    case Kind::loop:
      return "LoopContext";
    case Kind::function:
      return "function";
    case Kind::method:
      return "builtin_function_or_method";
    case Kind::cycler:
      return "Cycler";
    case Kind::joiner:
      return "Joiner";
    case Kind::missing:
    case Kind::undefined:
      break;
  }
  return "Undefined";
}

const Value* Dict::find(std::string_view key) const {
  if (sorted.empty()) {
    for (const Entry& entry : entries) {
      if (entry.first.is_string() && entry.first.text() == key) return &entry.second;
    }
    return nullptr;
  }
  // Strings come after all other keys in key order.
  const auto before = [&](std::uint32_t i, std::string_view k) {
    const Value& other = entries[i].first;
    return !other.is_string() || key_order(other.text(), k) < 0;
  };
  const auto it = std::lower_bound(sorted.begin(), sorted.end(), key, before);
  if (it == sorted.end() || entries[*it].first.text() != key) return nullptr;
  return &entries[*it].second;
}

const Value* Dict::find(Runtime& runtime, const Value& key) const {
  if (key.is_string()) {
    runtime.spend_bytes(key.text().size());
    return find(key.text());
  }
  key_order(runtime, key, key);  // fails when the key cannot be hashed, whatever the dict holds
  if (sorted.empty()) {
    for (const Entry& entry : entries) {
      if (key_order(runtime, entry.first, key) == 0) return &entry.second;
    }
    return nullptr;
  }
  const auto it = std::lower_bound(
      sorted.begin(), sorted.end(), key,
      [&](std::uint32_t i, const Value& k) { return key_order(runtime, entries[i].first, k) < 0; });
  if (it == sorted.end() || key_order(runtime, entries[*it].first, key) != 0) return nullptr;
  return &entries[*it].second;
}

void Dict::index(Runtime& runtime) {
  std::vector<std::uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return key_order(runtime, entries[a].first, entries[b].first) < 0;
  });
  std::vector<bool> dropped(entries.size());
  bool any_dropped = false;
  for (std::size_t i = 1, first = 0; i < order.size(); ++i) {
    if (key_order(runtime, entries[order[first]].first, entries[order[i]].first) != 0) {
      first = i;
      continue;
    }
    entries[order[first]].second = entries[order[i]].second;
    dropped[order[i]] = any_dropped = true;
  }
  if (any_dropped) {
    std::vector<Entry> kept;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!dropped[i]) kept.push_back(std::move(entries[i]));
    }
    entries = std::move(kept);
    if (entries.size() > kSmallDict) index(runtime);
    return;
  }
  if (entries.size() > kSmallDict) sorted = std::move(order);
}

std::string Undefined::message() const {
  if (!hint.empty()) return hint;
  std::string text;
  if (owner.empty()) {
    append_string_repr(text, name.text());
    return text + " is undefined";
  }
  const std::string object = owner == "NoneType" ? "None" : std::string(owner) + " object";
  if (!name.is_string()) {
    std::string element = name.is(Kind::integer) ? std::to_string(name.integer())
                                                 : std::string(type_name(name)) + " key";
    return object + " has no element " + element;
  }
  append_string_repr(text, name.text());
  return "'" + object + "' has no attribute " + text;
}

Value* Namespace::find(std::string_view name) {
  for (auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

Runtime::~Runtime() {
  // Oldest first: nothing is destroyed before all are cleared, so no chain of objects unwinds
  // recursively.
  for (const auto& object : kept_) object->clear();
}

void Runtime::fail_steps() const {
  throw Failure("the template takes more than " + std::to_string(limits_.max_steps) + " steps");
}

void Runtime::fail_size() const {
  throw Failure("the template makes more than " + std::to_string(limits_.max_output_bytes) +
                " bytes of text and values");
}

std::size_t Runtime::nested_depth(std::size_t inner) const {
  if (inner >= limits_.max_depth) {
    throw Failure("a value is nested deeper than " + std::to_string(limits_.max_depth) + " levels");
  }
  return inner + 1;
}

std::size_t deepest(const std::vector<Value>& values) {
  std::size_t depth = 0;
  for (const Value& value : values) depth = std::max(depth, value.depth());
  return depth;
}

template <class T>
std::shared_ptr<T> Runtime::make(std::size_t extra_bytes) {
  constexpr std::size_t kControlBlock = 32;
  Charge held = charge(sizeof(T) + kControlBlock + extra_bytes);
  auto object = std::make_shared<T>();
  object->charge = std::move(held);
  return object;
}

Value Runtime::string(std::string text, bool markup) {
  spend_bytes(text.size());
  Charge held = charge(sizeof(String) + text.size());
  auto object = std::make_shared<String>(std::move(text), markup);
  object->charge = std::move(held);
  return {Kind::string, std::move(object)};
}

Value Runtime::sequence(Kind kind, std::vector<Value> items) {
  spend(1 + items.size() / 8);
  auto object = make<Sequence>(items.size() * sizeof(Value));
  object->depth = nested_depth(deepest(items));
  object->items = std::move(items);
  return {kind, std::move(object)};
}

Value Runtime::list(std::vector<Value> items) { return sequence(Kind::list, std::move(items)); }
Value Runtime::tuple(std::vector<Value> items) { return sequence(Kind::tuple, std::move(items)); }

Value Runtime::dict(std::vector<Entry> entries) {
  spend(1 + entries.size() / 4);
  auto object = make<Dict>(entries.size() * (sizeof(Entry) + sizeof(std::uint32_t)));
  std::size_t inner = 0;
  for (const auto& [key, value] : entries) {
    key_order(*this, key, key);  // fails when it cannot be hashed
    inner = std::max({inner, key.depth(), value.depth()});
  }
  object->depth = nested_depth(inner);
  object->entries = std::move(entries);
  object->index(*this);
  return {Kind::dict, std::move(object)};
}

Value Runtime::undefined(const std::string& hint) {
  auto object = make<Undefined>(hint.size());
  object->hint = hint;
  return {Kind::undefined, std::move(object)};
}

Value Runtime::undefined_variable(std::string_view name) {
  auto object = make<Undefined>(name.size());
  object->name = Value::constant(std::string(name));
  return {Kind::undefined, std::move(object)};
}

Value Runtime::undefined_member(const Value& owner, const Value& name) {
  auto object = make<Undefined>(0);
  object->owner = type_name(owner);
  // A container would make undefined values nest.
  object->name = name.depth() == 0 ? name : Value::constant(std::string(type_name(name)));
  return {Kind::undefined, std::move(object)};
}

Value Runtime::unsafe_member(const Value& owner, std::string_view name) {
  std::string hint = "access to attribute ";
  append_string_repr(hint, name);
  return undefined(hint + " of '" + std::string(type_name(owner)) + "' object is unsafe.");
}

Value Runtime::method(const Value& self, std::string_view name, Method::Call call) {
  auto object = make<Method>(0);
  object->self = self;
  object->name = name;
  object->call = call;
  object->depth = nested_depth(self.depth());
  return {Kind::method, std::move(object)};
}

Value Runtime::iterator(std::shared_ptr<Iterator> iterator, std::size_t inner_depth) {
  constexpr std::size_t kTypicalIterator = 128;
  iterator->charge = charge(kTypicalIterator);
  iterator->depth = nested_depth(inner_depth);
  return {Kind::iterator, std::move(iterator)};
}

void Runtime::keep(std::shared_ptr<Object> object) {
  spend();
  kept_.push_back(std::move(object));
}

}  // namespace rbee::jinja
