#include "nn/config_values.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

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
  if (!value && fallback) {
    checkpoint.note(key, std::int64_t{*fallback});
    return *fallback;
  }
  const std::string expected = fmt::format("an integer from 1 to {}", most);
  if (!value) bad_value(checkpoint, key, expected, "nothing");
  if (*value < 1 || *value > most) bad_value(checkpoint, key, expected, std::to_string(*value));
  return static_cast<int>(*value);
}

double positive(const Checkpoint& checkpoint, const Key& key, std::optional<double> fallback) {
  const auto value = checkpoint.real(key);
  if (!value && fallback) {
    checkpoint.note(key, *fallback);
    return *fallback;
  }
  const std::string expected = "a finite number above zero";
  if (!value) bad_value(checkpoint, key, expected, "nothing");
  if (!std::isfinite(*value) || *value <= 0) {
    bad_value(checkpoint, key, expected, fmt::format("{}", *value));
  }
  return *value;
}

bool flag(const Checkpoint& checkpoint, const Key& key, bool fallback) {
  const bool value = checkpoint.boolean(key).value_or(fallback);
  checkpoint.note(key, value);
  return value;
}

bool is_null(const Checkpoint& checkpoint, const Key& key) {
  if (checkpoint.format() == Format::gguf) return false;
  const auto member = checkpoint.config()->find(key.hf);
  return member != checkpoint.config()->end() && member->is_null();
}

float positive_or_none(const Checkpoint& checkpoint, const Key& key, float absent) {
  if (is_null(checkpoint, key)) return 0;
  if (!checkpoint.real(key)) {
    checkpoint.note(key, static_cast<double>(absent));
    return absent;
  }
  return static_cast<float>(positive(checkpoint, key));
}

}  // namespace rbee::nn
