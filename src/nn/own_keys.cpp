#include "nn/own_keys.hpp"

#include "nn/config_values.hpp"

namespace rbee::nn {
namespace {

// Without the spelling of the other format: reading it is no reason to write it.
Key spelled(const Checkpoint& checkpoint, const Key& key) {
  return checkpoint.format() == Format::gguf ? Key{"", key.gguf} : Key{key.hf, ""};
}

template <typename T>
T noted(const Checkpoint& checkpoint, const Key& key, T value, T unsaid) {
  if (value != unsaid) checkpoint.note({"", key.gguf}, value);
  return value;
}

}  // namespace

double own_positive(const Checkpoint& checkpoint, const Key& key,
                    const OwnDefaults<double>& absent) {
  const bool gguf = checkpoint.format() == Format::gguf;
  const double value =
      positive(checkpoint, spelled(checkpoint, key), gguf ? absent.gguf : absent.config);
  return noted(checkpoint, key, value, absent.gguf);
}

bool own_flag(const Checkpoint& checkpoint, const Key& key, const OwnDefaults<bool>& absent) {
  const bool gguf = checkpoint.format() == Format::gguf;
  const bool value =
      checkpoint.boolean(spelled(checkpoint, key)).value_or(gguf ? absent.gguf : absent.config);
  return noted(checkpoint, key, value, absent.gguf);
}

}  // namespace rbee::nn
