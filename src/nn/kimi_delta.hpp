// KimiDelta: Kimi delta attention (Kimi Linear, 2025, arXiv:2510.26692), linear attention with the
// delta rule and a decay for each channel. Keeps the last inputs of a short convolution and one
// matrix a head, whatever the length of the sequence.
#pragma once
#include <vector>

#include "backend/ops.hpp"
#include "core/layer_state.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"

namespace rbee::nn {

struct DeltaConfig {
  int heads = 0;
  int head_dim = 0;
  int conv_width = 0;

  // Throws LoadError when a value is missing or out of range.
  static DeltaConfig read(const Checkpoint& checkpoint, const DecoderConfig& config);
};

class KimiDelta {
 public:
  // Its state is state_layer number `layer`.
  KimiDelta(Loader& load, const DecoderConfig& config, const DeltaConfig& delta, int layer);

  // residual += attention(x); both [T, hidden].
  void operator()(Ops& ops, const Batch& batch, const Tensor& residual, const Tensor& x) const;

  Recurrent state() const;

 private:
  int width() const { return delta_.heads * delta_.head_dim; }

  DeltaConfig delta_;
  std::vector<Linear> in_;  // queries, keys, values; the latents of decay and gate; beta
  ShortConv conv_;          // of queries, keys and values
  Linear decay_, gate_;     // from their latents
  Kda params_;
  HeadNorm norm_;
  Linear output_;
  int layer_;
};

}  // namespace rbee::nn
