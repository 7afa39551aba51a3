// Mamba-2 (Dao & Gu, 2024, arXiv:2405.21060), and Mamba-Codestral.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/describe.hpp"
#include "model/family.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/recurrent.hpp"

namespace rbee {
namespace {

constexpr Key kHeads{"num_heads", "ssm.time_step_rank"};
constexpr Key kHeadDim{"head_dim", ""};
constexpr Key kInner{"", "ssm.inner_size"};
constexpr Key kGroups{"n_groups", "ssm.group_count"};
constexpr Key kState{"state_size", "ssm.state_size"};
constexpr Key kWidth{"conv_kernel", "ssm.conv_kernel"};
constexpr Key kActivation{"hidden_act", ""};
constexpr Key kLimit{"time_step_limit", ""};
constexpr Key kLeast{"", "ssm.time_step_min"};  // keys of our own
constexpr Key kMost{"", "ssm.time_step_max"};

constexpr Name kIn{"layers.{}.mixer.in_proj.weight", "blk.{}.ssm_in.weight"};
constexpr Name kInBias{"layers.{}.mixer.in_proj.bias", "blk.{}.ssm_in.bias"};
constexpr Name kConv{"layers.{}.mixer.conv1d.weight", "blk.{}.ssm_conv1d.weight"};
constexpr Name kConvBias{"layers.{}.mixer.conv1d.bias", "blk.{}.ssm_conv1d.bias"};
constexpr Name kDtBias{"layers.{}.mixer.dt_bias", "blk.{}.ssm_dt.bias"};
constexpr Name kA{"layers.{}.mixer.A_log", "blk.{}.ssm_a"};
constexpr Name kD{"layers.{}.mixer.D", "blk.{}.ssm_d"};
constexpr Name kInnerNorm{"layers.{}.mixer.norm.weight", "blk.{}.ssm_norm.weight"};
constexpr Name kOut{"layers.{}.mixer.out_proj.weight", "blk.{}.ssm_out.weight"};
constexpr Name kOutBias{"layers.{}.mixer.out_proj.bias", "blk.{}.ssm_out.bias"};
constexpr nn::NormName kNorm{{"layers.{}.norm.weight", "blk.{}.attn_norm.weight"}, {"", ""}};

struct Config : nn::DecoderConfig {
  int head_size = 0;
  int groups = 0;  // of heads that share B and C
  int state = 0;   // columns of a head's state
  int width = 0;   // of the convolution
  float dt_min = 0, dt_max = std::numeric_limits<float>::infinity();

  int inner() const { return heads * head_size; }
  int convolved() const { return inner() + 2 * groups * state; }  // x, B and C
};

// One end of "time_step_limit": [0.0, Infinity].
float read_limit(const Checkpoint& checkpoint, const Json& value) {
  const bool infinite = value == "Infinity";
  if (!infinite && !value.is_number()) {
    nn::bad_value(checkpoint, kLimit, "two numbers", dump_json(value));
  }
  return infinite ? std::numeric_limits<float>::infinity() : value.get<float>();
}

float positive_limit(const Checkpoint& checkpoint, const Key& key) {
  return static_cast<float>(nn::positive(checkpoint, key));
}

void read_limits(const Checkpoint& checkpoint, Config& config) {
  if (checkpoint.config() == nullptr) {
    if (checkpoint.real(kLeast)) config.dt_min = positive_limit(checkpoint, kLeast);
    if (checkpoint.real(kMost)) config.dt_max = positive_limit(checkpoint, kMost);
    return;
  }
  const auto found = checkpoint.config()->find("time_step_limit");
  if (found == checkpoint.config()->end() || found->is_null()) return;
  if (!found->is_array() || found->size() != 2) {
    nn::bad_value(checkpoint, kLimit, "two numbers", dump_json(*found));
  }
  config.dt_min = read_limit(checkpoint, (*found)[0]);
  config.dt_max = read_limit(checkpoint, (*found)[1]);
  if (!(config.dt_min <= config.dt_max)) {
    nn::bad_value(checkpoint, kLimit, "a lower limit before an upper one", dump_json(*found));
  }
  if (config.dt_min > 0) checkpoint.note(kLeast, static_cast<double>(config.dt_min));
  if (std::isfinite(config.dt_max)) checkpoint.note(kMost, static_cast<double>(config.dt_max));
}

Config read_config(const Checkpoint& checkpoint) {
  constexpr int kMaxHeads = 1 << 14;
  constexpr int kMaxState = 1 << 12;
  constexpr int kMaxWidth = 1 << 10;
  Config config{nn::DecoderConfig::read_trunk(checkpoint, {.eps = 1e-5})};
  config.max_context = nn::kRecurrentContext;
  config.heads = nn::count(checkpoint, kHeads, kMaxHeads);
  if (checkpoint.format() == Format::gguf) {
    const int inner = nn::count(checkpoint, kInner, nn::kMaxExtent);
    if (inner % config.heads != 0 || inner / config.heads > kMaxState) {
      nn::bad_value(checkpoint, kInner, fmt::format("a multiple of {} heads", config.heads),
                    std::to_string(inner));
    }
    config.head_size = inner / config.heads;
  } else {
    config.head_size = nn::count(checkpoint, kHeadDim, kMaxState, 64);
  }
  config.groups = nn::count(checkpoint, kGroups, config.heads, 1);
  if (config.heads % config.groups != 0) {
    nn::bad_value(checkpoint, kGroups, fmt::format("a divisor of the {} heads", config.heads),
                  std::to_string(config.groups));
  }
  config.state = nn::count(checkpoint, kState, kMaxState, 128);
  config.width = nn::count(checkpoint, kWidth, kMaxWidth, 4);
  if (const auto act = checkpoint.string(kActivation); act && *act != "silu") {
    nn::bad_value(checkpoint, kActivation, "silu", in_quotes(*act));
  }
  read_limits(checkpoint, config);
  return config;
}

struct Layer {
  nn::Norm norm;
  Linear in, out;
  ShortConv conv;
  SsdScan scan;
  HeadNorm inner_norm;  // of each group
};

Layer load_layer(Loader& load, const Config& c, int i) {
  const int rows = c.inner() + c.convolved() + c.heads;
  Layer layer{
      .norm = nn::load_norm(load, c, kNorm, i),
      .in = {load.matrix(kIn, rows, c.hidden, i), load.maybe_vector(kInBias, rows, i)},
      .out = {load.matrix(kOut, c.hidden, c.inner(), i), load.maybe_vector(kOutBias, c.hidden, i)},
      .conv = nn::load_short_conv(load, kConv, kConvBias, c.convolved(), c.width, i),
      .scan = {.heads = c.heads,
               .groups = c.groups,
               .state = c.state,
               .a = load.constant(nn::load_rates(load, kA, static_cast<std::size_t>(c.heads), i)),
               .d = nn::load_flat(load, kD, c.heads, i),
               .dt_bias = nn::load_flat(load, kDtBias, c.heads, i),
               .dt_min = c.dt_min,
               .dt_max = c.dt_max},
      .inner_norm = {.kind = HeadNorm::Kind::rms,
                     .weight = nn::load_flat(load, kInnerNorm, c.inner(), i),
                     .eps = c.eps}};
  layer.conv.act = Activation::silu;
  return layer;
}

class Mamba2 final : public Model {
 public:
  explicit Mamba2(Loader& load)
      : config_(read_config(load.checkpoint())), head_(load, config_), info_(config_.model_info()) {
    const std::size_t floats = ShortConv::state_floats(config_.width, config_.convolved()) +
                               SsdScan::state_floats(config_.state, config_.inner());
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
  // residual += mixer(norm(residual)). The norm inside takes each group for itself, as the first
  // implementation does; that of transformers forgets the groups.
  void mix(Ops& ops, const Batch& batch, const Tensor& residual, int i) const {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    const int inner = config_.inner();
    const int convolved = config_.convolved();
    const int shared = config_.groups * config_.state;
    const Tensor all = ops.linear(layer.norm(ops, residual), {&layer.in, 1});
    const Tensor xbc = ops.short_conv(all.columns(inner, convolved), layer.conv, batch, {i, 0});
    const ScanInputs in{.x = xbc.columns(0, inner),
                        .dt = all.columns(inner + convolved, config_.heads),
                        .b = xbc.columns(inner, shared),
                        .c = xbc.columns(inner + shared, shared),
                        .gate = all.columns(0, inner)};
    const SlotPart state{i, ShortConv::state_floats(config_.width, convolved)};
    const Tensor y = ops.ssd_scan(in, layer.scan, batch, state);
    ops.norm_heads(y, config_.groups, layer.inner_norm);
    ops.linear_add(residual, y, layer.out);
  }

  Config config_;
  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_mamba2;
const Family family_mamba2{
    .id = "mamba2",
    .hf = {"Mamba2ForCausalLM", "mamba2"},
    .gguf = {"mamba2"},
    .build = build<Mamba2>,
};

}  // namespace rbee
