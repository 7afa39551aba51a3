// GatedMlp: down(act(gate x) ⊙ up x) (Shazeer, 2020, arXiv:2002.05202).
#pragma once
#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"

namespace rbee::nn {

class GatedMlp {
 public:
  // Takes gate, up and down of this layer; gate and up separate or in one matrix.
  GatedMlp(Loader& load, const DecoderConfig& config, int layer);
  GatedMlp(const Linear& gate, const Linear& up, const Linear& down, Activation activation)
      : gate_(gate), up_(up), down_(down), activation_(activation) {}

  // residual += mlp(x); both [T, hidden].
  void operator()(Ops& ops, const Tensor& residual, const Tensor& x) const;
  // mlp(x), [T, hidden].
  Tensor output(Ops& ops, const Tensor& x) const;

 private:
  Linear gate_, up_, down_;
  Activation activation_;
};

}  // namespace rbee::nn
