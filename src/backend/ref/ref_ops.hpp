// RefOps: the ops of RefBackend, for one step.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/ops.hpp"
#include "backend/product_observer.hpp"
#include "backend/ref/ref_backend.hpp"

namespace rbee {

class RefOps final : public Ops {
 public:
  RefOps(std::span<RefBackend::StateLayer> state, ProductObserver* observer)
      : state_(state), observer_(observer) {}

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

  std::size_t peak_bytes() const { return peak_; }

 private:
  std::size_t mark() override { return arena_.size(); }
  void release(std::size_t mark) override;
  Tensor make(int rows, int cols);
  // out = x · weightᵀ (+ bias), or out += it.
  void product(const Tensor& out, const Tensor& x, const Linear& part, bool add);
  // Layer number state_layer, which must keep a Kind.
  template <class Kind>
  RefBackend::StateLayer& layer_of(int state_layer) {
    if (state_layer < 0 || static_cast<std::size_t>(state_layer) >= state_.size() ||
        !std::holds_alternative<Kind>(state_[static_cast<std::size_t>(state_layer)].shape)) {
      throw BackendError("ref: no such layer of state");
    }
    return state_[static_cast<std::size_t>(state_layer)];
  }
  // The state of sequence seq, floats values of it; zeroed when the step begins at position 0.
  float* slot(const Batch& batch, int seq, const SlotPart& part, std::size_t floats);

  std::span<RefBackend::StateLayer> state_;
  ProductObserver* observer_;
  std::vector<std::vector<float>> arena_;  // one block for each tensor, in the order they were made
  std::size_t used_ = 0;
  std::size_t peak_ = 0;
};

}  // namespace rbee
