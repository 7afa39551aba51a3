// KvCache: the keys and values, or latents, of all layers, in pages, and the recurrent slots.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/huge_memory.hpp"
#include "backend/cpu/kernels/attention.hpp"
#include "core/layer_state.hpp"

namespace rbee::cpu {

static_assert(kPageTokens == kKeyBlock);

// One layer: [n_pages][heads] pages, of tables or of slots, as in kernels/attention.hpp, or of one
// head as in kernels/latent.hpp.
struct KvLayer {
  std::span<std::byte> memory{};
  LayerState shape{};
  KvStore store = KvStore::f32;
  int n_pages = 0;
  int heads = 0;
  std::size_t head_bytes = 0;  // of a page of one head
  int ring_pages = 0;          // of each slot, n_pages of all; 0: pages of the batch's tables

  std::byte* page(int page, int head) const noexcept {
    const auto index = static_cast<std::size_t>(page) * static_cast<std::size_t>(heads) +
                       static_cast<std::size_t>(head);
    return memory.data() + index * head_bytes;
  }
};

// One recurrent layer: [n_slots] pieces of slot_bytes, each on a line of its own.
struct SlotLayer {
  std::span<std::byte> memory{};
  std::size_t slot_bytes = 0;

  float* slot(int slot) const noexcept {
    return reinterpret_cast<float*>(memory.data() + static_cast<std::size_t>(slot) * slot_bytes);
  }
};

std::size_t kv_page_bytes(std::span<const LayerState> layers, KvStore store);
std::size_t kv_slot_bytes(std::span<const LayerState> layers, KvStore store);

class KvCache {
 public:
  KvCache() = default;
  // Zeroed memory. Throws BackendError, with numbers, when it lacks, and for an odd head_dim.
  KvCache(std::span<const LayerState> layers, KvStore store, int n_pages, int n_slots);

  // Throws BackendError when layer number state_layer has no pages.
  const KvLayer& layer(int state_layer) const;
  // Throws BackendError when layer number state_layer has no slots of at least floats values.
  const SlotLayer& slots(int state_layer, std::size_t floats) const;
  std::size_t bytes() const noexcept { return memory_.bytes().size(); }

 private:
  HugeMemory memory_;
  std::vector<KvLayer> layers_;  // one for each layer of state, like slots_
  std::vector<SlotLayer> slots_;
};

}  // namespace rbee::cpu
