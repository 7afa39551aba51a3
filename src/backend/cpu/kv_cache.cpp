#include "backend/cpu/kv_cache.hpp"

#include <string>
#include <variant>

#include "backend/backend.hpp"

namespace rbee::cpu {
namespace {

std::size_t head_page_bytes(const PagedKv& kv, KvStore store) {
  return key_bytes(store, kv.head_dim) + value_bytes(store, kv.head_dim);
}

std::size_t layer_page_bytes(const LayerState& layer, KvStore store) {
  const auto* kv = std::get_if<PagedKv>(&layer);
  return kv ? static_cast<std::size_t>(kv->n_kv_heads) * head_page_bytes(*kv, store) : 0;
}

std::size_t layer_slot_bytes(const LayerState& layer) {
  const auto* recurrent = std::get_if<Recurrent>(&layer);
  return recurrent ? (recurrent->bytes + 63) / 64 * 64 : 0;
}

}  // namespace

std::size_t kv_page_bytes(std::span<const LayerState> layers, KvStore store) {
  std::size_t bytes = 0;
  for (const LayerState& layer : layers) bytes += layer_page_bytes(layer, store);
  return bytes;
}

std::size_t recurrent_slot_bytes(std::span<const LayerState> layers) {
  std::size_t bytes = 0;
  for (const LayerState& layer : layers) bytes += layer_slot_bytes(layer);
  return bytes;
}

KvCache::KvCache(std::span<const LayerState> layers, KvStore store, int n_pages, int n_slots) {
  if (n_pages < 0 || n_slots < 0) throw BackendError("negative number of pages or slots");
  const auto pages = static_cast<std::size_t>(n_pages);
  const auto slots = static_cast<std::size_t>(n_slots);
  const std::size_t bytes =
      kv_page_bytes(layers, store) * pages + recurrent_slot_bytes(layers) * slots;
  const std::size_t available = available_memory();
  if (bytes > available) {
    throw BackendError("state of " + std::to_string(n_pages) + " pages and " +
                       std::to_string(n_slots) + " slots needs " + std::to_string(bytes >> 20) +
                       " MiB, " + std::to_string(available >> 20) + " MiB are available");
  }
  memory_ = HugeMemory(bytes, "state");
  std::span<std::byte> rest = memory_.bytes();
  for (const LayerState& layer : layers) {
    KvLayer& added = layers_.emplace_back();
    SlotLayer& slotted = slots_.emplace_back();
    if (const auto* kv = std::get_if<PagedKv>(&layer)) {
      if (kv->head_dim <= 0 || kv->head_dim % 2 != 0 || kv->n_kv_heads <= 0) {
        throw BackendError("attention needs heads of an even size, found " +
                           std::to_string(kv->n_kv_heads) + " of " + std::to_string(kv->head_dim));
      }
      added = {{}, *kv, store, n_pages, head_page_bytes(*kv, store)};
    }
    const std::size_t size =
        layer_page_bytes(layer, store) * pages + layer_slot_bytes(layer) * slots;
    slotted.slot_bytes = layer_slot_bytes(layer);
    (slotted.slot_bytes > 0 ? slotted.memory : added.memory) = rest.first(size);
    rest = rest.subspan(size);
  }
}

const KvLayer& KvCache::layer(int state_layer) const {
  const bool known = state_layer >= 0 && state_layer < static_cast<int>(layers_.size());
  if (!known || layers_[static_cast<std::size_t>(state_layer)].head_bytes == 0) {
    throw BackendError("layer " + std::to_string(state_layer) + " has no key/value cache");
  }
  return layers_[static_cast<std::size_t>(state_layer)];
}

const SlotLayer& KvCache::slots(int state_layer, std::size_t floats) const {
  const bool known = state_layer >= 0 && state_layer < static_cast<int>(slots_.size());
  if (!known || slots_[static_cast<std::size_t>(state_layer)].slot_bytes < floats * sizeof(float)) {
    throw BackendError("layer " + std::to_string(state_layer) + " has no slots of " +
                       std::to_string(floats) + " values");
  }
  return slots_[static_cast<std::size_t>(state_layer)];
}

}  // namespace rbee::cpu
