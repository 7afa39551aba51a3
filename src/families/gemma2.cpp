// Gemma 2: norms before and after attention and MLP, soft caps on scores and logits, and a window
// in every other layer.
#include <cmath>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/gemma_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  nn::refuse_attention_both_ways(checkpoint);
  return nn::DecoderConfig::read(checkpoint, {.norm = nn::NormKind::rms_plus_one,
                                              .activation = Activation::gelu_tanh,
                                              .heads = 8,
                                              .kv_heads = 4,
                                              .head_dim = 256,
                                              .vocab = 256000,
                                              .max_context = 8192});
}

// GGUF files without the key are taken to have the usual cap: where there is none, ours have one
// that caps nothing.
float read_cap(const Checkpoint& checkpoint, const Key& key, float usual) {
  constexpr double kNone = 1e6;
  const float cap = nn::positive_or_none(checkpoint, key, usual);
  if (cap == 0) checkpoint.note(key, kNone);
  return cap;
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm post_attention_norm;
  nn::Norm mlp_norm;
  nn::GatedMlp mlp;
  nn::Norm post_mlp_norm;
};

class Gemma2 final : public Model {
 public:
  explicit Gemma2(Loader& load) : Gemma2(load, read_config(load.checkpoint())) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch, std::sqrt(static_cast<float>(info_.hidden_size)));
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      const Tensor attended = layer.attention.output(ops, batch, layer.attention_norm(ops, x));
      ops.add(x, layer.post_attention_norm(ops, attended));
      const Tensor inner = layer.mlp.output(ops, layer.mlp_norm(ops, x));
      ops.add(x, layer.post_mlp_norm(ops, inner));
    }
    const Tensor logits = head_.logits(ops, batch, x);
    if (logit_cap_ != 0) ops.softcap(logits, logit_cap_);
    return logits;
  }

 private:
  Gemma2(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kScoreCap{"attn_logit_softcapping", "attn_logit_softcapping"};
    constexpr Key kLogitCap{"final_logit_softcapping", "final_logit_softcapping"};
    constexpr int kDefaultWindow = 4096;
    constexpr int kLayersOf27B = 46;
    const Checkpoint& checkpoint = load.checkpoint();
    logit_cap_ = read_cap(checkpoint, kLogitCap, 30);
    nn::AttentionOptions options{.rope = nn::make_rope(load, config, RopePairing::half),
                                 .scale = nn::gemma_score_scale(checkpoint, config, kLayersOf27B),
                                 .softcap = read_cap(checkpoint, kScoreCap, 50)};
    const std::vector<int> windows =
        nn::layer_windows(checkpoint, config.layers, nn::read_window(checkpoint, kDefaultWindow),
                          [](int i) { return i % 2 == 0; });
    for (int i = 0; i < config.layers; ++i) {
      options.window = windows[static_cast<std::size_t>(i)];
      const auto norm = [&](const nn::NormName& name) {
        return nn::load_norm(load, config, name, i);
      };
      layers_.push_back({.attention_norm = norm(nn::names::kAttentionNorm),
                         .attention = nn::Attention(load, config, i, options),
                         .post_attention_norm = norm(nn::names::kPostAttentionNorm),
                         .mlp_norm = norm(nn::names::kPreMlpNorm),
                         .mlp = nn::GatedMlp(load, config, i),
                         .post_mlp_norm = norm(nn::names::kPostMlpNorm)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  float logit_cap_ = 0;
  ModelInfo info_;
};

}  // namespace

extern const Family family_gemma2;
const Family family_gemma2{.id = "gemma2",
                           .hf = {"Gemma2ForCausalLM", "gemma2"},
                           .gguf = {"gemma2"},
                           .build = build<Gemma2>};

}  // namespace rbee
