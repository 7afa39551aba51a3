// CpuOps: the ops of one worker in a step. Small batches are normalised and converted by every
// worker for itself, in its own memory; all else is divided, in shared memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "backend/cpu/attend.hpp"
#include "backend/cpu/kernels/latent.hpp"
#include "backend/cpu/kernels/matmul.hpp"
#include "backend/cpu/kernels/recurrent.hpp"
#include "backend/cpu/kernels/vector.hpp"
#include "backend/cpu/kv_cache.hpp"
#include "backend/cpu/moe.hpp"
#include "backend/cpu/products.hpp"
#include "backend/cpu/rope_table.hpp"
#include "backend/cpu/worker.hpp"
#include "backend/ops.hpp"
#include "backend/product_observer.hpp"

namespace rbee::cpu {

class CpuOps final : public Ops {
 public:
  // observer: null, or one that outlives this.
  CpuOps(Worker worker, Isa isa, const KvCache& cache, ProductObserver* observer);

  void begin_step();

  Tensor embed(const Weight& table, const Batch& batch, float scale) override;
  void add_positions(const Tensor& acc, const Weight& table, const Batch& batch) override;
  Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) override;
  Tensor layer_norm(const Tensor& x, const Weight& weight, const Weight& bias, float eps) override;
  void norm_heads(const Tensor& x, int heads, const HeadNorm& norm) override;
  Tensor linear(const Tensor& x, std::span<const Linear> parts) override;
  void linear_add(const Tensor& acc, const Tensor& x, const Linear& part) override;
  Tensor linear_heads(const Tensor& x, std::span<const Weight> heads, int keep) override;
  Tensor gated(const Tensor& x, const Linear& gate, const Linear& up, Activation act) override;
  void moe_add(const Tensor& acc, const Tensor& x, const MoeParams& params) override;
  void activate(const Tensor& x, Activation act) override;
  void add(const Tensor& acc, const Tensor& x) override;
  void multiply(const Tensor& acc, const Tensor& x, Activation act) override;
  void scale(const Tensor& x, float factor) override;
  void clamp(const Tensor& x, float limit) override;
  void softcap(const Tensor& x, float cap) override;
  Tensor attend(const Tensor& qkv, const AttentionParams& params, const Batch& batch,
                int state_layer) override;
  Tensor short_conv(const Tensor& x, const ShortConv& conv, const Batch& batch,
                    const SlotPart& state) override;
  Tensor attend_latent(const Tensor& q, const Tensor& kv, const LatentAttention& params,
                       const Batch& batch, int state_layer) override;
  Tensor selective_scan(const ScanInputs& in, const SelectiveScan& scan, const Batch& batch,
                        const SlotPart& state) override;
  Tensor ssd_scan(const ScanInputs& in, const SsdScan& scan, const Batch& batch,
                  const SlotPart& state) override;
  Tensor token_shift(const Tensor& x, const Batch& batch, const SlotPart& state) override;
  Tensor lerp(const Tensor& x, const Tensor& delta, const Weight& factors,
              const Tensor& more) override;
  Tensor wkv6(const Wkv6Inputs& in, const Wkv6& wkv, const Batch& batch,
              const SlotPart& state) override;
  Tensor wkv7(const Wkv7Inputs& in, const Wkv7& wkv, const Batch& batch,
              const SlotPart& state) override;
  Tensor kda(const KdaInputs& in, const Kda& kda, const Batch& batch,
             const SlotPart& state) override;
  Tensor take_rows(const Tensor& x, std::span<const std::int32_t> rows) override;

  std::size_t most_scratch() const noexcept;  // bytes of own memory, of shared memory on worker 0

 private:
  std::size_t mark() override { return worker_.mark(); }
  void release(std::size_t mark) override;

  // A tensor that all workers fill together, and one that each has for itself.
  Tensor shared_tensor(int rows, int cols);
  Tensor own_tensor(int rows, int cols);
  // Calls body(begin, end) for the rows: all of them here for an own tensor, else this worker's.
  void for_rows(const Tensor& out, Range read, Worker::Body body);

  // Calls body(row, begin, end) for parts of the rows of x, whose columns [begin, end) it changes
  // in place: all of them here for an own tensor, else this worker's. unit: columns that stay
  // together.
  void change(const Tensor& x, Range read, int unit, FunctionRef<void(int, int, int)> body);

  // An op over sequences × units (heads, blocks of channels) that keeps floats values at part.
  struct Recurrence {
    const Batch& batch;
    SlotPart part;
    std::size_t floats = 0;
    int units = 0;
  };
  // The rows of one sequence in a step, and its state.
  struct SequencePart {
    int begin = 0, tokens = 0;
    float* state = nullptr;
    bool fresh = false;  // begins at position 0: what is in state does not count
  };
  // Divides the units of all sequences among the workers, after before(reads, out and the state).
  // body must not touch the state of another unit.
  void for_sequences(const Recurrence& op, std::initializer_list<Range> reads, const Tensor& out,
                     FunctionRef<void(const SequencePart&, int unit)> body);

  Activations convert(const Tensor& x, const Weight& weight);
  Product product(const Tensor& x, const Linear& part, float* out, std::ptrdiff_t stride);
  void show(const Tensor& x, const Weight& weight);
  void forget(const Range& written);

  struct Converted {
    Tensor source;
    Activations result;
  };

  Worker worker_;
  const MatmulKernels& matmul_;
  const VectorKernels& vector_;
  const RecurrentKernels& recurrent_;
  const AttentionKernels& attention_kernels_;
  const LatentKernels& latent_kernels_;
  const KvCache& cache_;
  ProductObserver* observer_;
  Attention attention_;
  Moe moe_;
  RopeTables ropes_;
  std::vector<Converted> converted_;  // of tensors that still hold the same values
  std::vector<Product> products_;     // of the call at hand
};

}  // namespace rbee::cpu
