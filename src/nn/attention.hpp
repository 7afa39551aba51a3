// Attention: multi-head attention with grouped keys and values (Ainslie et al., 2023,
// arXiv:2305.13245), over the paged cache.
#pragma once
#include <vector>

#include "backend/ops.hpp"
#include "core/layer_state.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"

namespace rbee::nn {

class Attention {
 public:
  // Takes q, k, v and o of this layer, separate or with q, k and v in one matrix. window: keys a
  // query sees, itself included; 0: all. Its state is state_layer number `layer`.
  Attention(Loader& load, const DecoderConfig& config, const Rope& rope, int layer, int window = 0);

  // residual += attention(x); both [T, hidden].
  void operator()(Ops& ops, const Batch& batch, const Tensor& residual, const Tensor& x) const;

  PagedKv state() const { return {params_.n_kv_heads, params_.head_dim, params_.window}; }

 private:
  std::vector<Linear> qkv_;
  Linear output_;
  AttentionParams params_;
  int layer_;
};

}  // namespace rbee::nn
