// Kimi Linear: Kimi delta attention, and in every fourth layer or so latent attention without any
// rotation; experts as DeepSeek-V3 has them (arXiv:2510.26692).
#include <optional>
#include <vector>

#include "model/family.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/kimi_delta.hpp"
#include "nn/latent_attention.hpp"
#include "nn/lm_head.hpp"
#include "nn/shared_moe.hpp"

namespace rbee {
namespace {

// Only layers of latent attention have one.
constexpr Name kLatentNorm{"layers.{}.self_attn.kv_a_layernorm.weight",
                           "blk.{}.attn_kv_a_norm.weight"};

// transformers 5 saves plain MLPs under the experts' name.
constexpr nn::LinearName kGate{
    {"layers.{}.block_sparse_moe.gate_proj.weight", "blk.{}.ffn_gate.weight"}, {}};
constexpr nn::LinearName kUp{{"layers.{}.block_sparse_moe.up_proj.weight", "blk.{}.ffn_up.weight"},
                             {}};
constexpr nn::LinearName kDown{
    {"layers.{}.block_sparse_moe.down_proj.weight", "blk.{}.ffn_down.weight"}, {}};

nn::GatedMlp load_mlp(Loader& load, const nn::DecoderConfig& config, int layer) {
  const bool gguf = load.checkpoint().format() == Format::gguf;
  if (gguf || !load.has(kGate.weight, layer)) return {load, config, layer};
  const auto part = [&](const nn::LinearName& name, int rows, int cols) {
    return nn::load_linear(load, name, rows, cols, layer, nn::Bias::if_present);
  };
  return {part(kGate, config.ffn, config.hidden), part(kUp, config.ffn, config.hidden),
          part(kDown, config.hidden, config.ffn), config.activation};
}

struct Layer {
  nn::Norm attention_norm;
  std::optional<nn::KimiDelta> delta{};
  std::optional<nn::LatentAttention> attention{};
  nn::Norm mlp_norm;
  std::optional<nn::GatedMlp> mlp{};
  std::optional<nn::SharedMoe> experts{};
};

nn::LatentConfig read_latent(const Checkpoint& checkpoint) {
  constexpr Key kNope{"mla_use_nope", ""};
  if (!checkpoint.boolean(kNope).value_or(true)) {
    nn::bad_value(checkpoint, kNope, "true", "false");
  }
  return nn::LatentConfig::read(checkpoint);
}

class KimiLinear final : public Model {
 public:
  explicit KimiLinear(Loader& load)
      : KimiLinear(load, nn::DecoderConfig::read(load.checkpoint(), {.own_heads = true})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      const Tensor a = layer.attention_norm(ops, x);
      if (layer.delta) (*layer.delta)(ops, batch, x, a);
      if (layer.attention) (*layer.attention)(ops, batch, x, a);
      const Tensor b = layer.mlp_norm(ops, x);
      if (layer.mlp) (*layer.mlp)(ops, x, b);
      if (layer.experts) (*layer.experts)(ops, x, b);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  KimiLinear(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Checkpoint& checkpoint = load.checkpoint();
    const nn::LatentConfig latent = read_latent(checkpoint);
    const auto delta = nn::DeltaConfig::read(checkpoint, config);
    const auto moe =
        nn::SharedMoeConfig::read(checkpoint, {.gating = Gating::sigmoid, .normalise = true});
    for (int i = 0; i < config.layers; ++i) {
      Layer layer{.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
                  .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i)};
      if (load.has(kLatentNorm, i)) {
        layer.attention.emplace(load, config, latent, i);
        info_.state.emplace_back(layer.attention->state());
      } else {
        layer.delta.emplace(load, config, delta, i);
        info_.state.emplace_back(layer.delta->state());
      }
      if (moe.has_experts(i)) {
        layer.experts.emplace(load, config, moe, i);
      } else {
        layer.mlp = load_mlp(load, config, i);
      }
      layers_.push_back(std::move(layer));
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_kimi_linear;
const Family family_kimi_linear{
    .id = "kimi_linear",
    .hf = {"KimiLinearForCausalLM", "kimi_linear"},
    .gguf = {"kimi-linear"},
    .build = build<KimiLinear>,
};

}  // namespace rbee
