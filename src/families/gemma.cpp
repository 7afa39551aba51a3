// Gemma: Llama's shape with norm weights stored as their difference from one, a GELU gate, and
// embeddings times sqrt(hidden).
#include <cmath>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/gemma_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"

namespace rbee {
namespace {

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  nn::refuse_attention_both_ways(checkpoint);
  auto config = nn::DecoderConfig::read(checkpoint, {.norm = nn::NormKind::rms_plus_one,
                                                     .activation = Activation::gelu_tanh,
                                                     .head_dim = 256,
                                                     .max_context = 8192});
  // The first configurations say "gelu", which was never what the model computes.
  if (config.activation == Activation::gelu_erf) config.activation = Activation::gelu_tanh;
  return config;
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::GatedMlp mlp;
};

class Gemma final : public Model {
 public:
  explicit Gemma(Loader& load) : Gemma(load, read_config(load.checkpoint())) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch, std::sqrt(static_cast<float>(info_.hidden_size)));
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      layer.mlp(ops, x, layer.mlp_norm(ops, x));
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Gemma(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    for (int i = 0; i < config.layers; ++i) {
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, {.rope = rope}),
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

extern const Family family_gemma;
const Family family_gemma{
    .id = "gemma", .hf = {"GemmaForCausalLM", "gemma"}, .gguf = {"gemma"}, .build = build<Gemma>};

}  // namespace rbee
