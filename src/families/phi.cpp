// Phi 1, 1.5 and 2: one norm for attention and MLP, which run side by side, and biases everywhere.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/plain_mlp.hpp"
#include "nn/rope.hpp"

namespace rbee {
namespace {

constexpr nn::NormName kQueryNorm{
    {"layers.{}.self_attn.q_layernorm.weight", "blk.{}.attn_q_norm.weight"},
    {"layers.{}.self_attn.q_layernorm.bias", "blk.{}.attn_q_norm.bias"}};
constexpr nn::NormName kKeyNorm{
    {"layers.{}.self_attn.k_layernorm.weight", "blk.{}.attn_k_norm.weight"},
    {"layers.{}.self_attn.k_layernorm.bias", "blk.{}.attn_k_norm.bias"}};

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  auto config = nn::DecoderConfig::read(checkpoint, {.norm = nn::NormKind::layer,
                                                     .eps = 1e-5,
                                                     .activation = Activation::gelu_tanh,
                                                     .rotated_part = 0.5});
  config.qkv_bias = config.output_bias = config.mlp_bias = true;
  return config;
}

// Layer norms of each head, which no released model has.
std::optional<nn::QkNorm> read_qk_norm(Loader& load, const nn::DecoderConfig& config, int layer) {
  constexpr Key kHasNorms{"qk_layernorm", ""};
  const bool named = load.checkpoint().boolean(kHasNorms).value_or(false);
  if (!named && !load.has(kQueryNorm.weight, layer)) return std::nullopt;
  const auto norm = [&](const nn::NormName& name) {
    return HeadNorm{.kind = HeadNorm::Kind::layer,
                    .weight = load.vector(name.weight, config.head_dim, layer),
                    .bias = load.vector(name.bias, config.head_dim, layer),
                    .eps = config.eps};
  };
  return nn::QkNorm{config.heads, config.kv_heads, norm(kQueryNorm), norm(kKeyNorm)};
}

struct Layer {
  nn::Norm norm;
  nn::Attention attention;
  nn::PlainMlp mlp;
};

class Phi final : public Model {
 public:
  explicit Phi(Loader& load) : Phi(load, read_config(load.checkpoint())) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      const Tensor normed = layer.norm(ops, x);
      layer.attention(ops, batch, x, normed);
      layer.mlp(ops, x, normed);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Phi(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    for (int i = 0; i < config.layers; ++i) {
      const nn::AttentionOptions options{.rope = rope, .qk_norm = read_qk_norm(load, config, i)};
      layers_.push_back({.norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
                         .attention = nn::Attention(load, config, i, options),
                         .mlp = nn::PlainMlp(load, config, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_phi;
const Family family_phi{
    .id = "phi", .hf = {"PhiForCausalLM", "phi"}, .gguf = {"phi2"}, .build = build<Phi>};

}  // namespace rbee
