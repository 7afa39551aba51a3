#include "backend/cpu/kv_cache.hpp"

#include <string>
#include <variant>

#include "backend/backend.hpp"
#include "backend/cpu/kernels/latent.hpp"

namespace rbee::cpu {
namespace {

// Pages of a layer: so many heads of so many bytes.
struct PageSize {
  int heads = 0;
  std::size_t head_bytes = 0;

  std::size_t bytes() const { return static_cast<std::size_t>(heads) * head_bytes; }
};

PageSize page_size(const LayerState& layer, KvStore store) {
  if (const auto* kv = std::get_if<PagedKv>(&layer)) {
    return {kv->n_kv_heads, key_bytes(store, kv->head_dim) + value_bytes(store, kv->head_dim)};
  }
  if (const auto* latent = std::get_if<PagedLatent>(&layer)) {
    return {1, latent_page_bytes(store, latent_padded(latent->latent_dim + latent->rope_dim))};
  }
  return {};
}

void check_shape(const LayerState& layer) {
  if (const auto* kv = std::get_if<PagedKv>(&layer)) {
    if (kv->head_dim > 0 && kv->head_dim % 2 == 0 && kv->n_kv_heads > 0) return;
    throw BackendError("attention needs heads of an even size, found " +
                       std::to_string(kv->n_kv_heads) + " of " + std::to_string(kv->head_dim));
  }
  if (const auto* latent = std::get_if<PagedLatent>(&layer)) {
    if (latent->latent_dim > 0 && latent->rope_dim >= 0) return;
    throw BackendError("attention needs latents, found " + std::to_string(latent->latent_dim) +
                       " + " + std::to_string(latent->rope_dim));
  }
}

std::size_t recurrent_bytes(const LayerState& layer) {
  const auto* recurrent = std::get_if<Recurrent>(&layer);
  return recurrent ? (recurrent->bytes + 63) / 64 * 64 : 0;
}

int ring_pages(const LayerState& layer) {
  const auto* kv = std::get_if<PagedKv>(&layer);
  return kv != nullptr ? kv->ring_pages : 0;
}

}  // namespace

std::size_t kv_page_bytes(std::span<const LayerState> layers, KvStore store) {
  std::size_t bytes = 0;
  for (const LayerState& layer : layers) {
    if (ring_pages(layer) == 0) bytes += page_size(layer, store).bytes();
  }
  return bytes;
}

std::size_t kv_slot_bytes(std::span<const LayerState> layers, KvStore store) {
  std::size_t bytes = 0;
  for (const LayerState& layer : layers) {
    bytes += recurrent_bytes(layer) +
             page_size(layer, store).bytes() * static_cast<std::size_t>(ring_pages(layer));
  }
  return bytes;
}

KvCache::KvCache(std::span<const LayerState> layers, KvStore store, int n_pages, int n_slots) {
  if (n_pages < 0 || n_slots < 0) throw BackendError("negative number of pages or slots");
  const auto pages = static_cast<std::size_t>(n_pages);
  const auto slots = static_cast<std::size_t>(n_slots);
  const std::size_t bytes =
      kv_page_bytes(layers, store) * pages + kv_slot_bytes(layers, store) * slots;
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
    check_shape(layer);
    const PageSize page = page_size(layer, store);
    const int ring = ring_pages(layer);
    const int own_pages = ring > 0 ? ring * n_slots : n_pages;
    const bool latent = std::holds_alternative<PagedLatent>(layer);
    added = {.shape = layer,
             .store = latent ? latent_store(store) : store,
             .n_pages = own_pages,
             .heads = page.heads,
             .head_bytes = page.head_bytes,
             .ring_pages = ring};
    slotted.slot_bytes = recurrent_bytes(layer);
    const std::size_t size =
        page.bytes() * static_cast<std::size_t>(own_pages) + slotted.slot_bytes * slots;
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
