// LatentAttention: multi-head latent attention (DeepSeek-V2, 2024, arXiv:2405.04434) in its
// absorbed form. The keys and values of all heads are products of one latent a token; their
// matrices are multiplied with the query and with the result instead, so that only the latent is
// kept.
#pragma once
#include <vector>

#include "backend/ops.hpp"
#include "core/layer_state.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"
#include "nn/parts.hpp"

namespace rbee::nn {

struct LatentConfig {
  int query_rank = 0;  // width of the queries' own latent; 0: none
  int latent_dim = 0;
  int nope_dim = 0;   // of a head's query, without rotation
  int rope_dim = 0;   // and the part that may be rotated
  int value_dim = 0;  // of a head's result
  float scale = 0;    // of the scores
  Rope rope{};        // none: positions do not matter

  // All but the rotation, with the scale of an unrotated model. Throws LoadError when a value is
  // missing or out of range.
  static LatentConfig read(const Checkpoint& checkpoint);
};

class LatentAttention {
 public:
  // Its state is state_layer number `layer`.
  LatentAttention(Loader& load, const DecoderConfig& config, const LatentConfig& latent, int layer);

  // residual += attention(x); both [T, hidden].
  void operator()(Ops& ops, const Batch& batch, const Tensor& residual, const Tensor& x) const;

  PagedLatent state() const { return {params_.latent_dim, params_.rope_dim}; }

 private:
  std::vector<Linear> down_;  // queries, or their latent; the latent with the key to rotate
  Norm query_norm_;
  Linear query_up_;  // absent without a latent of the queries
  HeadNorm latent_norm_;
  std::vector<Weight> key_up_;    // of each head, transposed: [latent_dim, nope_dim]
  std::vector<Weight> value_up_;  // of each head: [value_dim, latent_dim]
  Linear output_;
  rbee::LatentAttention params_;
  int layer_;
};

}  // namespace rbee::nn
