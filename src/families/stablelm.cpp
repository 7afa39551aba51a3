// StableLM 3B, 2 1.6B and 2 12B: layer norms, a gated MLP, and a part of each head rotated. The 12B
// has one norm for attention and MLP side by side, and a layer norm of its own for each head of
// queries and keys.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"

namespace rbee {
namespace {

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  constexpr Key kBias{"use_qkv_bias", ""};
  auto config = nn::DecoderConfig::read(
      checkpoint,
      {.norm = nn::NormKind::layer, .eps = 1e-5, .max_context = 4096, .rotated_part = 0.25});
  config.qkv_bias = checkpoint.boolean(kBias).value_or(false);
  return config;
}

// The weights of all heads one after the other: a tensor of each head in safetensors, a matrix in
// GGUF.
HeadNorm load_head_norms(Loader& load, const nn::DecoderConfig& config, bool query, int layer) {
  const std::string part = query ? "q" : "k";
  const int heads = query ? config.heads : config.kv_heads;
  std::vector<float> weights;
  const std::string gguf = "blk.{}.attn_" + part + "_norm.weight";
  if (load.checkpoint().format() == Format::gguf) {
    const auto size = static_cast<std::size_t>(heads) * static_cast<std::size_t>(config.head_dim);
    weights = load.flat_values({"", gguf}, size, layer);  // a vector where there is one head
  } else {
    for (int h = 0; h < heads; ++h) {
      const std::string name =
          "layers.{}.self_attn." + part + "_layernorm.norms." + std::to_string(h) + ".weight";
      const auto head =
          load.values({name, gguf}, std::array<std::int64_t, 1>{config.head_dim}, layer);
      weights.insert(weights.end(), head.begin(), head.end());
    }
  }
  return {.kind = HeadNorm::Kind::layer, .weight = load.constant(weights), .eps = config.eps};
}

std::optional<nn::QkNorm> read_qk_norm(Loader& load, const nn::DecoderConfig& config, int layer) {
  constexpr Key kHasNorms{"qk_layernorm", ""};
  const bool named = load.checkpoint().boolean(kHasNorms).value_or(false);
  if (!named && !load.has({"", "blk.{}.attn_q_norm.weight"}, layer)) return std::nullopt;
  return nn::QkNorm{config.heads, config.kv_heads, load_head_norms(load, config, true, layer),
                    load_head_norms(load, config, false, layer)};
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  std::optional<nn::Norm> mlp_norm;  // none: side by side with attention
  nn::GatedMlp mlp;
};

class StableLm final : public Model {
 public:
  explicit StableLm(Loader& load) : StableLm(load, read_config(load.checkpoint())) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      const Tensor normed = layer.attention_norm(ops, x);
      layer.attention(ops, batch, x, normed);
      layer.mlp(ops, x, layer.mlp_norm ? (*layer.mlp_norm)(ops, x) : normed);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  StableLm(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kParallel{"use_parallel_residual", "use_parallel_residual"};
    const bool parallel = nn::flag(load.checkpoint(), kParallel, false);
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    for (int i = 0; i < config.layers; ++i) {
      const nn::AttentionOptions options{.rope = rope, .qk_norm = read_qk_norm(load, config, i)};
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = std::nullopt,
           .mlp = nn::GatedMlp(load, config, i)});
      if (!parallel) {
        layers_.back().mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i);
      }
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_stablelm;
const Family family_stablelm{
    .id = "stablelm",
    .hf = {"StableLmForCausalLM", "StableLMEpochForCausalLM", "stablelm", "stablelm_epoch"},
    .gguf = {"stablelm"},
    .build = build<StableLm>};

}  // namespace rbee
