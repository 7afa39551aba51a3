// StateCache: what sequences remember between steps. It does the bookkeeping (which pages and
// slots belong to whom); the memory behind the ids is the backend's (Backend::allocate_state).
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "core/layer_state.hpp"
#include "state/page_pool.hpp"

namespace rbee {

// Pages that hold n_tokens tokens.
constexpr int pages_for(int n_tokens) noexcept {
  return n_tokens / kPageTokens + (n_tokens % kPageTokens != 0 ? 1 : 0);
}

// The state of one sequence: pages, and a slot where the model has recurrent layers or rings.
// Gives everything back when it dies. Move-only; the cache must outlive it.
//
// What a page or slot held before is not cleared: attention reads only positions that were written
// since, and a recurrent layer starts afresh at position 0.
class SeqState {
 public:
  // Makes room for n_tokens tokens in all. False, and nothing changed, when pages are lacking.
  bool reserve(int n_tokens) { return !paged_ || pages_.grow(pages_for(n_tokens)); }

  std::span<const std::int32_t> pages() const noexcept { return pages_.ids(); }
  int slot() const noexcept { return slot_.size() == 0 ? -1 : slot_.ids().front(); }

 private:
  friend class StateCache;
  SeqState(PagePool& pages, PagePool& slots)
      : paged_(pages.n_pages() > 0), pages_(pages), slot_(slots) {}

  bool paged_;
  PageTable pages_;
  PageTable slot_;  // at most one id
};

struct StateUsage {
  int pages_total = 0;
  int pages_free = 0;
  int slots_total = 0;
  int slots_free = 0;

  bool nothing_used() const noexcept {
    return pages_free == pages_total && slots_free == slots_total;
  }
};

// One thread only. Every SeqState must be gone before the cache is.
class StateCache {
 public:
  // n_pages == 0: no layer of the model keeps keys and values, sequences of any length have room.
  // n_slots == 0: the model has no recurrent layers, and no rings of pages (with_rings).
  StateCache(int n_pages, int n_slots) : pages_(n_pages), slots_(n_slots) {}
  ~StateCache();
  StateCache(const StateCache&) = delete;
  StateCache& operator=(const StateCache&) = delete;

  // A state with room for n_tokens tokens; nullopt when pages or slots are lacking.
  std::optional<SeqState> make(int n_tokens);

  StateUsage usage() const noexcept;
  int pages_free() const noexcept { return pages_.n_free(); }
  bool paged() const noexcept { return pages_.n_pages() > 0; }
  // Whether one more sequence would get what it needs of slots.
  bool slot_free() const noexcept { return slots_.n_pages() == 0 || slots_.n_free() > 0; }

 private:
  PagePool pages_;
  PagePool slots_;
};

}  // namespace rbee
