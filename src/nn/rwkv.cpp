#include "nn/rwkv.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "nn/config_values.hpp"
#include "nn/recurrent.hpp"

namespace rbee::nn {
namespace {

constexpr Key kHeadSize{"head_dim|head_size", "wkv.head_size"};
// [heads, head size]
constexpr Name kHeads{"rwkv.blocks.{}.attention.time_faaaa|blocks.{}.att.r_k|layers.{}.attn.r_k",
                      "blk.{}.time_mix_first.weight"};
constexpr Key kRescale{"", "rescale_every_n_layers"};

constexpr NormName kEmbeddingNorm{
    {"rwkv.blocks.0.pre_ln.weight|blocks.0.ln0.weight|layers.0.pre_norm.weight",
     "token_embd_norm.weight"},
    {"rwkv.blocks.0.pre_ln.bias|blocks.0.ln0.bias|layers.0.pre_norm.bias", "token_embd_norm.bias"}};
constexpr NormName kChannelNorm{
    {"rwkv.blocks.{}.ln2.weight|blocks.{}.ln2.weight|layers.{}.ffn_norm.weight",
     "blk.{}.attn_norm_2.weight"},
    {"rwkv.blocks.{}.ln2.bias|blocks.{}.ln2.bias|layers.{}.ffn_norm.bias",
     "blk.{}.attn_norm_2.bias"}};
constexpr Name kChannelKey{
    "rwkv.blocks.{}.feed_forward.key.weight|blocks.{}.ffn.key.weight|layers.{}.ffn.key.weight",
    "blk.{}.channel_mix_key.weight"};
constexpr Name kChannelValue{
    "rwkv.blocks.{}.feed_forward.value.weight|blocks.{}.ffn.value.weight|"
    "layers.{}.ffn.value.weight",
    "blk.{}.channel_mix_value.weight"};
constexpr Name kChannelReceptance{"rwkv.blocks.{}.feed_forward.receptance.weight",
                                  "blk.{}.channel_mix_receptance.weight"};
constexpr Name kReceptance{
    "rwkv.blocks.{}.attention.receptance.weight|blocks.{}.att.receptance.weight|"
    "layers.{}.attn.r_proj.weight",
    "blk.{}.time_mix_receptance.weight"};
constexpr Name kKey{
    "rwkv.blocks.{}.attention.key.weight|blocks.{}.att.key.weight|layers.{}.attn.k_proj.weight",
    "blk.{}.time_mix_key.weight"};
constexpr Name kValue{
    "rwkv.blocks.{}.attention.value.weight|blocks.{}.att.value.weight|layers.{}.attn.v_proj.weight",
    "blk.{}.time_mix_value.weight"};
constexpr Name kGate{"rwkv.blocks.{}.attention.gate.weight", "blk.{}.time_mix_gate.weight"};
constexpr Name kBonus{"rwkv.blocks.{}.attention.time_faaaa", "blk.{}.time_mix_first.weight"};
constexpr Key kDivisor{"head_size_divisor", ""};
constexpr Name kOutput{
    "rwkv.blocks.{}.attention.output.weight|blocks.{}.att.output.weight|"
    "layers.{}.attn.o_proj.weight",
    "blk.{}.time_mix_output.weight"};

}  // namespace

RwkvConfig RwkvConfig::read(const Loader& load) {
  constexpr int kMaxHeadSize = 1 << 12;
  const Checkpoint& checkpoint = load.checkpoint();
  RwkvConfig config{DecoderConfig::read_trunk(checkpoint, {.norm = NormKind::layer, .eps = 1e-5})};
  config.max_context = kRecurrentContext;
  // Files that do not name it may count heads under another's key; a tensor tells.
  const auto heads = load.shape(kHeads, 0);
  const bool told = heads.size() == 2 && heads[1] >= 1 && heads[1] <= kMaxHeadSize;
  config.head_size =
      count(checkpoint, kHeadSize, kMaxHeadSize, told ? static_cast<int>(heads[1]) : 64);
  if (config.hidden % config.head_size != 0) {
    bad_value(checkpoint, kHeadSize, fmt::format("a divisor of the width, {}", config.hidden),
              std::to_string(config.head_size));
  }
  config.heads = config.hidden / config.head_size;
  // The keys for the width of the MLP differ and are often null; its matrix tells.
  const auto shape = load.shape(kChannelKey, 0);
  const bool sized = !shape.empty() && shape[0] >= 1 && shape[0] <= kMaxExtent;
  config.ffn = sized ? static_cast<int>(shape[0]) : config.hidden;
  if (checkpoint.integer(kRescale).value_or(0) != 0) {
    config.rescale_every = count(checkpoint, kRescale, kMaxExtent);
  }
  return config;
}

LayerState RwkvConfig::state() const {
  const std::size_t floats = 2 * static_cast<std::size_t>(hidden) + wkv_state_floats(heads, hidden);
  return Recurrent{floats * sizeof(float)};
}

Weight load_factors(Loader& load, std::span<const Name> names, const Name& fused, int hidden,
                    int layer) {
  const auto size = static_cast<std::size_t>(hidden);
  if (load.has(fused, layer)) {
    return load.constant(load.flat_values(fused, names.size() * size, layer));
  }
  std::vector<float> factors;
  for (const Name& name : names) {
    const auto values = load.flat_values(name, size, layer);
    factors.insert(factors.end(), values.begin(), values.end());
  }
  return load.constant(factors);
}

Weight load_transposed(Loader& load, const Name& name, int rows, int cols, int layer) {
  const bool changed = load.checkpoint().format() == Format::safetensors;
  return load.matrix(name, rows, cols, layer, {.transposed = changed});
}

HeadNorm load_group_norm(Loader& load, const RwkvConfig& config, const NormName& name, double eps,
                         int layer) {
  return {.kind = HeadNorm::Kind::layer,
          .weight = load.vector(name.weight, config.hidden, layer),
          .bias = load.vector(name.bias, config.hidden, layer),
          .eps = static_cast<float>(eps)};
}

RwkvEmbedding::RwkvEmbedding(Loader& load, const RwkvConfig& config)
    : norm_{.kind = HeadNorm::Kind::layer,
            .weight = load.vector(kEmbeddingNorm.weight, config.hidden),
            .bias = load.vector(kEmbeddingNorm.bias, config.hidden),
            .eps = config.eps} {}

ChannelMix::ChannelMix(Loader& load, const RwkvConfig& config, const Weight& factors, int layer)
    : norm_(load_norm(load, config, kChannelNorm, layer)),
      factors_(factors),
      key_{load.matrix(kChannelKey, config.ffn, config.hidden, layer)},
      value_{load.matrix(kChannelValue, config.hidden, config.ffn, layer)},
      shift_(config.channel_shift(layer)) {
  if (factors.cols == config.hidden) return;
  receptance_ = {load.matrix(kChannelReceptance, config.hidden, config.hidden, layer)};
}

void ChannelMix::operator()(Ops& ops, const Batch& batch, const Tensor& residual) const {
  const Tensor x = norm_(ops, residual);
  const Tensor mixed = ops.lerp(x, ops.token_shift(x, batch, shift_), factors_, {});
  const Tensor key = ops.linear(mixed.columns(0, x.cols), {&key_, 1});
  ops.activate(key, Activation::relu_squared);
  if (!receptance_.weight) return ops.linear_add(residual, key, value_);
  const Tensor value = ops.linear(key, {&value_, 1});
  const Tensor receptance = ops.linear(mixed.columns(x.cols, x.cols), {&receptance_, 1});
  ops.multiply(value, receptance, Activation::sigmoid);
  ops.add(residual, value);
}

RwkvProjections::RwkvProjections(Loader& load, const RwkvConfig& config, int layer)
    : receptance{load.matrix(kReceptance, config.hidden, config.hidden, layer)},
      key{load.matrix(kKey, config.hidden, config.hidden, layer)},
      value{load.matrix(kValue, config.hidden, config.hidden, layer)},
      output{load.matrix(kOutput, config.hidden, config.hidden, layer)} {}

GatedTimeMix::GatedTimeMix(Loader& load, const RwkvConfig& config, const Weight& decay, int layer)
    : project_(load, config, layer),
      gate_{load.matrix(kGate, config.hidden, config.hidden, layer)},
      wkv_{.heads = config.heads,
           .bonus = load_flat(load, kBonus, config.hidden, layer),
           .decay = decay},
      state_(config.attention(layer)) {
  // The result is divided before it is normalised, with epsilon 1e-5: the same as a larger epsilon.
  const double divisor = count(load.checkpoint(), kDivisor, 1 << 10, 8);
  norm_ = load_group_norm(load, config, names::kRwkvGroupNorm, 1e-5 * divisor * divisor, layer);
}

void GatedTimeMix::operator()(Ops& ops, const Batch& batch, const Tensor& residual,
                              const Inputs& in) const {
  const Wkv6Inputs inputs{ops.linear(in.receptance, {&project_.receptance, 1}),
                          ops.linear(in.key, {&project_.key, 1}),
                          ops.linear(in.value, {&project_.value, 1}), in.decay};
  const Tensor gate = ops.linear(in.gate, {&gate_, 1});
  const Tensor y = ops.wkv6(inputs, wkv_, batch, state_);
  ops.norm_heads(y, wkv_.heads, norm_);
  ops.multiply(y, gate, Activation::silu);
  ops.linear_add(residual, y, project_.output);
}

}  // namespace rbee::nn
