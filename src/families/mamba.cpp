// Mamba (Gu & Dao, 2023, arXiv:2312.00752), and Falcon-Mamba, which normalises Δ, B and C.
#include <nlohmann/json.hpp>
#include <vector>

#include "checkpoint/describe.hpp"
#include "model/family.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/own_keys.hpp"
#include "nn/recurrent.hpp"

namespace rbee {
namespace {

constexpr Key kInner{"intermediate_size|d_inner", "ssm.inner_size"};
constexpr Key kExpand{"expand", ""};
constexpr Key kState{"state_size|d_state", "ssm.state_size"};
constexpr Key kWidth{"conv_kernel|d_conv", "ssm.conv_kernel"};
constexpr Key kRank{"time_step_rank|dt_rank", "ssm.time_step_rank"};
constexpr Key kPadding{"pad_vocab_size_multiple", ""};
constexpr Key kActivation{"hidden_act", ""};
constexpr Key kNormalises{"", "ssm.dt_b_c_rms"};
constexpr Key kMixerEps{"mixer_rms_eps", "ssm.dt_b_c_rms_epsilon"};

constexpr Name kIn{"layers.{}.mixer.in_proj.weight", "blk.{}.ssm_in.weight"};
constexpr Name kInBias{"layers.{}.mixer.in_proj.bias", "blk.{}.ssm_in.bias"};
constexpr Name kConv{"layers.{}.mixer.conv1d.weight", "blk.{}.ssm_conv1d.weight"};
constexpr Name kConvBias{"layers.{}.mixer.conv1d.bias", "blk.{}.ssm_conv1d.bias"};
constexpr Name kX{"layers.{}.mixer.x_proj.weight", "blk.{}.ssm_x.weight"};
constexpr Name kDt{"layers.{}.mixer.dt_proj.weight", "blk.{}.ssm_dt.weight"};
constexpr Name kDtBias{"layers.{}.mixer.dt_proj.bias", "blk.{}.ssm_dt.bias"};
constexpr Name kA{"layers.{}.mixer.A_log", "blk.{}.ssm_a"};
constexpr Name kD{"layers.{}.mixer.D", "blk.{}.ssm_d"};
constexpr Name kOut{"layers.{}.mixer.out_proj.weight", "blk.{}.ssm_out.weight"};
constexpr Name kOutBias{"layers.{}.mixer.out_proj.bias", "blk.{}.ssm_out.bias"};
constexpr nn::NormName kNorm{{"layers.{}.norm.weight", "blk.{}.attn_norm.weight"}, {"", ""}};

struct Config : nn::DecoderConfig {
  int inner = 0;  // channels
  int state = 0;  // values of state of each
  int width = 0;  // of the convolution
  int rank = 0;   // of Δ
  bool normalises = false;
  float mixer_eps = 0;
};

int read_rank(const Checkpoint& checkpoint, int hidden) {
  const int standard = (hidden + 15) / 16;
  if (checkpoint.config() != nullptr) {
    const auto found = checkpoint.config()->find("time_step_rank");
    if (found != checkpoint.config()->end() && *found == "auto") return standard;
  }
  return nn::count(checkpoint, kRank, nn::kMaxExtent, standard);
}

Config read_config(const Loader& load) {
  constexpr int kMaxState = 1 << 12;
  constexpr int kMaxWidth = 1 << 10;
  const Checkpoint& checkpoint = load.checkpoint();
  Config config{nn::DecoderConfig::read_trunk(checkpoint, {.eps = 1e-5})};
  config.max_context = nn::kRecurrentContext;
  // The first checkpoints count the tokens, and pad the embedding.
  const auto table = load.shape(nn::names::kEmbed);
  const int multiple = nn::count(checkpoint, kPadding, 1 << 16, 1);
  const int padded = (config.vocab + multiple - 1) / multiple * multiple;
  if (!table.empty() && table[0] == padded) config.vocab = padded;
  const int expand = nn::count(checkpoint, kExpand, 64, 2);
  const bool fits = config.hidden <= nn::kMaxExtent / expand;
  config.inner = nn::count(checkpoint, kInner, nn::kMaxExtent,
                           fits ? std::optional(config.hidden * expand) : std::nullopt);
  config.state = nn::count(checkpoint, kState, kMaxState, 16);
  config.width = nn::count(checkpoint, kWidth, kMaxWidth, 4);
  config.rank = read_rank(checkpoint, config.hidden);
  if (const auto act = checkpoint.string(kActivation); act && *act != "silu") {
    nn::bad_value(checkpoint, kActivation, "silu", in_quotes(*act));
  }
  config.normalises = nn::flag(checkpoint, kNormalises,
                               checkpoint.architecture() == "FalconMambaForCausalLM" ||
                                   checkpoint.architecture() == "falcon_mamba");
  config.mixer_eps =
      static_cast<float>(nn::own_positive(checkpoint, kMixerEps, {.config = 1e-6, .gguf = 1e-6}));
  return config;
}

struct Layer {
  nn::Norm norm;
  Linear in, x, dt, out;
  ShortConv conv;
  SelectiveScan scan;
};

Layer load_layer(Loader& load, const Config& c, int i) {
  const auto size = static_cast<std::size_t>(c.inner) * static_cast<std::size_t>(c.state);
  const auto rates = nn::transpose(nn::load_rates(load, kA, size, i), c.inner, c.state);
  Layer layer{
      .norm = nn::load_norm(load, c, kNorm, i),
      .in = {load.matrix(kIn, 2 * c.inner, c.hidden, i),
             load.maybe_vector(kInBias, 2 * c.inner, i)},
      .x = {load.matrix(kX, c.rank + 2 * c.state, c.inner, i)},
      .dt = {load.matrix(kDt, c.inner, c.rank, i), load.vector(kDtBias, c.inner, i)},
      .out = {load.matrix(kOut, c.hidden, c.inner, i), load.maybe_vector(kOutBias, c.hidden, i)},
      .conv = nn::load_short_conv(load, kConv, kConvBias, c.inner, c.width, i),
      .scan = {.state = c.state, .a = load.constant(rates), .d = load.vector(kD, c.inner, i)}};
  layer.conv.act = Activation::silu;
  return layer;
}

class Mamba final : public Model {
 public:
  explicit Mamba(Loader& load)
      : config_(read_config(load)), head_(load, config_), info_(config_.model_info()) {
    const std::size_t floats = ShortConv::state_floats(config_.width, config_.inner) +
                               SelectiveScan::state_floats(config_.state, config_.inner);
    for (int i = 0; i < config_.layers; ++i) {
      layers_.push_back(load_layer(load, config_, i));
      info_.state.emplace_back(Recurrent{floats * sizeof(float)});
    }
  }

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (int i = 0; i < config_.layers; ++i) {
      const auto scratch = ops.scope();
      mix(ops, batch, x, i);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  // residual += mixer(norm(residual))
  void mix(Ops& ops, const Batch& batch, const Tensor& residual, int i) const {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    const int inner = config_.inner;
    const Tensor both = ops.linear(layer.norm(ops, residual), {&layer.in, 1});
    const Tensor x = ops.short_conv(both.columns(0, inner), layer.conv, batch, {i, 0});
    const Tensor parts = ops.linear(x, {&layer.x, 1});
    const Tensor rank = parts.columns(0, config_.rank);
    const Tensor b = parts.columns(config_.rank, config_.state);
    const Tensor c = parts.columns(config_.rank + config_.state, config_.state);
    if (config_.normalises) {
      for (const Tensor& part : {rank, b, c}) ops.norm_heads(part, 1, {.eps = config_.mixer_eps});
    }
    const ScanInputs in{x, ops.linear(rank, {&layer.dt, 1}), b, c, both.columns(inner, inner)};
    const SlotPart state{i, ShortConv::state_floats(config_.width, inner)};
    ops.linear_add(residual, ops.selective_scan(in, layer.scan, batch, state), layer.out);
  }

  Config config_;
  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_mamba;
const Family family_mamba{
    .id = "mamba",
    .hf = {"MambaForCausalLM", "MambaLMHeadModel", "FalconMambaForCausalLM", "mamba",
           "falcon_mamba"},
    .gguf = {"mamba"},
    .build = build<Mamba>,
};

}  // namespace rbee
