// Falcon 7B, 11B and 40B: attention and MLP side by side, and no biases. The 40B
// (new_decoder_architecture) has a norm for each of the two.
#include <algorithm>
#include <optional>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/plain_mlp.hpp"
#include "nn/rope.hpp"

namespace rbee {
namespace {

// In GGUF, attn_norm is the norm of the MLP where there are two.
constexpr nn::NormName kOneNorm{{"h.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
                                {"h.{}.input_layernorm.bias", "blk.{}.attn_norm.bias"}};
constexpr nn::NormName kAttentionNorm{{"h.{}.ln_attn.weight", "blk.{}.attn_norm_2.weight"},
                                      {"h.{}.ln_attn.bias", "blk.{}.attn_norm_2.bias"}};
constexpr nn::NormName kMlpNorm{{"h.{}.ln_mlp.weight", "blk.{}.attn_norm.weight"},
                                {"h.{}.ln_mlp.bias", "blk.{}.attn_norm.bias"}};
// Of models whose MLP comes after attention.
constexpr nn::NormName kPostNorm{{"h.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
                                 {"h.{}.post_attention_layernorm.bias", "blk.{}.ffn_norm.bias"}};
constexpr nn::LinearName kQkv{
    {"h.{}.self_attention.query_key_value.weight", "blk.{}.attn_qkv.weight"},
    {"h.{}.self_attention.query_key_value.bias", "blk.{}.attn_qkv.bias"}};
constexpr nn::LinearName kOutput{{"h.{}.self_attention.dense.weight", "blk.{}.attn_output.weight"},
                                 {"h.{}.self_attention.dense.bias", "blk.{}.attn_output.bias"}};

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  constexpr Key kAlibi{"alibi", ""};
  constexpr Key kBias{"bias", ""};
  constexpr Key kNewDecoder{"new_decoder_architecture", ""};
  constexpr Key kMultiQuery{"multi_query", ""};
  constexpr Key kOldKvHeads{"n_head_kv", ""};
  if (checkpoint.boolean(kAlibi).value_or(false)) {
    nn::bad_value(checkpoint, kAlibi, "false: rotary positions", "true (ALiBi, as in falcon-rw)");
  }
  auto config = nn::DecoderConfig::read(checkpoint, {.norm = nn::NormKind::layer,
                                                     .eps = 1e-5,
                                                     .activation = Activation::gelu_erf,
                                                     .ffn_factor = 4});
  if (checkpoint.format() == Format::safetensors) {
    // The first 40B (RefinedWeb) has no key for its kind, but names its key heads.
    const bool new_decoder =
        checkpoint.boolean(kNewDecoder).value_or(checkpoint.integer(kOldKvHeads).has_value());
    if (!new_decoder) {
      config.kv_heads = checkpoint.boolean(kMultiQuery).value_or(true) ? 1 : config.heads;
    }
    config.qkv_bias = config.output_bias = config.mlp_bias =
        checkpoint.boolean(kBias).value_or(false);
  }
  return config;
}

// Safetensors hold the rows in groups: the queries of a key head, the key, the value.
Stored qkv_rows(const Checkpoint& checkpoint, const nn::DecoderConfig& config) {
  if (checkpoint.format() == Format::gguf) return {};
  const int d = config.head_dim, groups = config.kv_heads, queries = config.heads / groups;
  const auto row = [=](int r) {
    const int head = r / d, kv = head - queries * groups;
    const int group = kv < 0 ? head / queries : kv % groups;
    const int place = kv < 0 ? head % queries : queries + kv / groups;
    return (group * (queries + 2) + place) * d + r % d;
  };
  return {.row = row, .file_rows = (config.heads + 2 * groups) * d};
}

nn::AttentionWeights load_weights(Loader& load, const nn::DecoderConfig& config, int layer) {
  const int inner = config.heads * config.head_dim;
  const int rows = inner + 2 * config.kv_heads * config.head_dim;
  const Stored stored = qkv_rows(load.checkpoint(), config);
  Linear qkv{load.matrix(kQkv.weight, rows, config.hidden, layer, stored),
             load.maybe_vector(kQkv.bias, rows, layer, stored)};
  return {
      .qkv = {qkv},
      .output = nn::load_linear(load, kOutput, config.hidden, inner, layer,
                                config.output_bias ? nn::Bias::required : nn::Bias::if_present)};
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::PlainMlp mlp;
  std::optional<nn::Norm> mlp_norm{};   // none: that of attention
  std::optional<nn::Norm> post_norm{};  // of the MLP where it comes after attention
};

class Falcon final : public Model {
 public:
  explicit Falcon(Loader& load) : Falcon(load, read_config(load.checkpoint())) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      const Tensor normed = layer.attention_norm(ops, x);
      const Tensor mlp_input = layer.mlp_norm ? (*layer.mlp_norm)(ops, x) : normed;
      layer.attention(ops, batch, x, normed);
      layer.mlp(ops, x, layer.post_norm ? (*layer.post_norm)(ops, x) : mlp_input);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Falcon(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    const auto norm = [&](const nn::NormName& name, int layer) {
      return nn::load_norm(load, config, name, layer);
    };
    for (int i = 0; i < config.layers; ++i) {
      const bool two = load.has(kAttentionNorm.weight, i);
      layers_.push_back(
          {.attention_norm = norm(two ? kAttentionNorm : kOneNorm, i),
           .attention = nn::Attention(load_weights(load, config, i), config, i, {.rope = rope}),
           .mlp = nn::PlainMlp(load, config, i)});
      if (two) layers_.back().mlp_norm = norm(kMlpNorm, i);
      if (load.has(kPostNorm.weight, i)) layers_.back().post_norm = norm(kPostNorm, i);
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_falcon;
const Family family_falcon{
    .id = "falcon",
    .hf = {"FalconForCausalLM", "RWForCausalLM", "falcon", "RefinedWeb", "RefinedWebModel"},
    .gguf = {"falcon"},
    .build = build<Falcon>};

}  // namespace rbee
