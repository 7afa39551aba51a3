// Gemma 3 (the text part): Gemma 2 with norms on queries and keys in place of the caps, and five
// windowed layers, rotated with a base of their own, before each full one.
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

// What configurations of the multimodal models leave out is that of the 4B.
nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  nn::refuse_attention_both_ways(checkpoint);
  return nn::DecoderConfig::read(checkpoint, {.norm = nn::NormKind::rms_plus_one,
                                              .activation = Activation::gelu_tanh,
                                              .heads = 8,
                                              .kv_heads = 4,
                                              .head_dim = 256,
                                              .vocab = 262208,
                                              .max_context = 131072,
                                              .rope_theta = 1e6});
}

std::vector<int> read_windows(const Checkpoint& checkpoint, int layers) {
  constexpr Key kPeriod{"sliding_window_pattern|_sliding_window_pattern", ""};
  constexpr int kDefaultPeriod = 6, kDefaultWindow = 4096;
  const int period = nn::count(checkpoint, kPeriod, nn::kMaxExtent, kDefaultPeriod);
  return nn::layer_windows(checkpoint, layers, nn::read_window(checkpoint, kDefaultWindow),
                           [=](int i) { return (i + 1) % period != 0; });
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm post_attention_norm;
  nn::Norm mlp_norm;
  nn::GatedMlp mlp;
  nn::Norm post_mlp_norm;
};

class Gemma3 final : public Model {
 public:
  explicit Gemma3(Loader& load) : Gemma3(load, read_config(load.checkpoint())) {}

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
  Gemma3(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kLogitCap{"final_logit_softcapping", "final_logit_softcapping"};
    constexpr Key kLocalTheta{"rope_parameters.sliding_attention.rope_theta|rope_local_base_freq",
                              "rope.freq_base_swa"};
    constexpr int kLayersOf27B = 62;
    const Checkpoint& checkpoint = load.checkpoint();
    logit_cap_ = nn::positive_or_none(checkpoint, kLogitCap, 0);
    const Rope full = nn::make_rope(load, config, RopePairing::half);
    const Rope local = nn::plain_rope(load, nn::positive(checkpoint, kLocalTheta, 10000.0),
                                      config.rope_dims, RopePairing::half);
    const float scale = nn::gemma_score_scale(checkpoint, config, kLayersOf27B);
    const std::vector<int> windows = read_windows(checkpoint, config.layers);
    for (int i = 0; i < config.layers; ++i) {
      const int window = windows[static_cast<std::size_t>(i)];
      const nn::AttentionOptions options{
          .rope = window != 0 ? local : full,
          .window = window,
          .scale = scale,
          .qk_norm = nn::load_qk_norm(load, config, nn::NormWidth::head, i)};
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

extern const Family family_gemma3;
const Family family_gemma3{
    .id = "gemma3",
    .hf = {"Gemma3ForCausalLM", "gemma3_text", "Gemma3ForConditionalGeneration", "gemma3"},
    .gguf = {"gemma3"},
    .build = build<Gemma3>,
};

}  // namespace rbee
