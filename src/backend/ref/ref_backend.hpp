// RefBackend: slow, obvious f32 ops on one thread. What it computes is what each op means; tests
// compare every other backend with it.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "backend/backend.hpp"

namespace rbee {

class RefBackend final : public Backend {
 public:
  explicit RefBackend(const BackendOptions& options = {})
      : dry_run_(options.dry_run), observer_(options.observer) {}

  std::string name() const override { return "ref"; }
  bool dry_run() const override { return dry_run_; }

  // Weights keep their file layout, in an own copy; rows are decoded to f32 whenever they are used.
  Weight pack(const HostMatrix& matrix) override;
  Weight pack_vector(std::span<const float> values) override;

  std::size_t packed_bytes(DType type, int rows, int cols) const override;
  std::size_t page_bytes(std::span<const LayerState> layers) const override;
  std::size_t slot_bytes(std::span<const LayerState> layers) const override;

  void allocate_state(std::span<const LayerState> layers, int n_pages, int n_slots) override;

  // Checks what the fast backends take for granted (token, page and slot numbers in range) and
  // throws BackendError where it does not hold.
  std::span<const float> run(const Batch& batch, Forward forward) override;

  MemoryUse memory() const override;

  struct Free {
    void operator()(float* memory) const noexcept { std::free(memory); }
  };
  // The f32 state of one layer: a cache [n_pages][kPageTokens][2][n_kv_heads][head_dim], keys
  // before values, or [n_pages][kPageTokens][latent_dim + rope_dim], or slots
  // [n_slots][slot_floats].
  struct StateLayer {
    LayerState shape{};
    int n_pages = 0;
    std::size_t slot_floats = 0;          // 0: a cache
    int n_slots = 0;                      // 0: a cache in pages of tables
    std::unique_ptr<float[], Free> data;  // zeroed by the system as it is touched
  };

 private:
  Weight keep(std::span<const std::byte> bytes, DType type, int rows, int cols);

  bool dry_run_;
  ProductObserver* observer_;
  std::deque<std::vector<std::byte>> weights_;
  void check_batch(const Batch& batch) const;

  std::vector<StateLayer> state_;
  std::vector<float> logits_;
  std::size_t weight_bytes_ = 0;
  std::size_t state_bytes_ = 0;
  std::size_t scratch_bytes_ = 0;  // the most a step has used
};

}  // namespace rbee
