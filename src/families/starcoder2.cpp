// StarCoder 2: layer norms, an MLP without a gate, biases, and a window that GGUF files do not
// mention.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/plain_mlp.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  constexpr Key kBias{"use_bias", ""};
  auto config = nn::DecoderConfig::read(checkpoint, {.norm = nn::NormKind::layer,
                                                     .eps = 1e-5,
                                                     .activation = Activation::gelu_tanh,
                                                     .max_context = 4096});
  const bool required = checkpoint.format() == Format::safetensors;
  config.qkv_bias = checkpoint.boolean(kBias).value_or(required);
  config.output_bias = config.mlp_bias = config.qkv_bias;
  return config;
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::PlainMlp mlp;
};

class StarCoder2 final : public Model {
 public:
  explicit StarCoder2(Loader& load) : StarCoder2(load, read_config(load.checkpoint())) {}

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
  StarCoder2(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const nn::AttentionOptions options{.rope = nn::make_rope(load, config, RopePairing::half),
                                       .window = nn::read_window(load.checkpoint())};
    for (int i = 0; i < config.layers; ++i) {
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i),
           .mlp = nn::PlainMlp(load, config, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_starcoder2;
const Family family_starcoder2{.id = "starcoder2",
                               .hf = {"Starcoder2ForCausalLM", "starcoder2"},
                               .gguf = {"starcoder2"},
                               .build = build<StarCoder2>};

}  // namespace rbee
