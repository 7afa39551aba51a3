// PlainMlp: down(act(up x)), with biases where the checkpoint has them.
#pragma once
#include "backend/ops.hpp"
#include "nn/decoder_config.hpp"
#include "nn/parts.hpp"

namespace rbee::nn {

class PlainMlp {
 public:
  // up: [ffn, hidden]; down: [hidden, ffn].
  PlainMlp(const Linear& up, const Linear& down, Activation activation)
      : up_(up), down_(down), activation_(activation) {}
  // Takes both by their usual names.
  PlainMlp(Loader& load, const DecoderConfig& config, int layer)
      : PlainMlp(load_linear(load, names::kPlainUp, config.ffn, config.hidden, layer,
                             config.mlp_bias ? Bias::required : Bias::if_present),
                 load_linear(load, names::kPlainDown, config.hidden, config.ffn, layer,
                             config.mlp_bias ? Bias::required : Bias::if_present),
                 config.activation) {}

  // residual += mlp(x); both [T, hidden].
  void operator()(Ops& ops, const Tensor& residual, const Tensor& x) const {
    const Tensor inner = ops.linear(x, {&up_, 1});
    ops.activate(inner, activation_);
    ops.linear_add(residual, inner, down_);
  }

 private:
  Linear up_, down_;
  Activation activation_;
};

}  // namespace rbee::nn
