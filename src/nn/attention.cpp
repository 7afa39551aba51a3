#include "nn/attention.hpp"

#include <cmath>

#include "nn/parts.hpp"

namespace rbee::nn {

Attention::Attention(Loader& load, const DecoderConfig& config, const Rope& rope, int layer,
                     int window)
    : params_{.n_heads = config.heads,
              .n_kv_heads = config.kv_heads,
              .head_dim = config.head_dim,
              .scale = 1 / std::sqrt(static_cast<float>(config.head_dim)),
              .window = window,
              .rope = rope},
      layer_(layer) {
  const Bias bias = config.attention_bias ? Bias::required : Bias::if_present;
  const int q_rows = config.heads * config.head_dim;
  const int kv_rows = config.kv_heads * config.head_dim;
  const auto part = [&](const LinearName& name, int rows) {
    return load_linear(load, name, rows, config.hidden, layer, bias);
  };
  if (load.has(names::kQkv.weight, layer)) {
    qkv_ = {part(names::kQkv, q_rows + 2 * kv_rows)};
  } else {
    qkv_ = {part(names::kQuery, q_rows), part(names::kKey, kv_rows), part(names::kValue, kv_rows)};
  }
  output_ = load_linear(load, names::kOutput, config.hidden, q_rows, layer, bias);
}

void Attention::operator()(Ops& ops, const Batch& batch, const Tensor& residual,
                           const Tensor& x) const {
  const Tensor qkv = ops.linear(x, qkv_);
  ops.linear_add(residual, ops.attend(qkv, params_, batch, layer_), output_);
}

}  // namespace rbee::nn
