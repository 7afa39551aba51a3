// Sliding windows as checkpoints describe them: how many keys a query sees, and in which layers.
#pragma once
#include <vector>

#include "base/function_ref.hpp"
#include "checkpoint/checkpoint.hpp"

namespace rbee::nn {

// sliding_window; 0 where there is none, `absent` where the key is left out. Throws LoadError for a
// width that is none.
int read_window(const Checkpoint& checkpoint, int absent = 0);

// The window of each layer: width in the local ones, 0 in the others. Which are local says
// layer_types in config.json or sliding_window_pattern in GGUF, else is_local. Throws LoadError for
// a list of another length or with other words.
std::vector<int> layer_windows(const Checkpoint& checkpoint, int layers, int width,
                               FunctionRef<bool(int layer)> is_local);

// Windows as Qwen has them: none unless use_sliding_window, and then from layer max_window_layers
// on.
std::vector<int> optional_windows(const Checkpoint& checkpoint, int layers);

}  // namespace rbee::nn
