// Qwen 1.5, 2 and 2.5, QwQ, and distillations into them: Llama's shape with biases on q, k and v.
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

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  auto config = nn::DecoderConfig::read(checkpoint, {.max_context = 32768});
  config.qkv_bias = true;
  return config;
}

class Qwen2 final : public Model {
 public:
  explicit Qwen2(Loader& load) : Qwen2(load, read_config(load.checkpoint())) {}

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
  Qwen2(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    const std::vector<int> windows = nn::optional_windows(load.checkpoint(), config.layers);
    for (int i = 0; i < config.layers; ++i) {
      const nn::AttentionOptions options{.rope = rope,
                                         .window = windows.at(static_cast<std::size_t>(i))};
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

extern const Family family_qwen2;
const Family family_qwen2{
    .id = "qwen2", .hf = {"Qwen2ForCausalLM", "qwen2"}, .gguf = {"qwen2"}, .build = build<Qwen2>};

}  // namespace rbee
