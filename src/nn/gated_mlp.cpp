#include "nn/gated_mlp.hpp"

#include "nn/parts.hpp"

namespace rbee::nn {

GatedMlp::GatedMlp(Loader& load, const DecoderConfig& config, int layer)
    : activation_(config.activation) {
  const Bias bias = config.mlp_bias ? Bias::required : Bias::if_present;
  const int ffn = config.ffn;
  const bool separate = load.has(names::kGate.weight, layer);
  if (!separate && load.has(names::kGateUp, layer)) {
    const auto half = [&](int begin) {
      return load.matrix(names::kGateUp, ffn, config.hidden, layer, Stored::range(2 * ffn, begin));
    };
    gate_ = {half(0)};
    up_ = {half(ffn)};
  } else {
    gate_ = load_linear(load, names::kGate, ffn, config.hidden, layer, bias);
    up_ = load_linear(load, names::kUp, ffn, config.hidden, layer, bias);
  }
  down_ = load_linear(load, names::kDown, config.hidden, ffn, layer, bias);
}

void GatedMlp::operator()(Ops& ops, const Tensor& residual, const Tensor& x) const {
  ops.linear_add(residual, ops.gated(x, gate_, up_, activation_), down_);
}

Tensor GatedMlp::output(Ops& ops, const Tensor& x) const {
  return ops.linear(ops.gated(x, gate_, up_, activation_), {&down_, 1});
}

}  // namespace rbee::nn
