// Attention: multi-head attention with grouped keys and values (Ainslie et al., 2023,
// arXiv:2305.13245), over the paged cache.
#pragma once
#include <optional>
#include <vector>

#include "backend/ops.hpp"
#include "core/layer_state.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"

namespace rbee::nn {

// Normalisation of queries and keys before they are rotated: each taken as so many heads of equal
// width (one: over the whole row).
struct QkNorm {
  int query_heads = 1;
  int key_heads = 1;
  HeadNorm query{};
  HeadNorm key{};
};

enum class NormWidth : std::uint8_t { head, row };

// The RMS norms q_norm and k_norm of a layer: one weight for each element of a head, or of a row.
QkNorm load_qk_norm(Loader& load, const DecoderConfig& config, NormWidth width, int layer);

// How the attention of a layer differs from the plain kind.
struct AttentionOptions {
  Rope rope{};        // none: positions do not matter
  int window = 0;     // keys a query sees, itself included; 0: all
  float scale = 0;    // of the scores; 0: 1 / sqrt(head_dim)
  float softcap = 0;  // of the scores; 0: none
  float clip = 0;     // queries, keys and values into [-clip, clip], after their norms; 0: none
  std::optional<QkNorm> qk_norm{};
  Weight sinks{};  // see AttentionParams
};

struct AttentionWeights {
  std::vector<Linear> qkv;  // rows of queries, keys and values, in one matrix or several
  Linear output;
};

// q, k, v and o of a layer, separate or with q, k and v in one matrix.
AttentionWeights load_attention(Loader& load, const DecoderConfig& config, int layer);

class Attention {
 public:
  // Its state is state_layer number `layer`.
  Attention(AttentionWeights weights, const DecoderConfig& config, int layer,
            const AttentionOptions& options);
  Attention(Loader& load, const DecoderConfig& config, int layer, const AttentionOptions& options)
      : Attention(load_attention(load, config, layer), config, layer, options) {}

  // residual += attention(x); both [T, hidden].
  void operator()(Ops& ops, const Batch& batch, const Tensor& residual, const Tensor& x) const;
  // attention(x), [T, hidden].
  Tensor output(Ops& ops, const Batch& batch, const Tensor& x) const;

  PagedKv state() const { return {params_.n_kv_heads, params_.head_dim, params_.window}; }

 private:
  Tensor attend(Ops& ops, const Batch& batch, const Tensor& x) const;

  AttentionWeights weights_;
  std::optional<QkNorm> qk_norm_;
  float clip_;
  AttentionParams params_;
  int layer_;
};

}  // namespace rbee::nn
