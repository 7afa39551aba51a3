#include "nn/gated_mlp.hpp"

#include "nn/parts.hpp"

namespace rbee::nn {

GatedMlp::GatedMlp(Loader& load, const DecoderConfig& config, int layer)
    : activation_(config.activation) {
  const Bias bias = config.mlp_bias ? Bias::required : Bias::if_present;
  gate_ = load_linear(load, names::kGate, config.ffn, config.hidden, layer, bias);
  up_ = load_linear(load, names::kUp, config.ffn, config.hidden, layer, bias);
  down_ = load_linear(load, names::kDown, config.hidden, config.ffn, layer, bias);
}

void GatedMlp::operator()(Ops& ops, const Tensor& residual, const Tensor& x) const {
  ops.linear_add(residual, ops.gated(x, gate_, up_, activation_), down_);
}

}  // namespace rbee::nn
