// Methods of dicts, lists, tuples, ranges and cyclers.
#include <algorithm>
#include <array>

#include "chat/builtins.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

void refuse_names(const Args& args) {
  if (!args.named.empty()) throw Failure("the method takes no keyword arguments");
}

Value dict_get(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args);
  const Parameters given("get", args, {"key", "default"}, 1);
  const Value* value = self.as<Dict>().find(runtime, *given[0]);
  return value != nullptr ? *value : given.get(1, Value::none());
}

template <View::What what>
Value dict_view(Runtime& runtime, const Value& self, Args& args) {
  const Parameters none("dict method", args, {});
  auto view = std::make_shared<View>();
  view->charge = runtime.charge(sizeof(View));
  view->dict = self;
  view->what = what;
  view->depth = self.depth();  // adds no level of its own: a view of a view does not exist
  return {Kind::view, std::move(view)};
}

// Values are immutable, so a copy is the value itself.
Value copy(Runtime&, const Value& self, Args& args) {
  const Parameters none("copy", args, {});
  return self;
}

Value index_of(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args);
  const Parameters given("index", args, {"value", "start", "stop"}, 1);
  const std::vector<Value> items = to_vector(runtime, self);
  const auto length = static_cast<std::int64_t>(items.size());
  const auto bound = [&](std::size_t i, std::int64_t fallback) {
    const std::int64_t at = given.integer(i, fallback);
    return std::clamp<std::int64_t>(at < 0 ? at + length : at, 0, length);
  };
  const std::int64_t stop = bound(2, length);
  for (std::int64_t i = bound(1, 0); i < stop; ++i) {
    const Value& item = items[static_cast<std::size_t>(i)];
    if (identical(item, *given[0]) || equal(runtime, item, *given[0])) return Value(i);
  }
  throw Failure(to_repr(runtime, *given[0]) + " is not in the list");
}

Value count_of(Runtime& runtime, const Value& self, Args& args) {
  refuse_names(args);
  const Parameters given("count", args, {"value"}, 1);
  std::int64_t count = 0;
  for (const Value& item : to_vector(runtime, self)) {
    if (identical(item, *given[0]) || equal(runtime, item, *given[0])) ++count;
  }
  return Value(count);
}

Value cycler_next(Runtime&, const Value& self, Args& args) {
  const Parameters none("next", args, {});
  auto& cycler = self.as<Cycler>();
  Value value = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return value;
}

Value cycler_reset(Runtime&, const Value& self, Args& args) {
  const Parameters none("reset", args, {});
  self.as<Cycler>().position = 0;
  return Value::none();
}

constexpr std::array<std::string_view, 5> kDictMutators = {"clear", "pop", "popitem", "setdefault",
                                                           "update"};
constexpr std::array<std::string_view, 8> kListMutators = {"append", "clear", "pop",    "reverse",
                                                           "insert", "sort",  "extend", "remove"};

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Method::Call find_dict_method(std::string_view name) {
  if (name == "get") return dict_get;
  if (name == "items") return dict_view<View::What::items>;
  if (name == "keys") return dict_view<View::What::keys>;
  if (name == "values") return dict_view<View::What::values>;
  return name == "copy" ? copy : nullptr;
}

}  // namespace

Method::Call find_container_method(const Value& object, std::string_view name, bool& mutates) {
  mutates = (object.is(Kind::dict) && is_one_of(kDictMutators, name)) ||
            (object.is(Kind::list) && is_one_of(kListMutators, name));
  if (object.is(Kind::dict)) return find_dict_method(name);
  if (object.is(Kind::cycler)) {
    if (name == "next") return cycler_next;
    return name == "reset" ? cycler_reset : nullptr;
  }
  if (name == "index") return index_of;
  if (name == "count") return count_of;
  return name == "copy" && object.is(Kind::list) ? copy : nullptr;
}

}  // namespace rbee::jinja
