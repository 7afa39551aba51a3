// Numbers out of a model's configuration, checked before anything is computed with them: a file may
// hold any.
#pragma once
#include <optional>
#include <string>

#include "checkpoint/checkpoint.hpp"

namespace rbee::nn {

// The largest extent of any dimension: small enough that the product of two fits in 64 bits and
// the sum of several in 32.
inline constexpr int kMaxExtent = 1 << 26;

// An integer in [1, most]. Throws LoadError when it is out of range, or absent without a fallback.
int count(const Checkpoint& checkpoint, const Key& key, int most,
          std::optional<int> fallback = std::nullopt);

// A finite number above zero. Throws as count does.
double positive(const Checkpoint& checkpoint, const Key& key,
                std::optional<double> fallback = std::nullopt);

// true or false.
bool flag(const Checkpoint& checkpoint, const Key& key, bool fallback);

// As positive, for a feature that may be off: 0 where config.json has null; `absent` where the key
// is left out.
float positive_or_none(const Checkpoint& checkpoint, const Key& key, float absent);

// Whether config.json has this key (no path, one spelling) and null for its value.
bool is_null(const Checkpoint& checkpoint, const Key& key);

// Throws the LoadError for this key of the configuration.
[[noreturn]] void bad_value(const Checkpoint& checkpoint, const Key& key,
                            const std::string& expected, const std::string& found);

}  // namespace rbee::nn
