#include "chat/iterators.hpp"

#include <algorithm>

#include "chat/unicode.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

// Item i of what a view or a dict shows.
Value view_item(Runtime& runtime, const Dict& dict, View::What what, std::size_t i) {
  const Entry& entry = dict.entries[i];
  switch (what) {
    case View::What::keys:
      return entry.first;
    case View::What::values:
      return entry.second;
    case View::What::items:
      break;
  }
  return runtime.tuple({entry.first, entry.second});
}

// Item i of a value that is indexed in constant time.
Value indexed_item(Runtime& runtime, const Value& value, std::size_t i) {
  switch (value.kind()) {
    case Kind::range:
      return Value(value.as<Range>().at(i));
    case Kind::dict:
      return view_item(runtime, value.as<Dict>(), View::What::keys, i);
    case Kind::view: {
      const auto& view = value.as<View>();
      return view_item(runtime, view.source(), view.what, i);
    }
    default:
      return value.items()[i];
  }
}

struct IndexIterator : Iterator {
  explicit IndexIterator(Value v) : value(std::move(v)), length(require_length(value)) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.spend();
    if (at == length) return false;
    out = indexed_item(runtime, value, at++);
    return true;
  }

  Value value;
  std::size_t length, at = 0;
};

struct CharacterIterator : Iterator {
  explicit CharacterIterator(Value v) : value(std::move(v)) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.spend();
    const std::string_view rest = value.text().substr(at);
    if (rest.empty()) return false;
    const CodePoint c = first_code_point(rest);
    at += c.bytes;
    out = runtime.string(std::string(rest.substr(0, c.bytes)), value.string().markup);
    return true;
  }

  Value value;
  std::size_t at = 0;
};

}  // namespace

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range:
    case Kind::iterator:
    case Kind::loop:
      return true;
    default:
      return false;
  }
}

std::shared_ptr<Iterator> iterate(Runtime& runtime, const Value& value) {
  runtime.spend();
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
      return std::make_shared<ListIterator>(std::vector<Value>());
    case Kind::string:
      return std::make_shared<CharacterIterator>(value);
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range:
      return std::make_shared<IndexIterator>(value);
    case Kind::iterator:
      return std::static_pointer_cast<Iterator>(value.object());
    default:
      break;
  }
  throw Failure("'" + std::string(type_name(value)) + "' object is not iterable");
}

std::vector<Value> to_vector(Runtime& runtime, const Value& value) {
  if (value.is_sequence()) {
    runtime.spend(1 + value.items().size() / 8);
    return value.items();
  }
  std::vector<Value> out;
  const auto items = iterate(runtime, value);
  for (Value item; items->next(runtime, item);) {
    runtime.require(out.size() * sizeof(Value));
    out.push_back(std::move(item));
  }
  return out;
}

bool reversed(Runtime& runtime, const Value& value, std::vector<Value>& out) {
  switch (value.kind()) {
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range:
      break;
    case Kind::undefined:
      fail_undefined(value);
    default:
      return false;
  }
  out = to_vector(runtime, value);
  std::reverse(out.begin(), out.end());
  return true;
}

}  // namespace rbee::jinja
