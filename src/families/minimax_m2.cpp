// MiniMax-M2: norms over whole rows of queries and keys, a part of each head rotated, and a sigmoid
// router whose correction bias chooses but does not weigh.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/moe.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"

namespace rbee {
namespace {

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  MoeParams moe;
};

class MiniMaxM2 final : public Model {
 public:
  explicit MiniMaxM2(Loader& load)
      : MiniMaxM2(load, nn::DecoderConfig::read(
                            load.checkpoint(),
                            {.kv_heads = 8, .max_context = 196608, .rope_theta = 5e6})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      ops.moe_add(x, layer.mlp_norm(ops, x), layer.moe);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  MiniMaxM2(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kGating{"", "expert_gating_func"};
    nn::AttentionOptions options{.rope = nn::make_rope(load, config, RopePairing::half)};
    nn::MoeConfig moe = nn::MoeConfig::read(load.checkpoint(), config);
    moe.routing.gating = Gating::sigmoid;
    load.checkpoint().note(kGating, std::int64_t{2});  // sigmoid
    moe.routing.normalise = true;
    for (int i = 0; i < config.layers; ++i) {
      options.qk_norm = nn::load_qk_norm(load, config, nn::NormWidth::row, i);
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i),
           .moe = nn::load_moe(load, config, moe, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_minimax_m2;
const Family family_minimax_m2{
    .id = "minimax_m2",
    .hf = {"MiniMaxM2ForCausalLM", "minimax_m2", "minimax"},
    .gguf = {"minimax-m2"},
    .build = build<MiniMaxM2>,
};

}  // namespace rbee
