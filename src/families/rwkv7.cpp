// RWKV 7, Goose (Peng et al., 2025, arXiv:2503.14456), in the names of fla, of its author's files
// and of GGUF.
#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "model/family.hpp"
#include "nn/config_values.hpp"
#include "nn/lm_head.hpp"
#include "nn/recurrent.hpp"
#include "nn/rwkv.hpp"

namespace rbee {
namespace {

// down [rank, hidden] and up [hidden, rank] of a product of low rank, and the bias of up. The
// author's files hold both matrices transposed.
struct LowRankName {
  Name down, up, bias;
  Name author_down, author_up;
};

constexpr LowRankName kDecay{
    {"layers.{}.attn.w_lora.lora.0.weight", "blk.{}.time_mix_w1.weight"},
    {"layers.{}.attn.w_lora.lora.2.weight", "blk.{}.time_mix_w2.weight"},
    {"layers.{}.attn.w_lora.lora.2.bias|blocks.{}.att.w0", "blk.{}.time_mix_w0.weight"},
    {"blocks.{}.att.w1", "blk.{}.time_mix_w1.weight"},
    {"blocks.{}.att.w2", "blk.{}.time_mix_w2.weight"}};
constexpr LowRankName kRate{
    {"layers.{}.attn.a_lora.lora.0.weight", "blk.{}.time_mix_a1.weight"},
    {"layers.{}.attn.a_lora.lora.2.weight", "blk.{}.time_mix_a2.weight"},
    {"layers.{}.attn.a_lora.lora.2.bias|blocks.{}.att.a0", "blk.{}.time_mix_a0.weight"},
    {"blocks.{}.att.a1", "blk.{}.time_mix_a1.weight"},
    {"blocks.{}.att.a2", "blk.{}.time_mix_a2.weight"}};
constexpr LowRankName kFirst{
    {"layers.{}.attn.v_lora.lora.0.weight", "blk.{}.time_mix_v1.weight"},
    {"layers.{}.attn.v_lora.lora.2.weight", "blk.{}.time_mix_v2.weight"},
    {"layers.{}.attn.v_lora.lora.2.bias|blocks.{}.att.v0", "blk.{}.time_mix_v0.weight"},
    {"blocks.{}.att.v1", "blk.{}.time_mix_v1.weight"},
    {"blocks.{}.att.v2", "blk.{}.time_mix_v2.weight"}};
constexpr LowRankName kGate{{"layers.{}.attn.g_lora.lora.0.weight", "blk.{}.time_mix_g1.weight"},
                            {"layers.{}.attn.g_lora.lora.2.weight", "blk.{}.time_mix_g2.weight"},
                            {"", ""},
                            {"blocks.{}.att.g1", "blk.{}.time_mix_g1.weight"},
                            {"blocks.{}.att.g2", "blk.{}.time_mix_g2.weight"}};

constexpr Name kKeyScale{"layers.{}.attn.k_k|blocks.{}.att.k_k", "blk.{}.time_mix_k_k.weight"};
constexpr Name kKeyRate{"layers.{}.attn.k_a|blocks.{}.att.k_a", "blk.{}.time_mix_k_a.weight"};
constexpr Name kBonus{"layers.{}.attn.r_k|blocks.{}.att.r_k", "blk.{}.time_mix_r_k.weight"};
constexpr Name kLerpFused{"layers.{}.attn.x_x", "blk.{}.time_mix_lerp_fused.weight"};
constexpr Name kChannelLerp{"layers.{}.ffn.x_k|blocks.{}.ffn.x_k",
                            "blk.{}.channel_mix_lerp_k.weight"};
constexpr std::array<Name, 6> kLerps{{{"layers.{}.attn.x_r|blocks.{}.att.x_r", kLerpFused.gguf},
                                      {"layers.{}.attn.x_w|blocks.{}.att.x_w", kLerpFused.gguf},
                                      {"layers.{}.attn.x_k|blocks.{}.att.x_k", kLerpFused.gguf},
                                      {"layers.{}.attn.x_v|blocks.{}.att.x_v", kLerpFused.gguf},
                                      {"layers.{}.attn.x_a|blocks.{}.att.x_a", kLerpFused.gguf},
                                      {"layers.{}.attn.x_g|blocks.{}.att.x_g", kLerpFused.gguf}}};

struct LowRank {
  Linear down, up;

  Tensor operator()(Ops& ops, const Tensor& x, Activation act = Activation::identity) const {
    const Tensor low = ops.linear(x, {&down, 1});
    if (act != Activation::identity) ops.activate(low, act);
    return ops.linear(low, {&up, 1});
  }
};

LowRank load_low_rank(Loader& load, const LowRankName& name, int hidden, int layer) {
  const bool author =
      load.checkpoint().format() == Format::safetensors && load.has(name.author_down, layer);
  const Name& down = author ? name.author_down : name.down;
  const Name& up = author ? name.author_up : name.up;
  const auto shape = load.shape(down, layer);
  const std::int64_t rows = shape.size() == 2 ? shape[author ? 1 : 0] : 1;
  const int rank = static_cast<int>(std::clamp<std::int64_t>(rows, 1, nn::kMaxExtent));
  LowRank out{{load.matrix(down, rank, hidden, layer, {.transposed = author})},
              {load.matrix(up, hidden, rank, layer, {.transposed = author})}};
  if (!name.bias.hf.empty()) out.up.bias = nn::load_flat(load, name.bias, hidden, layer);
  return out;
}

bool has_gate(const Loader& load, int layer) {
  return load.has(kGate.down, layer) || load.has(kGate.author_down, layer);
}

struct Layer {
  nn::Norm norm;
  Weight factors;  // of receptance, decay, key, value, rate, gate
  nn::RwkvProjections project;
  LowRank decay, rate, first, gate;  // the first layer has no first, some models no gate
  Wkv7 wkv;
  HeadNorm group_norm;
  nn::ChannelMix channel_mix;
};

Layer load_layer(Loader& load, const nn::RwkvConfig& config, int i) {
  const int hidden = config.hidden;
  const bool gate = has_gate(load, i);
  const auto lerps = std::span(kLerps).first(gate ? kLerps.size() : kLerps.size() - 1);
  LowRank first;
  // What a file has of it in the first layer has no meaning, but is there.
  if (i > 0 || load.has(kFirst.down, 0) || load.has(kFirst.author_down, 0)) {
    first = load_low_rank(load, kFirst, hidden, i);
  }
  return {
      .norm = nn::load_norm(load, config, nn::names::kRwkvNorm, i),
      .factors = nn::load_factors(load, lerps, kLerpFused, hidden, i),
      .project = nn::RwkvProjections(load, config, i),
      .decay = load_low_rank(load, kDecay, hidden, i),
      .rate = load_low_rank(load, kRate, hidden, i),
      .first = first,
      .gate = gate ? load_low_rank(load, kGate, hidden, i) : LowRank{},
      .wkv = {.heads = config.heads,
              .key_scale = nn::load_flat(load, kKeyScale, hidden, i),
              .key_rate = nn::load_flat(load, kKeyRate, hidden, i),
              .bonus_scale = nn::load_flat(load, kBonus, hidden, i)},
      .group_norm = nn::load_group_norm(load, config, nn::names::kRwkvGroupNorm,
                                        static_cast<double>(config.eps) * config.head_size, i),
      .channel_mix = nn::ChannelMix(load, config, nn::load_flat(load, kChannelLerp, hidden, i), i)};
}

class Rwkv7 final : public Model {
 public:
  explicit Rwkv7(Loader& load)
      : config_(nn::RwkvConfig::read(load)),
        head_(load, config_),
        embedding_(load, config_),
        info_(config_.model_info()) {
    for (int i = 0; i < config_.layers; ++i) {
      layers_.push_back(load_layer(load, config_, i));
      info_.state.push_back(config_.state());
    }
  }

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    embedding_(ops, x);
    Tensor first;  // the values of the first layer, which all others take a share of
    for (int i = 0; i < config_.layers; ++i) {
      if (i == 0) {
        first = run_layer(ops, batch, x, 0, {});  // no scope: they must stay
      } else {
        const auto scratch = ops.scope();
        run_layer(ops, batch, x, i, first);
      }
    }
    return head_.logits(ops, batch, x);
  }

 private:
  // Gives the values of this layer.
  Tensor run_layer(Ops& ops, const Batch& batch, const Tensor& residual, int i,
                   const Tensor& first) const {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    const Tensor x = layer.norm(ops, residual);
    const Tensor delta = ops.token_shift(x, batch, config_.time_shift(i));
    const Tensor mixed = ops.lerp(x, delta, layer.factors, {});
    const auto part = [&](int n) { return mixed.columns(n * x.cols, x.cols); };
    const Tensor value = ops.linear(part(3), {&layer.project.value, 1});
    const auto scratch = ops.scope();
    Wkv7Inputs in{.receptance = ops.linear(part(0), {&layer.project.receptance, 1}),
                  .decay = layer.decay(ops, part(1), Activation::tanh),
                  .key = ops.linear(part(2), {&layer.project.key, 1}),
                  .value = value,
                  .rate = layer.rate(ops, part(4)),
                  .first = first};
    if (i > 0) in.first_gate = layer.first(ops, part(3));
    const Tensor both = ops.wkv7(in, layer.wkv, batch, config_.attention(i));
    const Tensor y = both.columns(0, x.cols);
    ops.norm_heads(y, config_.heads, layer.group_norm);
    ops.add(y, both.columns(x.cols, x.cols));
    if (layer.gate.down.weight) {
      ops.multiply(y, layer.gate(ops, part(5), Activation::sigmoid), Activation::identity);
    }
    ops.linear_add(residual, y, layer.project.output);
    layer.channel_mix(ops, batch, residual);
    return value;
  }

  nn::RwkvConfig config_;
  nn::LmHead head_;
  nn::RwkvEmbedding embedding_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_rwkv7;
const Family family_rwkv7{
    .id = "rwkv7",
    .hf = {"RWKV7ForCausalLM", "Rwkv7ForCausalLM", "rwkv7"},
    .gguf = {"rwkv7"},
    .build = build<Rwkv7>,
};

}  // namespace rbee
