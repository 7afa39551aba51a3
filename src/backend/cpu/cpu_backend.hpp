// CpuBackend: weights in panels, a pool of threads that all walk the model together, paged
// attention.
//
// There is no fork and join for each op. run wakes the workers; each of them calls forward with its
// own CpuOps, does its share of every op and meets the others at a barrier only where one reads
// what another has written (Worker::before): five times a layer when a Llama decodes.
//
// Results do not depend on the number of threads, on how tokens are cut into steps, or on what else
// is in a batch: bit for bit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.hpp"
#include "backend/cpu/huge_memory.hpp"
#include "backend/cpu/kernels/isa.hpp"
#include "backend/cpu/kv_cache.hpp"
#include "backend/cpu/team.hpp"
#include "backend/cpu/team_size.hpp"
#include "backend/cpu/thread_pool.hpp"
#include "backend/cpu/weight_store.hpp"

namespace rbee {

namespace cpu {
class CpuOps;
}

class CpuBackend final : public Backend {
 public:
  // Throws BackendError for an instruction set that is unknown or that the processor lacks.
  explicit CpuBackend(const BackendOptions& options);
  ~CpuBackend() override;

  std::string name() const override;
  bool dry_run() const override { return options_.dry_run; }

  Weight pack(const HostMatrix& matrix) override;
  Weight pack_vector(std::span<const float> values) override;
  std::size_t packed_bytes(DType type, int rows, int cols) const override;

  // With KvType::automatic these depend on the weights packed so far.
  std::size_t page_bytes(std::span<const LayerState> layers) const override;
  std::size_t slot_bytes(std::span<const LayerState> layers) const override;
  void allocate_state(std::span<const LayerState> layers, int n_pages, int n_slots) override;

  std::span<const float> run(const Batch& batch, Forward forward) override;
  MemoryUse memory() const override;

  int threads() const noexcept { return pool_.size(); }
  // Barriers of all steps so far.
  std::uint64_t barriers() const noexcept { return team_.meetings(); }

 private:
  Weight keep(const HostMatrix& matrix);
  cpu::KvStore kv_store() const;
  void work(int worker, const Batch& batch, Forward forward) noexcept;
  std::span<const float> host_logits();

  BackendOptions options_;
  cpu::Isa isa_;
  cpu::ThreadPool pool_;
  cpu::Team team_;
  cpu::TeamSize team_size_;
  cpu::WeightStore weights_;
  std::size_t rounded_values_ = 0;  // of matrices that meet rounded activations
  std::size_t exact_values_ = 0;    // of the others
  cpu::KvCache cache_;
  cpu::HugeMemory shared_;
  std::vector<cpu::HugeMemory> own_;
  std::vector<std::unique_ptr<cpu::CpuOps>> ops_;  // one for each worker
  Tensor result_{};                                // of worker 0 in this step
  std::vector<float> logits_;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // the first of this step
};

}  // namespace rbee
