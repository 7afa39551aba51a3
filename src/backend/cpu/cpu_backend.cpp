#include "backend/cpu/cpu_backend.hpp"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "backend/cpu/cpu_count.hpp"
#include "backend/cpu/cpu_ops.hpp"
#include "backend/cpu/kernels/matmul.hpp"

namespace rbee {
namespace {

// Addresses, not memory: pages are taken as a step uses them.
constexpr std::size_t kSharedScratch = std::size_t{64} << 30;
constexpr std::size_t kOwnScratch = std::size_t{1} << 30;

cpu::Isa choose_isa(std::string_view wanted) {
  if (wanted.empty()) return cpu::best_isa();
  std::string known;
  for (const cpu::Isa isa : cpu::kAllIsas) {
    const std::string_view name = cpu::isa_name(isa);
    known += known.empty() ? "" : ", ";
    known += name;
    if (name != wanted) continue;
    if (cpu::isa_supported(isa)) return isa;
    throw BackendError("this processor lacks the instruction set " + std::string(wanted));
  }
  throw BackendError("unknown instruction set '" + std::string(wanted) + "', expected one of " +
                     known);
}

int thread_count(const BackendOptions& options) {
  const int threads = options.threads > 0 ? options.threads : cpu::usable_cores();
  return std::min(threads, cpu::ThreadPool::kMostThreads);
}

// Denormals count as zero while this lives: they are slow, and the dot product instructions flush
// them anyway. Set on every worker, so that a result does not depend on who computes it.
class FlushDenormals {
 public:
  FlushDenormals() noexcept : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | kFlushBits); }
  ~FlushDenormals() { _mm_setcsr(saved_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kFlushBits = 0x8040;  // FTZ and DAZ
  unsigned saved_;
};

}  // namespace

CpuBackend::CpuBackend(const BackendOptions& options)
    : options_(options),
      isa_(choose_isa(options.cpu_isa)),
      pool_(thread_count(options)),
      team_(pool_.size()),
      team_size_(pool_.size()),
      shared_(cpu::HugeMemory::reserve(kSharedScratch, "activations")) {
  for (int worker = 0; worker < pool_.size(); ++worker) {
    own_.push_back(cpu::HugeMemory::reserve(kOwnScratch, "activations"));
    const cpu::Worker state(worker, team_, shared_.bytes(), own_.back().bytes());
    ops_.push_back(std::make_unique<cpu::CpuOps>(state, isa_, cache_, options_.observer));
  }
}

CpuBackend::~CpuBackend() = default;

std::string CpuBackend::name() const {
  const std::string threads =
      std::to_string(pool_.size()) + (pool_.size() == 1 ? " thread" : " threads");
  return std::string("cpu (") + cpu::isa_name(isa_) + ", " + threads + ")";
}

Weight CpuBackend::keep(const HostMatrix& matrix) {
  if (matrix.lasting && !options_.repack) {
    return weights_.refer(matrix, options_.dry_run);
  }
  return options_.dry_run ? weights_.plan(matrix) : weights_.pack(matrix, pool_);
}

Weight CpuBackend::pack(const HostMatrix& matrix) {
  const Weight weight = keep(matrix);
  const cpu::ActType act = cpu::matmul_kernels(isa_).act_type(cpu::panel_matrix(weight).type);
  const std::size_t values =
      static_cast<std::size_t>(weight.rows) * static_cast<std::size_t>(weight.cols);
  (act == cpu::ActType::f32 ? exact_values_ : rounded_values_) += values;
  return weight;
}

Weight CpuBackend::pack_vector(std::span<const float> values) {
  return options_.dry_run ? weights_.plan_vector(values) : weights_.pack_vector(values);
}

std::size_t CpuBackend::packed_bytes(DType type, int rows, int cols) const {
  return cpu::packed_matrix_bytes(type, rows, cols);
}

cpu::KvStore CpuBackend::kv_store() const {
  switch (options_.kv_type) {
    case KvType::f32:
      return cpu::KvStore::f32;
    case KvType::bf16:
      return cpu::KvStore::bf16;
    case KvType::f16:
      return cpu::KvStore::f16;
    case KvType::q8_0:
      return cpu::KvStore::q8_0;
    case KvType::q4_0:
      return cpu::KvStore::q4_0;
    case KvType::automatic:
      break;
  }
  return rounded_values_ > exact_values_ ? cpu::KvStore::bf16 : cpu::KvStore::f32;
}

std::size_t CpuBackend::page_bytes(std::span<const LayerState> layers) const {
  return cpu::kv_page_bytes(layers, kv_store());
}

std::size_t CpuBackend::slot_bytes(std::span<const LayerState> layers) const {
  return cpu::kv_slot_bytes(layers, kv_store());
}

void CpuBackend::allocate_state(std::span<const LayerState> layers, int n_pages, int n_slots) {
  cache_ = cpu::KvCache(layers, kv_store(), n_pages, n_slots);
}

void CpuBackend::work(int worker, const Batch& batch, Forward forward) noexcept {
  const FlushDenormals flush;
  try {
    cpu::CpuOps& ops = *ops_[static_cast<std::size_t>(worker)];
    ops.begin_step();
    const Tensor result = forward(ops, batch);
    if (worker == 0) result_ = result;
  } catch (const cpu::StepAborted&) {
    // Another worker has failed and said why.
  } catch (...) {
    {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    team_.abort();
  }
}

std::span<const float> CpuBackend::host_logits() {
  const auto rows = static_cast<std::size_t>(result_.rows);
  const auto cols = static_cast<std::size_t>(result_.cols);
  if (rows <= 1 || result_.stride == result_.cols) return {result_.data, rows * cols};
  logits_.resize(rows * cols);
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(result_.data + r * static_cast<std::size_t>(result_.stride), cols,
                logits_.data() + r * cols);
  }
  return logits_;
}

std::span<const float> CpuBackend::run(const Batch& batch, Forward forward) {
  if (options_.dry_run) throw BackendError("a dry run keeps no weights");
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const int workers = team_size_.choose(batch.n_tokens());
  team_.reset(workers);
  failure_ = nullptr;
  pool_.run(workers, [&](int worker) { work(worker, batch, forward); });
  team_size_.note(std::chrono::duration<double>(Clock::now() - start).count(), team_.sleeps());
  if (failure_) {
    try {
      std::rethrow_exception(std::exchange(failure_, nullptr));
    } catch (const BackendError&) {
      throw;
    } catch (const std::exception& error) {
      throw BackendError(error.what());
    } catch (...) {
      throw BackendError("the step failed for an unknown reason");
    }
  }
  return host_logits();
}

MemoryUse CpuBackend::memory() const {
  MemoryUse use{weights_.bytes(), cache_.bytes(), logits_.capacity() * sizeof(float)};
  for (const auto& ops : ops_) use.scratch += ops->most_scratch();
  use.in_file = weights_.in_file();
  return use;
}

}  // namespace rbee
