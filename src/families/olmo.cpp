// OLMo 1: Llama's shape with norms that have no weights, and queries, keys and values clipped.
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

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::GatedMlp mlp;
};

class Olmo final : public Model {
 public:
  explicit Olmo(Loader& load)
      : Olmo(load, nn::DecoderConfig::read(load.checkpoint(),
                                           {.norm = nn::NormKind::layer_bare, .eps = 1e-5})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      layer.mlp(ops, x, layer.mlp_norm(ops, x));
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Olmo(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kClip{"clip_qkv", "attention.clamp_kqv"};
    const bool gguf = load.checkpoint().format() == Format::gguf;
    // GGUF holds the rows of q and k in another order than config.json's format.
    const RopePairing pairing = gguf ? RopePairing::adjacent : RopePairing::half;
    const nn::AttentionOptions options{.rope = nn::make_rope(load, config, pairing),
                                       .clip = nn::positive_or_none(load.checkpoint(), kClip, 0)};
    for (int i = 0; i < config.layers; ++i) {
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i),
           .mlp = nn::GatedMlp(load, config, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_olmo;
const Family family_olmo{.id = "olmo",
                         .hf = {"OlmoForCausalLM", "olmo"},
                         .gguf = {"olmo"},
                         .pairs_rows_in_gguf = true,
                         .build = build<Olmo>};

}  // namespace rbee
