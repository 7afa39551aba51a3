// gpt-oss (OpenAI, 2025, arXiv:2508.10925): a window in every other layer, a sink for each head,
// biases everywhere, and experts in MXFP4 with a clamped SwiGLU.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/moe.hpp"
#include "nn/own_keys.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

constexpr nn::NormName kMlpNorm{
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight"}, {}};
constexpr Name kSinks{"layers.{}.self_attn.sinks", "blk.{}.attn_sinks.weight"};
// config.json's format has gate and up in one tensor, their rows in turn.
constexpr Name kGateUpBlocks{"layers.{}.mlp.experts.gate_up_proj_blocks",  // MXFP4
                             "blk.{}.ffn_gate_up_exps.weight"};
constexpr Name kGateUp{"layers.{}.mlp.experts.gate_up_proj",  // columns for rows
                       "blk.{}.ffn_gate_up_exps.weight"};
constexpr Name kGateUpBias{"layers.{}.mlp.experts.gate_up_proj_bias",
                           "blk.{}.ffn_gate_up_exps.bias"};
constexpr Name kDownBlocks{"layers.{}.mlp.experts.down_proj_blocks", "blk.{}.ffn_down_exps.weight"};
constexpr Name kDown{"layers.{}.mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight"};
constexpr Name kDownBias{"layers.{}.mlp.experts.down_proj_bias", "blk.{}.ffn_down_exps.bias"};
constexpr Name kGateBias{"", "blk.{}.ffn_gate_exps.bias"};
constexpr Name kUpBias{"", "blk.{}.ffn_up_exps.bias"};

nn::ExpertWeights load_gguf_experts(Loader& load, int hidden, const nn::MoeConfig& moe, int layer) {
  const int n = moe.experts, ffn = moe.ffn;
  return {.gate = load.experts(nn::names::kExpertGate, n, ffn, hidden, layer),
          .up = load.experts(nn::names::kExpertUp, n, ffn, hidden, layer),
          .down = load.experts(kDown, n, hidden, ffn, layer),
          .gate_bias = load.maybe_expert_vectors(kGateBias, n, ffn, layer),
          .up_bias = load.maybe_expert_vectors(kUpBias, n, ffn, layer),
          .down_bias = load.maybe_expert_vectors(kDownBias, n, hidden, layer)};
}

nn::ExpertWeights load_hf_experts(Loader& load, int hidden, const nn::MoeConfig& moe, int layer) {
  const int n = moe.experts, ffn = moe.ffn;
  const bool blocks = load.has(kGateUpBlocks, layer);
  Stored gate = Stored::every(2 * ffn, 0, 2), up = Stored::every(2 * ffn, 1, 2), down;
  gate.transposed = up.transposed = down.transposed = !blocks;
  const Name& gate_up = blocks ? kGateUpBlocks : kGateUp;
  return {.gate = load.experts(gate_up, n, ffn, hidden, layer, gate),
          .up = load.experts(gate_up, n, ffn, hidden, layer, up),
          .down = load.experts(blocks ? kDownBlocks : kDown, n, hidden, ffn, layer, down),
          .gate_bias = load.maybe_expert_vectors(kGateUpBias, n, ffn, layer, gate),
          .up_bias = load.maybe_expert_vectors(kGateUpBias, n, ffn, layer, up),
          .down_bias = load.maybe_expert_vectors(kDownBias, n, hidden, layer)};
}

MoeParams load_moe(Loader& load, int hidden, const nn::MoeConfig& moe, int layer) {
  constexpr Key kLimit{"swiglu_limit", "swiglu_limit"};
  const bool gguf = load.checkpoint().format() == Format::gguf;
  const nn::ExpertWeights weights = gguf ? load_gguf_experts(load, hidden, moe, layer)
                                         : load_hf_experts(load, hidden, moe, layer);
  return {.router = {load.f32_matrix(nn::names::kRouter.weight, moe.experts, hidden, layer),
                     load.vector(nn::names::kRouter.bias, moe.experts, layer)},
          .routing = moe.routing,
          .experts = nn::make_experts(weights),
          .swiglu_limit = static_cast<float>(
              nn::own_positive(load.checkpoint(), kLimit, {.config = 7, .gguf = 7}))};
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  MoeParams moe;
};

class GptOss final : public Model {
 public:
  // GGUF files of others cannot say that the rotation's blend has no whole borders.
  explicit GptOss(Loader& load)
      : GptOss(load, nn::DecoderConfig::read(load.checkpoint(), {.eps = 1e-5,
                                                                 .head_dim = 64,
                                                                 .max_context = 131072,
                                                                 .rope_theta = 150000,
                                                                 .gguf_yarn_truncate = false})) {}

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
  GptOss(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr int kDefaultWindow = 128;
    const Checkpoint& checkpoint = load.checkpoint();
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    const std::vector<int> windows =
        nn::layer_windows(checkpoint, config.layers, nn::read_window(checkpoint, kDefaultWindow),
                          [](int i) { return i % 2 == 0; });
    nn::MoeConfig moe = nn::MoeConfig::read(checkpoint, config);
    moe.routing.gating = Gating::softmax_selected;
    for (int i = 0; i < config.layers; ++i) {
      const nn::AttentionOptions options{.rope = rope,
                                         .window = windows[static_cast<std::size_t>(i)],
                                         .sinks = load.vector(kSinks, config.heads, i)};
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, kMlpNorm, i),
           .moe = load_moe(load, config.hidden, moe, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_gpt_oss;
const Family family_gpt_oss{
    .id = "gpt_oss",
    .hf = {"GptOssForCausalLM", "gpt_oss"},
    .gguf = {"gpt-oss"},
    .build = build<GptOss>,
};

}  // namespace rbee
