// OLMoE (Muennighoff et al., 2024, arXiv:2409.02060): norms over whole rows of queries and keys,
// perhaps a clip after them, and experts whose weights need not add up to 1.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
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

class Olmoe final : public Model {
 public:
  explicit Olmoe(Loader& load)
      : Olmoe(load,
              nn::DecoderConfig::read(load.checkpoint(), {.eps = 1e-5, .max_context = 4096})) {}

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
  Olmoe(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kClip{"clip_qkv", "attention.clamp_kqv"};
    const Checkpoint& checkpoint = load.checkpoint();
    nn::AttentionOptions options{.rope = nn::make_rope(load, config, RopePairing::half),
                                 .clip = nn::positive_or_none(checkpoint, kClip, 0)};
    nn::MoeConfig moe = nn::MoeConfig::read(checkpoint, config);
    moe.routing.normalise = nn::read_normalise(checkpoint, /*absent=*/false);
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

extern const Family family_olmoe;
const Family family_olmoe{
    .id = "olmoe", .hf = {"OlmoeForCausalLM", "olmoe"}, .gguf = {"olmoe"}, .build = build<Olmoe>};

}  // namespace rbee
