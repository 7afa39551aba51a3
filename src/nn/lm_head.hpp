// LmHead: both ends of a decoder, tokens to vectors and vectors to logits; they often share one
// matrix.
#pragma once
#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"
#include "nn/parts.hpp"

namespace rbee::nn {

class LmHead {
 public:
  // A checkpoint without an output matrix uses the embedding for it; one with both uses both as
  // they are, whatever its configuration says about tying.
  LmHead(Loader& load, const DecoderConfig& config);

  Tensor embed(Ops& ops, const Batch& batch, float scale = 1) const {
    return ops.embed(embedding_, batch, scale);
  }

  // The final norm and the logits of batch.logit_rows only: [logit_rows.size(), vocab].
  Tensor logits(Ops& ops, const Batch& batch, const Tensor& x) const;

 private:
  Weight embedding_;
  Norm norm_;
  Linear head_;
};

}  // namespace rbee::nn
