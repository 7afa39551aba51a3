#include "state/state_cache.hpp"

#include <cassert>

namespace rbee {

StateCache::~StateCache() { assert(usage().nothing_used()); }

std::optional<SeqState> StateCache::make(int n_tokens) {
  SeqState state(pages_, slots_);
  if (slots_.n_pages() > 0 && !state.slot_.grow(1)) return std::nullopt;
  if (!state.reserve(n_tokens)) return std::nullopt;
  return state;
}

StateUsage StateCache::usage() const noexcept {
  return {.pages_total = pages_.n_pages(),
          .pages_free = pages_.n_free(),
          .slots_total = slots_.n_pages(),
          .slots_free = slots_.n_free()};
}

}  // namespace rbee
