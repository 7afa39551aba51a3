#include "backend/ref/ref_backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "backend/ref/ref_ops.hpp"
#include "base/load_error.hpp"

namespace rbee {
namespace {

// What the weights of a dry run point to.
constexpr std::byte kNoWeight{};

[[noreturn]] void broken(const std::string& what) { throw BackendError("ref: " + what); }

// Floats of a page; 0 for a layer without pages.
std::size_t floats_per_page(const LayerState& layer) {
  std::size_t per_token = 0;
  if (const auto* kv = std::get_if<PagedKv>(&layer)) {
    per_token =
        2 * static_cast<std::size_t>(kv->n_kv_heads) * static_cast<std::size_t>(kv->head_dim);
  } else if (const auto* latent = std::get_if<PagedLatent>(&layer)) {
    per_token = static_cast<std::size_t>(latent->latent_dim + latent->rope_dim);
  }
  return std::size_t{kPageTokens} * per_token;
}

int ring_pages(const LayerState& layer) {
  const auto* kv = std::get_if<PagedKv>(&layer);
  return kv != nullptr ? kv->ring_pages : 0;
}

void check_slots(const Batch& batch, int n_slots) {
  std::vector<std::int32_t> slots(batch.slots.begin(), batch.slots.end());
  if (slots.size() != static_cast<std::size_t>(batch.n_seqs())) {
    broken("a sequence has no slot for its recurrent state");
  }
  std::sort(slots.begin(), slots.end());
  if (std::adjacent_find(slots.begin(), slots.end()) != slots.end()) {
    broken("two sequences have the same slot");
  }
  if (!slots.empty() && (slots.front() < 0 || slots.back() >= n_slots)) broken("no such slot");
}

}  // namespace

void RefBackend::check_batch(const Batch& batch) const {
  const auto n = static_cast<std::size_t>(batch.n_seqs());
  if (batch.positions.size() != batch.tokens.size() || batch.seq_begin.size() != n + 1 ||
      batch.page_begin.size() != n + 1 || batch.seq_begin.front() != 0 ||
      batch.seq_begin.back() != batch.n_tokens()) {
    broken("the sequences do not add up to the batch");
  }
  bool paged = false;
  for (const StateLayer& layer : state_) {
    paged = paged || layer.n_slots == 0;
    if (layer.n_slots > 0) check_slots(batch, layer.n_slots);
  }
  for (std::size_t s = 0; s < n; ++s) {
    const int kv_len = batch.kv_len[s];
    if (paged && (batch.page_begin[s + 1] - batch.page_begin[s]) * kPageTokens < kv_len) {
      broken("a sequence has fewer pages than tokens");
    }
    for (int t = batch.seq_begin[s]; t < batch.seq_begin[s + 1]; ++t) {
      const int position = batch.positions[static_cast<std::size_t>(t)];
      if (position < 0 || position >= kv_len) broken("a position lies outside its sequence");
    }
  }
  for (const std::int32_t row : batch.logit_rows) {
    if (row < 0 || row >= batch.n_tokens()) broken("logits wanted of a row that is not there");
  }
}

Weight RefBackend::pack(const HostMatrix& matrix) {
  const bool whole_blocks =
      matrix.rows > 0 && matrix.cols > 0 && matrix.cols % info(matrix.type).block == 0;
  const std::size_t bytes = whole_blocks ? packed_bytes(matrix.type, matrix.rows, matrix.cols) : 0;
  if (!whole_blocks || (!dry_run_ && matrix.bytes.size() != bytes)) {
    throw LoadError("backend ref", fmt::format("tensor '{}'", matrix.name),
                    fmt::format("[{}, {}] of {} in whole blocks", matrix.rows, matrix.cols,
                                info(matrix.type).name),
                    fmt::format("{} bytes", matrix.bytes.size()));
  }
  weight_bytes_ += bytes;
  if (dry_run_) return {&kNoWeight, matrix.type, matrix.rows, matrix.cols};
  Weight weight = keep(matrix.bytes, matrix.type, matrix.rows, matrix.cols);
  weight.scale = matrix.scale;
  return weight;
}

Weight RefBackend::pack_vector(std::span<const float> values) {
  const int size = static_cast<int>(values.size());
  weight_bytes_ += values.size_bytes();
  if (dry_run_) return {&kNoWeight, DType::f32, 1, size};
  return keep(std::as_bytes(values), DType::f32, 1, size);
}

Weight RefBackend::keep(std::span<const std::byte> bytes, DType type, int rows, int cols) {
  const auto& copy = weights_.emplace_back(bytes.begin(), bytes.end());
  return {copy.data(), type, rows, cols};
}

std::size_t RefBackend::packed_bytes(DType type, int rows, int cols) const {
  return static_cast<std::size_t>(rows) * row_bytes(type, static_cast<std::size_t>(cols));
}

std::size_t RefBackend::page_bytes(std::span<const LayerState> layers) const {
  std::size_t bytes = 0;
  for (const LayerState& layer : layers) {
    if (ring_pages(layer) == 0) bytes += floats_per_page(layer) * sizeof(float);
  }
  return bytes;
}

std::size_t RefBackend::slot_bytes(std::span<const LayerState> layers) const {
  std::size_t bytes = 0;
  for (const LayerState& layer : layers) {
    if (const auto* recurrent = std::get_if<Recurrent>(&layer)) bytes += recurrent->bytes;
    bytes += floats_per_page(layer) * static_cast<std::size_t>(ring_pages(layer)) * sizeof(float);
  }
  return bytes;
}

void RefBackend::allocate_state(std::span<const LayerState> layers, int n_pages, int n_slots) {
  state_.clear();
  for (const LayerState& layer : layers) {
    StateLayer& added = state_.emplace_back();
    added.shape = layer;
    const int ring = ring_pages(layer);
    added.n_pages = ring > 0 ? ring * n_slots : n_pages;
    added.n_slots = ring > 0 ? n_slots : 0;
    std::size_t floats = floats_per_page(layer) * static_cast<std::size_t>(added.n_pages);
    if (const auto* recurrent = std::get_if<Recurrent>(&layer)) {
      added.slot_floats = recurrent->bytes / sizeof(float);
      added.n_slots = n_slots;
      if (added.slot_floats == 0) broken("a recurrent layer keeps nothing");
      added.n_pages = 0;
      floats = added.slot_floats * static_cast<std::size_t>(n_slots);
    }
    added.data.reset(static_cast<float*>(std::calloc(floats, sizeof(float))));
    if (added.data == nullptr) broken("not enough memory for the state");
  }
  state_bytes_ = page_bytes(layers) * static_cast<std::size_t>(n_pages) +
                 slot_bytes(layers) * static_cast<std::size_t>(n_slots);
}

std::span<const float> RefBackend::run(const Batch& batch, Forward forward) {
  if (dry_run_) broken("a dry run keeps no weights");
  check_batch(batch);
  RefOps ops(state_, observer_);
  const Tensor logits = forward(ops, batch);
  logits_.resize(static_cast<std::size_t>(logits.rows) * static_cast<std::size_t>(logits.cols));
  for (int row = 0; row < logits.rows; ++row) {
    const float* from = logits.data + static_cast<std::ptrdiff_t>(row) * logits.stride;
    std::copy_n(from, logits.cols, logits_.data() + static_cast<std::ptrdiff_t>(row) * logits.cols);
  }
  scratch_bytes_ = std::max(scratch_bytes_, ops.peak_bytes());
  return logits_;
}

MemoryUse RefBackend::memory() const { return {weight_bytes_, state_bytes_, scratch_bytes_}; }

}  // namespace rbee
