#include "nn/lm_head.hpp"

namespace rbee::nn {

LmHead::LmHead(Loader& load, const DecoderConfig& config)
    : embedding_(load.matrix(names::kEmbed, config.vocab, config.hidden)),
      norm_(load_norm(load, config, names::kFinalNorm)),
      head_{load.maybe_matrix(names::kHead.weight, config.vocab, config.hidden),
            load.maybe_vector(names::kHead.bias, config.vocab)} {
  if (!head_.weight) head_.weight = embedding_;
}

Tensor LmHead::logits(Ops& ops, const Batch& batch, const Tensor& x) const {
  const Tensor rows = ops.take_rows(x, batch.logit_rows);
  return ops.linear(norm_(ops, rows), {&head_, 1});
}

}  // namespace rbee::nn
