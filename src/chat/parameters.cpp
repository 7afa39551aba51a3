#include <algorithm>

#include "chat/builtins.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

[[noreturn]] void fail(std::string_view function, std::string_view what, std::string_view detail) {
  throw Failure(std::string(function).append("() ").append(what).append(detail));
}

}  // namespace

Parameters::Parameters(std::string_view function, Args& args,
                       std::initializer_list<std::string_view> names, std::size_t required)
    : function_(function), values_(names.size()) {
  if (args.positional.size() > names.size()) {
    fail(function, "takes fewer arguments than are given: at most ", std::to_string(names.size()));
  }
  for (std::size_t i = 0; i < args.positional.size(); ++i) values_[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    const auto* found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) fail(function, "got an unexpected keyword argument: ", name);
    const Value*& slot = values_[static_cast<std::size_t>(found - names.begin())];
    if (slot != nullptr) fail(function, "got multiple values for argument: ", name);
    slot = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) fail(function, "misses the argument: ", *(names.begin() + i));
  }
}

bool Parameters::flag(std::size_t i) const { return given(i) && truthy(*values_[i]); }

std::int64_t Parameters::integer(std::size_t i, std::int64_t fallback) const {
  return given(i) ? require_integer(*values_[i], function_) : fallback;
}

std::string_view Parameters::text(std::size_t i, std::string_view fallback) const {
  if (!given(i) || values_[i]->is(Kind::none)) return fallback;
  return require_text(*values_[i], function_);
}

std::int64_t require_integer(const Value& value, std::string_view what) {
  require_defined(value);
  if (value.is_integral()) return value.integer();
  throw Failure(std::string(what) + ": an integer is wanted, not '" +
                std::string(type_name(value)) + "'");
}

std::string_view require_text(const Value& value, std::string_view what) {
  require_defined(value);
  if (value.is_string()) return value.text();
  throw Failure(std::string(what) + ": a string is wanted, not '" + std::string(type_name(value)) +
                "'");
}

}  // namespace rbee::jinja
