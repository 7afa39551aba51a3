// RWKV 5.2, Eagle (Peng et al., 2024, arXiv:2404.05892). No other program has GGUF files of it:
// docs/rwkv5-gguf.md says what ours hold.
#include <cmath>
#include <string>
#include <vector>

#include "model/family.hpp"
#include "nn/lm_head.hpp"
#include "nn/recurrent.hpp"
#include "nn/rwkv.hpp"

namespace rbee {
namespace {

constexpr Name kDecay{"rwkv.blocks.{}.attention.time_decay", "blk.{}.time_mix_decay.weight"};
constexpr Name kTimeLerp{"", "blk.{}.time_mix_lerp_fused.weight"};

// Shares of the current token in safetensors; of the previous one in GGUF files, as lerp has them.
std::vector<float> load_lerp(Loader& load, const Name& name, int hidden, int layer) {
  auto values = load.flat_values(name, static_cast<std::size_t>(hidden), layer);
  if (load.checkpoint().format() == Format::safetensors) {
    for (float& value : values) value = 1 - value;
  }
  return values;
}

Weight load_time_factors(Loader& load, int hidden, int layer) {
  if (load.checkpoint().format() == Format::gguf) {
    return nn::load_flat(load, kTimeLerp, 4 * hidden, layer);
  }
  std::vector<float> all;
  for (const char* name : {"key", "value", "receptance", "gate"}) {
    const std::string hf = std::string("rwkv.blocks.{}.attention.time_mix_") + name;
    const auto factors = load_lerp(load, {hf, kTimeLerp.gguf}, hidden, layer);
    all.insert(all.end(), factors.begin(), factors.end());
  }
  return load.constant(all);
}

Weight load_channel_factors(Loader& load, int hidden, int layer) {
  constexpr Name kKey{"rwkv.blocks.{}.feed_forward.time_mix_key",
                      "blk.{}.channel_mix_lerp_k.weight"};
  constexpr Name kReceptance{"rwkv.blocks.{}.feed_forward.time_mix_receptance",
                             "blk.{}.channel_mix_lerp_r.weight"};
  auto factors = load_lerp(load, kKey, hidden, layer);
  const auto receptance = load_lerp(load, kReceptance, hidden, layer);
  factors.insert(factors.end(), receptance.begin(), receptance.end());
  return load.constant(factors);
}

Weight load_decay(Loader& load, int hidden, int layer) {
  auto decay = load.flat_values(kDecay, static_cast<std::size_t>(hidden), layer);
  for (float& value : decay) value = std::exp(-std::exp(value));
  return load.constant(decay);
}

struct Layer {
  nn::Norm norm;
  Weight factors;  // of key, value, receptance, gate
  nn::GatedTimeMix time_mix;
  nn::ChannelMix channel_mix;
};

class Rwkv5 final : public Model {
 public:
  explicit Rwkv5(Loader& load)
      : config_(nn::RwkvConfig::read(load)),
        head_(load, config_),
        embedding_(load, config_),
        info_(config_.model_info()) {
    const int hidden = config_.hidden;
    for (int i = 0; i < config_.layers; ++i) {
      layers_.push_back(
          {.norm = nn::load_norm(load, config_, nn::names::kRwkvNorm, i),
           .factors = load_time_factors(load, hidden, i),
           .time_mix = nn::GatedTimeMix(load, config_, load_decay(load, hidden, i), i),
           .channel_mix = nn::ChannelMix(load, config_, load_channel_factors(load, hidden, i), i)});
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
    const Tensor mixed = ops.lerp(x, delta, layer.factors, {});
    const auto part = [&](int n) { return mixed.columns(n * x.cols, x.cols); };
    layer.time_mix(ops, batch, residual, {part(0), part(1), part(2), part(3)});
  }

  nn::RwkvConfig config_;
  nn::LmHead head_;
  nn::RwkvEmbedding embedding_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_rwkv5;
const Family family_rwkv5{
    .id = "rwkv5",
    .hf = {"Rwkv5ForCausalLM", "rwkv5"},
    .gguf = {"rwkv5"},
    .build = build<Rwkv5>,
};

}  // namespace rbee
