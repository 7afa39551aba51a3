// Phi-3 mini and medium, 3.5-mini, Phi-4 and 4-mini: Llama's shape with fused projections, LongRoPE
// and perhaps a window.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::GatedMlp mlp;
};

class Phi3 final : public Model {
 public:
  explicit Phi3(Loader& load)
      : Phi3(load, nn::DecoderConfig::read(load.checkpoint(), {.eps = 1e-5, .max_context = 4096})) {
  }

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
  Phi3(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const nn::AttentionOptions options{.rope = nn::make_rope(load, config, RopePairing::half),
                                       .window = nn::read_window(load.checkpoint())};
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

extern const Family family_phi3;
const Family family_phi3{
    .id = "phi3", .hf = {"Phi3ForCausalLM", "phi3"}, .gguf = {"phi3"}, .build = build<Phi3>};

}  // namespace rbee
