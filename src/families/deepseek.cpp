// DeepSeek V2, V3, R1, V3.1, V3.2 and Kimi K2: multi-head latent attention, and after the first
// layers a mixture of experts beside shared ones (arXiv:2405.04434, arXiv:2412.19437).
#include <fmt/format.h>

#include <array>
#include <optional>
#include <vector>

#include "base/log.hpp"
#include "model/family.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/latent_attention.hpp"
#include "nn/lm_head.hpp"
#include "nn/own_keys.hpp"
#include "nn/rope.hpp"
#include "nn/shared_moe.hpp"

namespace rbee {
namespace {

struct Layer {
  nn::Norm attention_norm;
  nn::LatentAttention attention;
  nn::Norm mlp_norm;
  std::optional<nn::GatedMlp> mlp{};
  std::optional<nn::SharedMoe> experts{};
};

bool is_v2(const Checkpoint& checkpoint) {
  return checkpoint.architecture() == "DeepseekV2ForCausalLM";
}

bool is_v32(const Checkpoint& checkpoint) {
  constexpr Key kModelType{"model_type", ""};
  return checkpoint.architecture() == "DeepseekV32ForCausalLM" ||
         checkpoint.architecture() == "deepseek32" ||
         checkpoint.string(kModelType) == "deepseek_v32";
}

nn::LatentConfig read_latent(Loader& load, nn::DecoderConfig& config) {
  constexpr Key kInterleave{"rope_interleave", "rope.interleave"};
  const Checkpoint& checkpoint = load.checkpoint();
  constexpr Key kTemperature{"", "attention.temperature_scale"};  // Mistral Large 3 shares the id
  if (checkpoint.real(kTemperature).value_or(0) != 0) {
    nn::bad_value(checkpoint, kTemperature, "0: no scaling by position", "another number");
  }
  nn::LatentConfig latent = nn::LatentConfig::read(checkpoint);
  const bool adjacent = nn::own_flag(checkpoint, kInterleave, {.config = true, .gguf = true});
  config.rope_dims = latent.rope_dim;
  latent.rope = nn::make_rope(load, config, adjacent ? RopePairing::adjacent : RopePairing::half);
  latent.scale *= nn::yarn_score_scale(checkpoint);
  return latent;
}

// V3.2 attends to the index_topk keys that an indexer picks. Up to so many keys that is all of
// them: plain attention, for which the indexer is not needed.
int read_context_limit(const Checkpoint& checkpoint) {
  constexpr Key kTopK{"index_topk", "attention.indexer.top_k"};
  return is_v32(checkpoint) ? nn::count(checkpoint, kTopK, nn::kMaxExtent) : 0;
}

void skip_indexer(Loader& load, int layer) {
  constexpr std::array<Name, 5> kNames{{
      {"layers.{}.self_attn.indexer.wq_b.weight", "blk.{}.indexer.attn_q_b.weight"},
      {"layers.{}.self_attn.indexer.wk.weight", "blk.{}.indexer.attn_k.weight"},
      {"layers.{}.self_attn.indexer.k_norm.weight", "blk.{}.indexer.k_norm.weight"},
      {"layers.{}.self_attn.indexer.k_norm.bias", "blk.{}.indexer.k_norm.bias"},
      {"layers.{}.self_attn.indexer.weights_proj.weight", "blk.{}.indexer.proj.weight"},
  }};
  for (const Name& name : kNames) load.skip(name, layer);
}

class DeepSeek final : public Model {
 public:
  explicit DeepSeek(Loader& load)
      : DeepSeek(load, nn::DecoderConfig::read(load.checkpoint(), {.own_heads = true})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    check_context(info_, batch);
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      const Tensor y = layer.mlp_norm(ops, x);
      if (layer.mlp) (*layer.mlp)(ops, x, y);
      if (layer.experts) (*layer.experts)(ops, x, y);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  DeepSeek(Loader& load, nn::DecoderConfig config)
      : head_(load, config), info_(config.model_info()) {
    const Checkpoint& checkpoint = load.checkpoint();
    const nn::LatentConfig latent = read_latent(load, config);
    const bool v3 = checkpoint.format() == Format::safetensors && !is_v2(checkpoint);
    const auto moe = nn::SharedMoeConfig::read(
        checkpoint, {.gating = v3 ? Gating::sigmoid : Gating::softmax, .normalise = v3});
    info_.context_limit = read_context_limit(checkpoint);
    for (int i = 0; i < config.layers; ++i) {
      Layer layer{.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
                  .attention = nn::LatentAttention(load, config, latent, i),
                  .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i)};
      if (moe.has_experts(i)) {
        layer.experts.emplace(load, config, moe, i);
      } else {
        layer.mlp.emplace(load, config, i);
      }
      if (info_.context_limit > 0) skip_indexer(load, i);
      info_.state.emplace_back(layer.attention.state());
      layers_.push_back(std::move(layer));
    }
    cap_context(checkpoint);
  }

  void cap_context(const Checkpoint& checkpoint) {
    if (info_.context_limit == 0 || info_.max_context <= info_.context_limit) return;
    log::warn(
        "{}: the context is cut from {} to {} tokens, up to where its sparse attention is "
        "attention to all keys; its indexer is not built in",
        checkpoint.path().string(), info_.max_context, info_.context_limit);
    info_.max_context = info_.context_limit;
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_deepseek;
const Family family_deepseek{
    .id = "deepseek",
    .hf = {"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "DeepseekV32ForCausalLM",
           "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2"},
    .gguf = {"deepseek2", "deepseek32"},
    .build = build<DeepSeek>,
};

}  // namespace rbee
