// RWKV 6, Finch (Peng et al., 2024, arXiv:2404.05892): the mixing of inputs and the decay depend on
// the token, through matrices of low rank.
#include <algorithm>
#include <array>
#include <vector>

#include "model/family.hpp"
#include "nn/config_values.hpp"
#include "nn/lm_head.hpp"
#include "nn/recurrent.hpp"
#include "nn/rwkv.hpp"

namespace rbee {
namespace {

constexpr int kParts = 5;  // decay, key, value, receptance, gate: the order of all fused tensors

constexpr Name kLerpX{"rwkv.blocks.{}.attention.time_maa_x", "blk.{}.time_mix_lerp_x.weight"};
constexpr Name kLerpFused{"", "blk.{}.time_mix_lerp_fused.weight"};
constexpr Name kMixW1{"rwkv.blocks.{}.attention.time_maa_w1", "blk.{}.time_mix_w1.weight"};
constexpr Name kMixW2{"rwkv.blocks.{}.attention.time_maa_w2", "blk.{}.time_mix_w2.weight"};
constexpr Name kDecay{"rwkv.blocks.{}.attention.time_decay", "blk.{}.time_mix_decay.weight"};
constexpr Name kDecayW1{"rwkv.blocks.{}.attention.time_decay_w1",
                        "blk.{}.time_mix_decay_w1.weight"};
constexpr Name kDecayW2{"rwkv.blocks.{}.attention.time_decay_w2",
                        "blk.{}.time_mix_decay_w2.weight"};
constexpr std::array<Name, kParts> kLerps{
    {{"rwkv.blocks.{}.attention.time_maa_w", kLerpFused.gguf},
     {"rwkv.blocks.{}.attention.time_maa_k", kLerpFused.gguf},
     {"rwkv.blocks.{}.attention.time_maa_v", kLerpFused.gguf},
     {"rwkv.blocks.{}.attention.time_maa_r", kLerpFused.gguf},
     {"rwkv.blocks.{}.attention.time_maa_g", kLerpFused.gguf}}};
constexpr std::array<Name, 2> kChannelLerps{
    {{"rwkv.blocks.{}.feed_forward.time_maa_k", "blk.{}.channel_mix_lerp_k.weight"},
     {"rwkv.blocks.{}.feed_forward.time_maa_r", "blk.{}.channel_mix_lerp_r.weight"}}};

struct Layer {
  nn::Norm norm;
  Weight lerp_x;
  Linear mix_down;                    // [kParts * rank, hidden]
  std::array<Linear, kParts> mix_up;  // [hidden, rank]
  std::array<Weight, kParts> lerps;   // [hidden]
  Linear decay_down, decay_up;        // [rank, hidden], [hidden, rank]
  nn::GatedTimeMix time_mix;
  nn::ChannelMix channel_mix;
};

// The rank of a product of two matrices, from the first one in the file.
int rank_of(const Loader& load, const Name& down, int layer, int parts) {
  const auto shape = load.shape(down, layer);
  const bool gguf = load.checkpoint().format() == Format::gguf;
  if (shape.size() != 2) return 1;  // asking for it will throw
  return static_cast<int>(std::clamp<std::int64_t>(shape[gguf ? 0 : 1] / parts, 1, nn::kMaxExtent));
}

void load_mixing(Loader& load, int hidden, int layer, Layer& out) {
  const int rank = rank_of(load, kMixW1, layer, kParts);
  out.lerp_x = nn::load_flat(load, kLerpX, hidden, layer);
  out.mix_down = {nn::load_transposed(load, kMixW1, kParts * rank, hidden, layer)};
  const bool gguf = load.checkpoint().format() == Format::gguf;
  const std::array<std::int64_t, 3> shape{kParts, gguf ? hidden : rank, gguf ? rank : hidden};
  const auto up = load.values(kMixW2, shape, layer);
  const auto lerps = load.has(kLerpFused, layer)
                         ? load.flat_values(kLerpFused, std::size_t{kParts} * hidden, layer)
                         : std::vector<float>{};
  const std::size_t size = static_cast<std::size_t>(hidden) * static_cast<std::size_t>(rank);
  for (std::size_t p = 0; p < kParts; ++p) {
    const auto begin = up.begin() + static_cast<std::ptrdiff_t>(p * size);
    std::vector<float> one(begin, begin + static_cast<std::ptrdiff_t>(size));
    if (!gguf) one = nn::transpose(one, rank, hidden);
    out.mix_up[p] = {load.constant_matrix(one, hidden, rank)};
    const std::size_t row = static_cast<std::size_t>(hidden);
    out.lerps[p] = lerps.empty() ? nn::load_flat(load, kLerps[p], hidden, layer)
                                 : load.constant(std::span(lerps).subspan(p * row, row));
  }
}

Layer load_layer(Loader& load, const nn::RwkvConfig& config, int i) {
  const int hidden = config.hidden;
  const int rank = rank_of(load, kDecayW1, i, 1);
  const Weight channel = nn::load_factors(load, kChannelLerps, {"", ""}, hidden, i);
  Layer layer{.norm = nn::load_norm(load, config, nn::names::kRwkvNorm, i),
              .lerp_x = {},
              .mix_down = {},
              .mix_up = {},
              .lerps = {},
              .decay_down = {nn::load_transposed(load, kDecayW1, rank, hidden, i)},
              .decay_up = {nn::load_transposed(load, kDecayW2, hidden, rank, i),
                           nn::load_flat(load, kDecay, hidden, i)},
              .time_mix = nn::GatedTimeMix(load, config, {}, i),
              .channel_mix = nn::ChannelMix(load, config, channel, i)};
  load_mixing(load, hidden, i, layer);
  return layer;
}

class Rwkv6 final : public Model {
 public:
  explicit Rwkv6(Loader& load)
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
    for (int i = 0; i < config_.layers; ++i) {
      const auto scratch = ops.scope();
      const Layer& layer = layers_[static_cast<std::size_t>(i)];
      mix(ops, batch, x, i);
      layer.channel_mix(ops, batch, x);
      config_.rescale(ops, x, i);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  void mix(Ops& ops, const Batch& batch, const Tensor& residual, int i) const {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    const Tensor x = layer.norm(ops, residual);
    const Tensor delta = ops.token_shift(x, batch, config_.time_shift(i));
    const Tensor low = ops.linear(ops.lerp(x, delta, layer.lerp_x, {}), {&layer.mix_down, 1});
    ops.activate(low, Activation::tanh);
    const int rank = low.cols / kParts;
    std::array<Tensor, kParts> mixed;
    for (int p = 0; p < kParts; ++p) {
      const auto n = static_cast<std::size_t>(p);
      const Tensor more = ops.linear(low.columns(p * rank, rank), {&layer.mix_up[n], 1});
      mixed[n] = ops.lerp(x, delta, layer.lerps[n], more);
    }
    const Tensor decay = ops.linear(mixed[0], {&layer.decay_down, 1});
    ops.activate(decay, Activation::tanh);
    layer.time_mix(ops, batch, residual,
                   {.key = mixed[1],
                    .value = mixed[2],
                    .receptance = mixed[3],
                    .gate = mixed[4],
                    .decay = ops.linear(decay, {&layer.decay_up, 1})});
  }

  nn::RwkvConfig config_;
  nn::LmHead head_;
  nn::RwkvEmbedding embedding_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_rwkv6;
const Family family_rwkv6{
    .id = "rwkv6",
    .hf = {"Rwkv6ForCausalLM", "rwkv6"},
    .gguf = {"rwkv6"},
    .build = build<Rwkv6>,
};

}  // namespace rbee
