// Qwen 3 with experts: as Qwen 3, with experts in place of the MLP in all layers or some.
#include <optional>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/lm_head.hpp"
#include "nn/moe.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  std::optional<nn::GatedMlp> mlp{};  // in place of experts
  MoeParams moe{};
};

class Qwen3Moe final : public Model {
 public:
  explicit Qwen3Moe(Loader& load)
      : Qwen3Moe(load, nn::DecoderConfig::read(load.checkpoint(),
                                               {.kv_heads = 4, .max_context = 32768})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      const Tensor inner = layer.mlp_norm(ops, x);
      if (layer.mlp) {
        (*layer.mlp)(ops, x, inner);
      } else {
        ops.moe_add(x, inner, layer.moe);
      }
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Qwen3Moe(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kUseWindow{"use_sliding_window", ""};  // in all layers, unlike the plain models
    constexpr int kDefaultWindow = 4096;
    const Checkpoint& checkpoint = load.checkpoint();
    const bool gguf = checkpoint.format() == Format::gguf;
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    const bool windowed = checkpoint.boolean(kUseWindow).value_or(gguf);
    const int window = windowed ? nn::read_window(checkpoint, gguf ? 0 : kDefaultWindow) : 0;
    const std::vector<bool> sparse = nn::sparse_layers(load, config.layers);
    nn::MoeConfig moe = nn::MoeConfig::read(checkpoint, config);
    // GGUF files lack the key; all released models normalise.
    moe.routing.normalise = nn::read_normalise(checkpoint, /*absent=*/gguf);
    for (int i = 0; i < config.layers; ++i) {
      const nn::AttentionOptions options{
          .rope = rope,
          .window = window,
          .qk_norm = nn::load_qk_norm(load, config, nn::NormWidth::head, i)};
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i)});
      if (sparse[static_cast<std::size_t>(i)]) {
        layers_.back().moe = nn::load_moe(load, config, moe, i);
      } else {
        layers_.back().mlp.emplace(load, config, i);
      }
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_qwen3_moe;
const Family family_qwen3_moe{
    .id = "qwen3_moe",
    .hf = {"Qwen3MoeForCausalLM", "qwen3_moe"},
    .gguf = {"qwen3moe"},
    .build = build<Qwen3Moe>,
};

}  // namespace rbee
