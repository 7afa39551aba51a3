#include "nn/config_values.hpp"

#include <fmt/format.h>

#include <cmath>

#include "base/load_error.hpp"

namespace rbee::nn {
namespace {

// The key as the file spells it: the first spelling of its format.
std::string field(const Checkpoint& checkpoint, const Key& key) {
  const bool gguf = checkpoint.format() == Format::gguf;
  const std::string_view all = gguf ? key.gguf : key.hf;
  const std::string_view first = all.substr(0, all.find('|'));
  return gguf ? fmt::format("key '{}.{}'", checkpoint.architecture(), first)
              : fmt::format("key '{}'", first);
}

}  // namespace

void bad_value(const Checkpoint& checkpoint, const Key& key, const std::string& expected,
               const std::string& found) {
  throw LoadError(checkpoint.path().string(), field(checkpoint, key), expected, found);
}

int count(const Checkpoint& checkpoint, const Key& key, int most, std::optional<int> fallback) {
  const auto value = checkpoint.integer(key);
  if (!value && fallback) return *fallback;
  const std::string expected = fmt::format("an integer from 1 to {}", most);
  if (!value) bad_value(checkpoint, key, expected, "nothing");
  if (*value < 1 || *value > most) bad_value(checkpoint, key, expected, std::to_string(*value));
  return static_cast<int>(*value);
}

double positive(const Checkpoint& checkpoint, const Key& key, std::optional<double> fallback) {
  const auto value = checkpoint.real(key);
  if (!value && fallback) return *fallback;
  const std::string expected = "a finite number above zero";
  if (!value) bad_value(checkpoint, key, expected, "nothing");
  if (!std::isfinite(*value) || *value <= 0) {
    bad_value(checkpoint, key, expected, fmt::format("{}", *value));
  }
  return *value;
}

}  // namespace rbee::nn
