// Filters on lists, mappings and other things with items.
#include <algorithm>
#include <memory>
#include <set>

#include "chat/builtins.hpp"
#include "chat/interpreter.hpp"
#include "chat/iterators.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

Value lower_if_text(Runtime& runtime, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  runtime.spend_bytes(value.text().size());
  return runtime.string(to_lower(value.text()));
}

// The attribute's value, with undefined parts replaced by `fallback` unless that is none.
Value path_or(Runtime& runtime, const Value& item, const std::vector<Value>& path,
              const Value& fallback) {
  Value value = item;
  for (const Value& part : path) {
    value = get_item(runtime, value, part);
    if (value.is_undefined() && !fallback.is(Kind::none)) value = fallback;
  }
  return value;
}

std::vector<Value> attribute_path(const Parameters& given, std::size_t i) {
  return given.given(i) ? split_path(*given[i]) : std::vector<Value>{};
}

struct Keyed {
  Value key, item;
};

void sort_by_key(Runtime& runtime, std::vector<Keyed>& items, bool reverse) {
  runtime.spend(items.size());
  // Equal items keep their order when it is reversed, too.
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(runtime, b.key, a.key) : less(runtime, a.key, b.key);
  });
}

std::vector<Value> items_of(std::vector<Keyed> keyed) {
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return items;
}

Value filter_length(Runtime&, const Value& target, Args& args) {
  const Parameters none("length", args, {});
  return Value(static_cast<std::int64_t>(require_length(target)));
}

Value filter_first(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("first", args, {});
  Value first;
  if (iterate(runtime, target)->next(runtime, first)) return first;
  return runtime.undefined("No first item, sequence was empty.");
}

Value filter_last(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("last", args, {});
  if (target.is_sequence() && !target.items().empty()) return target.items().back();
  if (target.is_string() && !target.text().empty()) {
    return get_item(runtime, target, Value(std::int64_t{-1}));
  }
  std::vector<Value> items;
  if (!reversed(runtime, target, items)) {
    throw Failure("'" + std::string(type_name(target)) + "' object is not reversible");
  }
  return items.empty() ? runtime.undefined("No last item, sequence was empty.") : items.front();
}

Value filter_join(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("join", args, {"d", "attribute"});
  const std::string separator = given.given(0) ? to_text(runtime, *given[0]) : "";
  const std::vector<Value> path = attribute_path(given, 1);
  std::string out;
  bool is_first = true;
  const auto items = iterate(runtime, target);
  for (Value item; items->next(runtime, item);) {
    if (!std::exchange(is_first, false)) {
      runtime.require(out.size() + separator.size());
      out += separator;
    }
    append_text(runtime, out, get_path(runtime, item, path));
  }
  return runtime.string(std::move(out));
}

Value filter_list(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("list", args, {});
  return runtime.list(to_vector(runtime, target));
}

Value filter_reverse(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("reverse", args, {});
  if (target.is_string()) {
    return get_slice(runtime, target, Value::none(), Value::none(), Value(std::int64_t{-1}));
  }
  std::vector<Value> items;
  if (!reversed(runtime, target, items)) {
    items = to_vector(runtime, target);
    std::reverse(items.begin(), items.end());
    return runtime.list(std::move(items));
  }
  return make_list_iterator(runtime, std::move(items));
}

Value filter_sort(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("sort", args, {"reverse", "case_sensitive", "attribute"});
  std::vector<std::vector<Value>> paths;
  if (given.given(2) && given[2]->is_string()) {
    for (std::string_view rest = given[2]->text();;) {
      const std::size_t comma = rest.find(',');
      paths.push_back(split_path(Value::constant(std::string(rest.substr(0, comma)))));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  } else {
    paths.push_back(attribute_path(given, 2));
  }
  std::vector<Keyed> keyed;
  for (const Value& item : to_vector(runtime, target)) {
    std::vector<Value> keys;
    keys.reserve(paths.size());
    for (const auto& path : paths) {
      keys.push_back(lower_if_text(runtime, get_path(runtime, item, path), given.flag(1)));
    }
    keyed.push_back({runtime.list(std::move(keys)), item});
  }
  sort_by_key(runtime, keyed, given.flag(0));
  return runtime.list(items_of(std::move(keyed)));
}

Value filter_dictsort(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string_view by = given.text(1, "key");
  if (by != "key" && by != "value") {
    throw Failure("You can only sort by either \"key\" or \"value\"");
  }
  require_defined(target);
  if (!target.is(Kind::dict)) throw Failure("dictsort wants a mapping");
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : target.as<Dict>().entries) {
    keyed.push_back({lower_if_text(runtime, by == "key" ? key : value, given.flag(0)),
                     runtime.tuple({key, value})});
  }
  sort_by_key(runtime, keyed, given.flag(2));
  return runtime.list(items_of(std::move(keyed)));
}

Value filter_items(Runtime& runtime, const Value& target, Args& args) {
  const Parameters none("items", args, {});
  if (!target.is(Kind::dict) && !target.is_undefined()) {
    throw Failure("Can only get item pairs from a mapping.");
  }
  return make_generator(runtime, target.depth(),
                        [target, i = std::size_t{0}](Runtime& r, Value& out) mutable {
                          if (target.is_undefined()) return false;
                          const auto& entries = target.as<Dict>().entries;
                          if (i == entries.size()) return false;
                          out = r.tuple({entries[i].first, entries[i].second});
                          ++i;
                          return true;
                        });
}

struct KeyLess {
  bool operator()(const Value& a, const Value& b) const { return key_order(*runtime, a, b) < 0; }
  Runtime* runtime;
};

Value filter_unique(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("unique", args, {"case_sensitive", "attribute"});
  std::set<Value, KeyLess> seen(KeyLess{&runtime});
  std::vector<Value> unique;
  const std::vector<Value> path = attribute_path(given, 1);
  for (const Value& item : to_vector(runtime, target)) {
    const Value key = lower_if_text(runtime, get_path(runtime, item, path), given.flag(0));
    if (seen.insert(key).second) unique.push_back(item);
  }
  return make_list_iterator(runtime, std::move(unique));
}

Value extreme(Runtime& runtime, const Value& target, Args& args, bool want_max) {
  const Parameters given("min or max", args, {"case_sensitive", "attribute"});
  const std::vector<Value> path = attribute_path(given, 1);
  Value best, best_key;
  for (const Value& item : to_vector(runtime, target)) {
    const Value key = lower_if_text(runtime, get_path(runtime, item, path), given.flag(0));
    const bool better = best.is(Kind::missing) ||
                        (want_max ? less(runtime, best_key, key) : less(runtime, key, best_key));
    if (!better) continue;
    best = item;
    best_key = key;
  }
  return best.is(Kind::missing) ? runtime.undefined("No aggregated item, sequence was empty.")
                                : best;
}

Value filter_min(Runtime& runtime, const Value& target, Args& args) {
  return extreme(runtime, target, args, false);
}
Value filter_max(Runtime& runtime, const Value& target, Args& args) {
  return extreme(runtime, target, args, true);
}

Value filter_sum(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("sum", args, {"attribute", "start"});
  const std::vector<Value> path = attribute_path(given, 0);
  Value total = given.get(1, Value(std::int64_t{0}));
  if (total.is_string()) throw Failure("sum() can't sum strings");
  const auto items = iterate(runtime, target);
  for (Value item; items->next(runtime, item);) {
    total = apply(runtime, Operator::add, total, get_path(runtime, item, path));
  }
  return total;
}

// One-shot lists of lists, as batch and slice give them.
Value lists_iterator(Runtime& runtime, std::vector<std::vector<Value>> lists) {
  std::vector<Value> values;
  values.reserve(lists.size());
  for (auto& list : lists) values.push_back(runtime.list(std::move(list)));
  return make_list_iterator(runtime, std::move(values));
}

Value filter_batch(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("batch", args, {"linecount", "fill_with"}, 1);
  const std::int64_t count = given.integer(0, 0);
  std::vector<std::vector<Value>> lists;
  std::vector<Value> row;
  for (const Value& item : to_vector(runtime, target)) {
    if (static_cast<std::int64_t>(row.size()) == count) lists.push_back(std::exchange(row, {}));
    row.push_back(item);
  }
  if (!row.empty()) {
    const Value fill = given.get(1, Value::none());
    const auto have = static_cast<std::int64_t>(row.size());
    if (!fill.is(Kind::none) && have < count) {
      runtime.require(static_cast<std::size_t>(std::min(count, std::int64_t{1} << 40)) *
                      sizeof(Value));
      row.resize(static_cast<std::size_t>(count), fill);
    }
    lists.push_back(std::move(row));
  }
  return lists_iterator(runtime, std::move(lists));
}

Value filter_slice(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("slice", args, {"slices", "fill_with"}, 1);
  const std::vector<Value> items = to_vector(runtime, target);
  const std::int64_t wanted = given.integer(0, 0);
  if (wanted == 0) throw Failure("integer division or modulo by zero");
  const Value fill = given.get(1, Value::none());
  std::vector<std::vector<Value>> lists;
  const auto slices = static_cast<std::size_t>(std::max<std::int64_t>(wanted, 0));
  std::size_t from = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    runtime.spend();
    runtime.require(lists.size() * sizeof(Sequence));
    const bool longer = i < items.size() % slices;
    const std::size_t to = from + items.size() / slices + (longer ? 1 : 0);
    auto& list = lists.emplace_back(items.begin() + static_cast<std::ptrdiff_t>(from),
                                    items.begin() + static_cast<std::ptrdiff_t>(to));
    if (!fill.is(Kind::none) && !longer) list.push_back(fill);
    from = to;
  }
  return lists_iterator(runtime, std::move(lists));
}

Value filter_groupby(Runtime& runtime, const Value& target, Args& args) {
  const Parameters given("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const std::vector<Value> path = attribute_path(given, 0);
  const Value fallback = given.get(1, Value::none());
  std::vector<Keyed> keyed;
  for (const Value& item : to_vector(runtime, target)) {
    const Value key = path_or(runtime, item, path, fallback);
    keyed.push_back({lower_if_text(runtime, key, given.flag(2)), item});
  }
  sort_by_key(runtime, keyed, false);
  std::vector<Value> groups;
  for (std::size_t from = 0; from < keyed.size();) {
    std::size_t to = from;
    std::vector<Value> items;
    while (to < keyed.size() && equal(runtime, keyed[to].key, keyed[from].key)) {
      items.push_back(keyed[to++].item);
    }
    const Value name = path_or(runtime, items.front(), path, fallback);
    Value group = runtime.tuple({name, runtime.list(std::move(items))});
    group.as<Sequence>().group = true;
    groups.push_back(std::move(group));
    from = std::max(to, from + 1);
  }
  return runtime.list(std::move(groups));
}

Value filter_random(Runtime&, const Value&, Args&) {
  throw Failure("the random filter is not supported: a prompt must be reproducible");
}

constexpr FilterEntry kFilters[] = {
    {"length", filter_length}, {"count", filter_length},      {"first", filter_first},
    {"last", filter_last},     {"join", filter_join},         {"list", filter_list},
    {"items", filter_items},   {"reverse", filter_reverse},   {"sort", filter_sort},
    {"unique", filter_unique}, {"dictsort", filter_dictsort}, {"min", filter_min},
    {"max", filter_max},       {"sum", filter_sum},           {"batch", filter_batch},
    {"slice", filter_slice},   {"groupby", filter_groupby},   {"random", filter_random},
};

}  // namespace

std::span<const FilterEntry> sequence_filters() { return kFilters; }

}  // namespace rbee::jinja
