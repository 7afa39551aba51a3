#include "nn/attention.hpp"

#include <cmath>
#include <utility>

#include "nn/parts.hpp"

namespace rbee::nn {

QkNorm load_qk_norm(Loader& load, const DecoderConfig& config, NormWidth width, int layer) {
  const bool by_head = width == NormWidth::head;
  const auto norm = [&](const Name& name, int heads) {
    const int size = by_head ? config.head_dim : heads * config.head_dim;
    return HeadNorm{.kind = HeadNorm::Kind::rms,
                    .weight = load_rms_weight(load, config, name, size, layer),
                    .eps = config.eps};
  };
  return {.query_heads = by_head ? config.heads : 1,
          .key_heads = by_head ? config.kv_heads : 1,
          .query = norm(names::kQueryNorm, config.heads),
          .key = norm(names::kKeyNorm, config.kv_heads)};
}

AttentionWeights load_attention(Loader& load, const DecoderConfig& config, int layer) {
  const Bias bias = config.qkv_bias ? Bias::required : Bias::if_present;
  const int q_rows = config.heads * config.head_dim;
  const int kv_rows = config.kv_heads * config.head_dim;
  const auto part = [&](const LinearName& name, int rows) {
    return load_linear(load, name, rows, config.hidden, layer, bias);
  };
  AttentionWeights weights;
  if (load.has(names::kQkv.weight, layer)) {
    weights.qkv = {part(names::kQkv, q_rows + 2 * kv_rows)};
  } else {
    weights.qkv = {part(names::kQuery, q_rows), part(names::kKey, kv_rows),
                   part(names::kValue, kv_rows)};
  }
  weights.output = load_linear(load, names::kOutput, config.hidden, q_rows, layer,
                               config.output_bias ? Bias::required : Bias::if_present);
  return weights;
}

Attention::Attention(AttentionWeights weights, const DecoderConfig& config, int layer,
                     const AttentionOptions& options)
    : weights_(std::move(weights)),
      qk_norm_(options.qk_norm),
      clip_(options.clip),
      params_{.n_heads = config.heads,
              .n_kv_heads = config.kv_heads,
              .head_dim = config.head_dim,
              .scale = options.scale != 0 ? options.scale
                                          : 1 / std::sqrt(static_cast<float>(config.head_dim)),
              .window = options.window,
              .rope = options.rope,
              .softcap = options.softcap,
              .sinks = options.sinks},
      layer_(layer) {}

Tensor Attention::attend(Ops& ops, const Batch& batch, const Tensor& x) const {
  const Tensor qkv = ops.linear(x, weights_.qkv);
  const int q_cols = params_.n_heads * params_.head_dim;
  if (qk_norm_) {
    ops.norm_heads(qkv.columns(0, q_cols), qk_norm_->query_heads, qk_norm_->query);
    ops.norm_heads(qkv.columns(q_cols, params_.n_kv_heads * params_.head_dim), qk_norm_->key_heads,
                   qk_norm_->key);
  }
  if (clip_ != 0) ops.clamp(qkv, clip_);
  return ops.attend(qkv, params_, batch, layer_);
}

void Attention::operator()(Ops& ops, const Batch& batch, const Tensor& residual,
                           const Tensor& x) const {
  ops.linear_add(residual, attend(ops, batch, x), weights_.output);
}

Tensor Attention::output(Ops& ops, const Batch& batch, const Tensor& x) const {
  return ops.linear(attend(ops, batch, x), {&weights_.output, 1});
}

}  // namespace rbee::nn
