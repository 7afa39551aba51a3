// Qwen 3 (dense): Llama's shape with a norm on each head of queries and keys.
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

class Qwen3 final : public Model {
 public:
  explicit Qwen3(Loader& load)
      : Qwen3(load,
              nn::DecoderConfig::read(load.checkpoint(), {.head_dim = 128, .max_context = 32768})) {
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
  Qwen3(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    const std::vector<int> windows = nn::optional_windows(load.checkpoint(), config.layers);
    for (int i = 0; i < config.layers; ++i) {
      const nn::AttentionOptions options{
          .rope = rope,
          .window = windows.at(static_cast<std::size_t>(i)),
          .qk_norm = nn::load_qk_norm(load, config, nn::NormWidth::head, i)};
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

extern const Family family_qwen3;
const Family family_qwen3{
    .id = "qwen3", .hf = {"Qwen3ForCausalLM", "qwen3"}, .gguf = {"qwen3"}, .build = build<Qwen3>};

}  // namespace rbee
