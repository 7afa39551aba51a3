// The caller's JSON as values of a template.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "chat/interpreter.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"

namespace rbee::jinja {
namespace {

Value text_value(const std::string& text) {
  return Value::constant(is_valid_utf8(text) ? text : sanitize_utf8(text));
}

Value convert(Runtime& runtime, const Json& json, std::size_t levels_left) {
  if ((json.is_array() || json.is_object()) && levels_left == 0) {
    throw Failure("the input is nested deeper than " + std::to_string(runtime.max_depth()) +
                  " levels");
  }
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        fail_integer_range();
      }
      return Value(static_cast<std::int64_t>(number));
    }
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return text_value(json.get_ref<const std::string&>());
    case Json::value_t::array: {
      auto list = std::make_shared<Sequence>();
      list->items.reserve(json.size());
      for (const Json& item : json) {
        list->items.push_back(convert(runtime, item, levels_left - 1));
      }
      list->depth = deepest(list->items) + 1;
      return {Kind::list, std::move(list)};
    }
    case Json::value_t::object: {
      auto dict = std::make_shared<Dict>();
      dict->entries.reserve(json.size());
      for (const auto& [key, value] : json.items()) {
        dict->entries.emplace_back(text_value(key), convert(runtime, value, levels_left - 1));
        dict->depth = std::max(dict->depth, dict->entries.back().second.depth());
      }
      ++dict->depth;
      dict->index(runtime);
      return {Kind::dict, std::move(dict)};
    }
    default:
      return Value::none();
  }
}

}  // namespace

Value from_json(Runtime& runtime, const Json& json) {
  return convert(runtime, json, runtime.max_depth());
}

Value json_member(Runtime& runtime, const Json& object, const std::string& name) {
  const auto it = object.find(name);
  return it != object.end() ? from_json(runtime, *it) : Value();
}

}  // namespace rbee::jinja
