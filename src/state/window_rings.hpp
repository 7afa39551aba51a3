// Rings of pages: layers with a window keep, of each sequence, only what a step can still reach.
#pragma once
#include <span>
#include <vector>

#include "core/layer_state.hpp"

namespace rbee {

// The layers with ring_pages set wherever a layer has a window that is shorter than the context: as
// many pages as a step of up to step_tokens tokens and the keys that its first token sees can lie
// in. Such a layer has its pages in the slots of sequences, so that what is behind every window is
// overwritten, and a sequence holds no more of it however long it grows.
std::vector<LayerState> with_rings(std::span<const LayerState> layers, int context,
                                   int step_tokens);

}  // namespace rbee
