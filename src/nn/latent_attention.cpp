#include "nn/latent_attention.hpp"

#include <fmt/format.h>

#include <cmath>

#include "nn/config_values.hpp"

namespace rbee::nn {
namespace {

constexpr int kMaxDim = 1 << 14;
// The norms of latents have their own epsilon, whatever the model's (transformers: the default of
// the norm's class).
constexpr float kEps = 1e-6F;

constexpr Key kQueryRank{"q_lora_rank", "attention.q_lora_rank"};
constexpr Key kLatentDim{"kv_lora_rank", "attention.kv_lora_rank"};
constexpr Key kNopeDim{"qk_nope_head_dim", ""};
constexpr Key kRopeDim{"qk_rope_head_dim", "rope.dimension_count"};
// Files from before the latent was cached have the head's own sizes in the plain keys.
constexpr Key kKeyDim{"", "attention.key_length_mla|attention.key_length"};
constexpr Key kValueDim{"v_head_dim", "attention.value_length_mla|attention.value_length"};

constexpr LinearName kQueryDown{{"layers.{}.self_attn.q_a_proj.weight", "blk.{}.attn_q_a.weight"},
                                {"layers.{}.self_attn.q_a_proj.bias", "blk.{}.attn_q_a.bias"}};
constexpr Name kQueryNorm{"layers.{}.self_attn.q_a_layernorm.weight",
                          "blk.{}.attn_q_a_norm.weight"};
constexpr LinearName kQueryUp{{"layers.{}.self_attn.q_b_proj.weight", "blk.{}.attn_q_b.weight"},
                              {}};
constexpr LinearName kLatentDown{
    {"layers.{}.self_attn.kv_a_proj_with_mqa.weight", "blk.{}.attn_kv_a_mqa.weight"},
    {"layers.{}.self_attn.kv_a_proj_with_mqa.bias", "blk.{}.attn_kv_a_mqa.bias"}};
constexpr Name kLatentNorm{"layers.{}.self_attn.kv_a_layernorm.weight",
                           "blk.{}.attn_kv_a_norm.weight"};
// Of each head, one after the other: rows of keys and then of values. GGUF files have had the two
// apart, and the keys transposed, since 2025.
constexpr Name kUp{"layers.{}.self_attn.kv_b_proj.weight", "blk.{}.attn_kv_b.weight"};
constexpr Name kKeyUp{"", "blk.{}.attn_k_b.weight"};
constexpr Name kValueUp{"", "blk.{}.attn_v_b.weight"};

int read_nope_dim(const Checkpoint& checkpoint, int rope_dim) {
  if (checkpoint.format() == Format::safetensors) return count(checkpoint, kNopeDim, kMaxDim);
  const int key_dim = count(checkpoint, kKeyDim, kMaxDim);
  if (key_dim <= rope_dim) {
    bad_value(checkpoint, kKeyDim, fmt::format("more than the {} that are rotated", rope_dim),
              std::to_string(key_dim));
  }
  return key_dim - rope_dim;
}

}  // namespace

LatentConfig LatentConfig::read(const Checkpoint& checkpoint) {
  LatentConfig config;
  if (checkpoint.integer(kQueryRank).value_or(0) != 0) {
    config.query_rank = count(checkpoint, kQueryRank, kMaxExtent);
  }
  config.latent_dim = count(checkpoint, kLatentDim, kMaxDim);
  config.rope_dim = count(checkpoint, kRopeDim, kMaxDim);
  if (config.rope_dim % 2 != 0) {
    bad_value(checkpoint, kRopeDim, "an even number", std::to_string(config.rope_dim));
  }
  config.nope_dim = read_nope_dim(checkpoint, config.rope_dim);
  config.value_dim = count(checkpoint, kValueDim, kMaxDim);
  config.scale = 1 / std::sqrt(static_cast<float>(config.nope_dim + config.rope_dim));
  return config;
}

LatentAttention::LatentAttention(Loader& load, const DecoderConfig& config,
                                 const LatentConfig& latent, int layer)
    : params_{.n_heads = config.heads,
              .latent_dim = latent.latent_dim,
              .rope_dim = latent.rope_dim,
              .scale = latent.scale,
              .rope = latent.rope},
      layer_(layer) {
  const Bias bias = config.qkv_bias ? Bias::required : Bias::if_present;
  const int query_rows = config.heads * (latent.nope_dim + latent.rope_dim);
  if (latent.query_rank > 0) {
    down_ = {load_linear(load, kQueryDown, latent.query_rank, config.hidden, layer, bias)};
    query_norm_ = {.weight = load.vector(kQueryNorm, latent.query_rank, layer), .eps = kEps};
    query_up_ = load_linear(load, kQueryUp, query_rows, latent.query_rank, layer, Bias::if_present);
  } else {
    down_ = {load_linear(load, names::kQuery, query_rows, config.hidden, layer, Bias::if_present)};
  }
  down_.push_back(load_linear(load, kLatentDown, latent.latent_dim + latent.rope_dim, config.hidden,
                              layer, bias));
  latent_norm_ = {.weight = load.vector(kLatentNorm, latent.latent_dim, layer), .eps = kEps};
  const int heads = config.heads;
  if (load.has(kKeyUp, layer)) {
    key_up_ = load.head_matrices(kKeyUp, {heads, latent.latent_dim}, latent.nope_dim, layer);
    value_up_ = load.head_matrices(kValueUp, {heads, latent.value_dim}, latent.latent_dim, layer);
  } else {
    const int rows = latent.nope_dim + latent.value_dim;
    key_up_ = load.head_matrices(kUp, {heads, rows, 0, latent.nope_dim, /*transpose=*/true},
                                 latent.latent_dim, layer);
    value_up_ = load.head_matrices(kUp, {heads, rows, latent.nope_dim, latent.value_dim},
                                   latent.latent_dim, layer);
  }
  output_ = load_linear(load, names::kOutput, config.hidden, heads * latent.value_dim, layer,
                        config.output_bias ? Bias::required : Bias::if_present);
}

void LatentAttention::operator()(Ops& ops, const Batch& batch, const Tensor& residual,
                                 const Tensor& x) const {
  const Tensor down = ops.linear(x, down_);
  const int width = params_.latent_dim + params_.rope_dim;
  Tensor query = down.columns(0, down.cols - width);
  const Tensor latent = down.columns(down.cols - width, width);
  ops.norm_heads(latent.columns(0, params_.latent_dim), 1, latent_norm_);
  if (query_up_.weight) query = ops.linear(query_norm_(ops, query), {&query_up_, 1});
  query = ops.linear_heads(query, key_up_, params_.rope_dim);
  const Tensor sums = ops.attend_latent(query, latent, params_, batch, layer_);
  ops.linear_add(residual, ops.linear_heads(sums, value_up_, 0), output_);
}

}  // namespace rbee::nn
