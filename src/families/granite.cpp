// Granite (dense; 3.0 to 3.3): Llama with four scalars, of the embedding, of what each block adds,
// of the scores and of the logits.
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

class Granite final : public Model {
 public:
  explicit Granite(Loader& load)
      : Granite(load, nn::DecoderConfig::read(load.checkpoint(), {.eps = 1e-6})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch, embedding_scale_);
    const auto add = [&](const Tensor& y) {
      ops.scale(y, residual_scale_);
      ops.add(x, y);
    };
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      add(layer.attention.output(ops, batch, layer.attention_norm(ops, x)));
      add(layer.mlp.output(ops, layer.mlp_norm(ops, x)));
    }
    const Tensor logits = head_.logits(ops, batch, x);
    ops.scale(logits, 1 / logits_divisor_);
    return logits;
  }

 private:
  Granite(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const auto scalar = [&](const Key& key) {
      return static_cast<float>(nn::positive(load.checkpoint(), key, 1.0));
    };
    embedding_scale_ = scalar({"embedding_multiplier", "embedding_scale"});
    residual_scale_ = scalar({"residual_multiplier", "residual_scale"});
    logits_divisor_ = scalar({"logits_scaling", "logit_scale"});
    const float scores_scale = scalar({"attention_multiplier", "attention.scale"});
    // GGUF holds the rows of q and k in another order than config.json's format.
    const bool gguf = load.checkpoint().format() == Format::gguf;
    const Rope rope = nn::make_rope(load, config, gguf ? RopePairing::adjacent : RopePairing::half);
    for (int i = 0; i < config.layers; ++i) {
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, {.rope = rope, .scale = scores_scale}),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i),
           .mlp = nn::GatedMlp(load, config, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
  float embedding_scale_ = 1, residual_scale_ = 1, logits_divisor_ = 1;
};

}  // namespace

extern const Family family_granite;
const Family family_granite{.id = "granite",
                            .hf = {"GraniteForCausalLM", "granite"},
                            .gguf = {"granite"},
                            .pairs_rows_in_gguf = true,
                            .build = build<Granite>};

}  // namespace rbee
