// GatedMlp: down(act(gate x) ⊙ up x) (Shazeer, 2020, arXiv:2002.05202).
#pragma once
#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"

namespace rbee::nn {

class GatedMlp {
 public:
  GatedMlp(Loader& load, const DecoderConfig& config, int layer);

  // residual += mlp(x); both [T, hidden].
  void operator()(Ops& ops, const Tensor& residual, const Tensor& x) const;

 private:
  Linear gate_, up_, down_;
  Activation activation_;
};

}  // namespace rbee::nn
