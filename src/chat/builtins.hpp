// The filters, tests, methods and global functions of the language.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/runtime.hpp"
#include "chat/value.hpp"

namespace rbee::jinja {

struct FilterEntry {
  std::string_view name;
  Value (*call)(Runtime&, const Value& target, Args&) = nullptr;
};
struct TestEntry {
  std::string_view name;
  bool (*call)(Runtime&, const Value& target, Args&) = nullptr;
};

// nullptr when there is none.
const FilterEntry* find_filter(std::string_view name);
const TestEntry* find_test(std::string_view name);

// The groups of filters, by file.
std::span<const FilterEntry> text_filters();
std::span<const FilterEntry> layout_filters();
std::span<const FilterEntry> number_filters();
std::span<const FilterEntry> sequence_filters();
std::span<const FilterEntry> selection_filters();

// jinja2's getattr and getitem: attribute or item, the one falling back on the other, else
// undefined. Fails for members of undefined values.
Value get_attribute(Runtime& runtime, const Value& object, const Value& name);
Value get_item(Runtime& runtime, const Value& object, const Value& key);
// Items of a dotted path such as "a.b.0".
Value get_path(Runtime& runtime, const Value& object, const std::vector<Value>& path);
std::vector<Value> split_path(const Value& attribute);
// object[start:stop:step]; none stands for a part that is left out.
Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop,
                const Value& step);

// The method of a string, list, tuple or dict; nullptr when there is none. `mutates` tells of
// methods that the sandbox refuses.
Method::Call find_string_method(std::string_view name);
Method::Call find_split_method(std::string_view name);  // those among them that split
Method::Call find_container_method(const Value& object, std::string_view name, bool& mutates);

// Sets space.name; fails for names that start with an underscore.
void set_attribute(Runtime& runtime, Namespace& space, std::string_view name, const Value& value);

// Global functions: missing when there is none.
Value find_global(std::string_view name);

// Text as other files need it.
Value format_percent(Runtime& runtime, const Value& format, const Value& args);
Value format_braces(Runtime& runtime, const Value& format, Args& args);
Value write_json(Runtime& runtime, const Value& target, Args& args);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
// count < 0: all.
std::string replace_all(Runtime& runtime, std::string_view text, std::string_view from,
                        std::string_view to, std::int64_t count);
std::string repeat(Runtime& runtime, std::string_view text, std::int64_t count);

// Matches arguments with parameter names, as a Python call does.
class Parameters {
 public:
  // `required`: how many of the names must be given.
  Parameters(std::string_view function, Args& args, std::initializer_list<std::string_view> names,
             std::size_t required = 0);

  const Value* operator[](std::size_t i) const { return values_[i]; }  // null if not given
  bool given(std::size_t i) const { return values_[i] != nullptr; }
  Value get(std::size_t i, const Value& fallback) const {
    return values_[i] != nullptr ? *values_[i] : fallback;
  }
  bool flag(std::size_t i) const;
  std::int64_t integer(std::size_t i, std::int64_t fallback) const;
  // Fails when the argument is no string. None counts as not given.
  std::string_view text(std::size_t i, std::string_view fallback) const;

 private:
  std::string_view function_;
  std::vector<const Value*> values_;
};

// What operators and functions ask of an argument; `what` is for the message.
std::int64_t require_integer(const Value& value, std::string_view what);
std::string_view require_text(const Value& value, std::string_view what);

}  // namespace rbee::jinja
