// Attributes and items of values.
#include "chat/builtins.hpp"
#include "chat/number_text.hpp"
#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

bool is_private(std::string_view name) { return !name.empty() && name[0] == '_'; }

// Names that every Python object, or the types that templates see, have with underscores.
bool is_internal(std::string_view name) {
  return name.size() > 4 && name.substr(0, 2) == "__" && name.substr(name.size() - 2) == "__";
}

// The attribute of a Python object of this type; missing when there is none.
Value attribute(Runtime& runtime, const Value& object, std::string_view name) {
  if (is_private(name)) {
    return is_internal(name) ? runtime.unsafe_member(object, name) : Value();
  }
  switch (object.kind()) {
    case Kind::string:
      if (const Method::Call call = find_string_method(name)) {
        return runtime.method(object, name, call);
      }
      break;
    case Kind::tuple:
      if (object.as<Sequence>().group && (name == "grouper" || name == "list")) {
        return object.items()[name == "list" ? 1 : 0];
      }
      [[fallthrough]];
    case Kind::list:
    case Kind::dict:
    case Kind::range:
    case Kind::cycler: {
      bool mutates = false;
      const Method::Call call = find_container_method(object, name, mutates);
      if (mutates) return runtime.unsafe_member(object, name);
      if (call != nullptr) return runtime.method(object, name, call);
      if (object.is(Kind::cycler) && name == "current") {
        const auto& cycler = object.as<Cycler>();
        return cycler.items[cycler.position];
      }
      break;
    }
    case Kind::boolean:
    case Kind::integer:
      if (name == "real" || name == "numerator") return Value(object.integer());
      if (name == "imag") return Value(std::int64_t{0});
      if (name == "denominator") return Value(std::int64_t{1});
      break;
    case Kind::real:
      if (name == "real") return object;
      if (name == "imag") return Value(0.0);
      break;
    case Kind::space:
      runtime.spend(object.as<Namespace>().attributes.size() / 8);
      if (const Value* value = object.as<Namespace>().find(name)) return *value;
      break;
    default:
      break;
  }
  return {};
}

// object[key]; missing when Python raises a LookupError or a TypeError.
Value item(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is(Kind::dict)) {
    const bool hashable = !key.is(Kind::list) && !key.is(Kind::dict) && !key.is(Kind::view);
    if (!hashable) return {};
    const Value* value = object.as<Dict>().find(runtime, key);
    return value != nullptr ? *value : Value();
  }
  const bool indexed = object.is_string() || object.is_sequence() || object.is(Kind::range);
  if (!indexed || !key.is_integral()) return {};
  const std::size_t length = require_length(object);
  std::int64_t at = key.integer();
  if (at < 0) at += static_cast<std::int64_t>(length);
  if (at < 0 || static_cast<std::size_t>(at) >= length) return {};
  const auto index = static_cast<std::size_t>(at);
  if (object.is(Kind::range)) return Value(object.as<Range>().at(index));
  if (object.is_sequence()) return object.items()[index];
  const String& string = object.string();
  if (string.ascii()) return runtime.string(string.text.substr(index, 1), string.markup);
  runtime.spend_bytes(string.text.size());
  const std::string_view rest = object.text().substr(byte_offset(string.text, index));
  return runtime.string(std::string(rest.substr(0, first_code_point(rest).bytes)), string.markup);
}

}  // namespace

Value get_attribute(Runtime& runtime, const Value& object, const Value& name) {
  require_defined(object);
  Value value = attribute(runtime, object, name.text());
  if (value.is(Kind::missing)) value = item(runtime, object, name);
  return value.is(Kind::missing) ? runtime.undefined_member(object, name) : value;
}

Value get_item(Runtime& runtime, const Value& object, const Value& key) {
  require_defined(object);
  Value value = item(runtime, object, key);
  if (value.is(Kind::missing) && key.is_string()) value = attribute(runtime, object, key.text());
  return value.is(Kind::missing) ? runtime.undefined_member(object, key) : value;
}

std::vector<Value> split_path(const Value& path) {
  if (path.is(Kind::none)) return {};
  if (!path.is_string()) return {path};
  std::vector<Value> parts;
  std::string_view rest = path.text();
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const bool digits =
        !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    if (digits) {
      parts.emplace_back(*int_from_text(part, 10));
    } else {
      parts.push_back(Value::constant(std::string(part)));
    }
    if (dot == std::string_view::npos) return parts;
    rest.remove_prefix(dot + 1);
  }
}

Value get_path(Runtime& runtime, const Value& object, const std::vector<Value>& path) {
  Value value = object;
  for (const Value& part : path) value = get_item(runtime, value, part);
  return value;
}

}  // namespace rbee::jinja
