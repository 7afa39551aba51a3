// Values that config.json may hold and that no GGUF key of others can say. Files that we write have
// a key of our own for them, where the value is not the one that readers take without it.
#pragma once
#include "checkpoint/checkpoint.hpp"

namespace rbee::nn {

// What is meant where the key is absent.
template <typename T>
struct OwnDefaults {
  T config;  // in config.json
  T gguf;    // in GGUF
};

// A finite number above zero. Throws LoadError for another.
double own_positive(const Checkpoint& checkpoint, const Key& key,
                    const OwnDefaults<double>& absent);
bool own_flag(const Checkpoint& checkpoint, const Key& key, const OwnDefaults<bool>& absent);

}  // namespace rbee::nn
