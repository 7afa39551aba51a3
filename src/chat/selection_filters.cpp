// Filters that pick: default, attr, map, select, reject and their kin.
#include <algorithm>

#include "chat/builtins.hpp"
#include "chat/iterators.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

Value filter_default(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("default", args, {"default_value", "boolean"});
  if (!target.is_undefined() && (!given.flag(1) || truthy(target))) return target;
  return given.given(0) ? *given[0] : runtime.string("");
}

// Attributes only: items of a mapping are no attributes.
Value filter_attr(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("attr", args, {"name"}, 1);
  const std::string_view name = require_text(*given[0], "attr");
  if (target.is_undefined()) fail_undefined(target);
  if (!target.is(Kind::dict)) return get_attribute(runtime, target, *given[0]);
  bool mutates = false;
  const bool is_method = find_container_method(target, name, mutates) != nullptr || mutates;
  return is_method ? get_attribute(runtime, target, *given[0])
                   : runtime.undefined_member(target, *given[0]);
}

// What map does to each item: an attribute to look up, or a filter to call.
struct Mapping {
  Value operator()(Runtime& runtime, const Value& item) const {
    if (filter != nullptr) {
      Args copy = args;
      return filter->call(runtime, item, copy);
    }
    Value value = item;
    for (const Value& part : path) {
      value = get_item(runtime, value, part);
      if (value.is_undefined() && !fallback.is(Kind::none)) value = fallback;
    }
    return value;
  }

  const FilterEntry* filter = nullptr;
  Args args;
  std::vector<Value> path;
  Value fallback = Value::none();
};

Mapping make_mapping(Args& args) {
  Mapping mapping;
  const auto is_attribute = [](const auto& named) { return named.first == "attribute"; };
  if (args.positional.empty() && std::any_of(args.named.begin(), args.named.end(), is_attribute)) {
    const Parameters given("map", args, {"attribute", "default"}, 1);
    mapping.path = split_path(*given[0]);
    mapping.fallback = given.get(1, Value::none());
    return mapping;
  }
  if (args.positional.empty()) throw Failure("map requires a filter argument");
  const std::string_view name = require_text(args.positional[0], "map");
  mapping.filter = find_filter(name);
  if (mapping.filter == nullptr) throw Failure("No filter named '" + std::string(name) + "'.");
  mapping.args.positional.assign(args.positional.begin() + 1, args.positional.end());
  mapping.args.named = args.named;
  return mapping;
}

// An iterator over the target whose arguments are looked at when it is first used, as in a Python
// generator. body(runtime, item, out) returns whether out is an item of the result; it is made by
// prepare(args).
template <class Prepare>
Value lazily(Runtime& runtime, const Value& target, Args& args, Prepare prepare) {
  using Body = decltype(prepare(args));
  struct State {
    Value target;
    Args args;
    std::shared_ptr<Iterator> items;
    std::unique_ptr<Body> body;
  };
  std::size_t depth = std::max(target.depth(), deepest(args.positional));
  for (const auto& named : args.named) depth = std::max(depth, named.second.depth());
  auto state = std::make_shared<State>(State{target, std::move(args), nullptr, nullptr});
  return make_generator(runtime, depth, [state, prepare](Runtime& r, Value& out) {
    if (!state->items) {
      if (!truthy(state->target)) return false;
      state->body = std::make_unique<Body>(prepare(state->args));
      state->items = iterate(r, state->target);
    }
    for (Value item; state->items->next(r, item);) {
      if ((*state->body)(r, item, out)) return true;
    }
    return false;
  });
}

Value filter_map(Runtime& runtime, const Value& target, Args& args) {
  return lazily(runtime, target, args, [](Args& given) {
    return [mapping = make_mapping(given)](Runtime& r, const Value& item, Value& out) {
      out = mapping(r, item);
      return true;
    };
  });
}

// The condition of select and its kin: a test, or truth where none is named.
struct Selection {
  bool operator()(Runtime& runtime, const Value& item, Value& out) const {
    const Value subject = get_path(runtime, item, path);
    bool selected = false;
    if (test != nullptr) {
      Args copy = args;
      selected = test->call(runtime, subject, copy);
    } else {
      selected = truthy(subject);
    }
    out = item;
    return selected == wanted;
  }

  bool wanted = true;
  std::vector<Value> path;
  const TestEntry* test = nullptr;
  Args args;
};

Selection make_selection(const Args& args, bool by_attribute, bool wanted) {
  Selection selection;
  selection.wanted = wanted;
  std::size_t at = 0;
  if (by_attribute) {
    if (args.positional.empty()) throw Failure("Missing parameter for attribute name");
    selection.path = split_path(args.positional[at++]);
  }
  if (at == args.positional.size()) return selection;
  const std::string_view name = require_text(args.positional[at++], "select");
  selection.test = find_test(name);
  if (selection.test == nullptr) throw Failure("No test named '" + std::string(name) + "'.");
  selection.args.positional.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(at),
                                   args.positional.end());
  selection.args.named = args.named;
  return selection;
}

template <bool by_attribute, bool wanted>
Value filter_select(Runtime& runtime, const Value& target, Args& args) {
  return lazily(runtime, target, args,
                [](Args& given) { return make_selection(given, by_attribute, wanted); });
}

constexpr FilterEntry kFilters[] = {
    {"default", filter_default},
    {"d", filter_default},
    {"attr", filter_attr},
    {"map", filter_map},
    {"select", filter_select<false, true>},
    {"reject", filter_select<false, false>},
    {"selectattr", filter_select<true, true>},
    {"rejectattr", filter_select<true, false>},
};

}  // namespace

std::span<const FilterEntry> selection_filters() { return kFilters; }

}  // namespace rbee::jinja
