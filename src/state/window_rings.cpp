#include "state/window_rings.hpp"

#include <cstdint>
#include <variant>

#include "state/state_cache.hpp"

namespace rbee {

std::vector<LayerState> with_rings(std::span<const LayerState> layers, int context,
                                   int step_tokens) {
  std::vector<LayerState> out(layers.begin(), layers.end());
  for (LayerState& layer : out) {
    auto* kv = std::get_if<PagedKv>(&layer);
    if (kv == nullptr || kv->window == 0) continue;
    // The first key seen and the last token may each share a page with others.
    const std::int64_t pages =
        (std::int64_t{kv->window} + step_tokens + kPageTokens - 1) / kPageTokens + 1;
    if (pages < pages_for(context)) kv->ring_pages = static_cast<int>(pages);
  }
  return out;
}

}  // namespace rbee
