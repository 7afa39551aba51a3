// What Python does with any value: truth, equality, order, text.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/runtime.hpp"
#include "chat/value.hpp"

namespace rbee::jinja {

bool truthy(const Value& value);
bool equal(Runtime& runtime, const Value& a, const Value& b);
bool identical(const Value& a, const Value& b);               // Python's `is`
bool less(Runtime& runtime, const Value& a, const Value& b);  // fails where Python's < does
bool contains(Runtime& runtime, const Value& container, const Value& item);

// A total order of hashable values that puts equal ones together; fails for lists and dicts.
int key_order(Runtime& runtime, const Value& a, const Value& b);
// The same for two strings.
int key_order(std::string_view a, std::string_view b);

// len(); false when the value has none.
bool length_of(const Value& value, std::size_t& length);
std::size_t require_length(const Value& value);

// Iterating. Fails when the value cannot be iterated.
bool is_iterable(const Value& value);
std::shared_ptr<Iterator> iterate(Runtime& runtime, const Value& value);
std::vector<Value> to_vector(Runtime& runtime, const Value& value);
// The same backwards, for what Python's reversed() takes.
bool reversed(Runtime& runtime, const Value& value, std::vector<Value>& out);

// str() and repr().
void append_text(Runtime& runtime, std::string& out, const Value& value);
void append_repr(Runtime& runtime, std::string& out, const Value& value);
std::string to_text(Runtime& runtime, const Value& value);
std::string to_repr(Runtime& runtime, const Value& value);
void append_string_repr(std::string& out, std::string_view text);

// markupsafe.escape.
Value escape(Runtime& runtime, const Value& value);

// Fails unless the value is undefined in a way that may be used.
[[noreturn]] void fail_undefined(const Value& value);
inline void require_defined(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
}

}  // namespace rbee::jinja
