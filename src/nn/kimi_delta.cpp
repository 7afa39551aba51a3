#include "nn/kimi_delta.hpp"

#include <array>
#include <cmath>

#include "nn/config_values.hpp"
#include "nn/parts.hpp"

namespace rbee::nn {
namespace {

constexpr int kMaxDim = 1 << 12;
constexpr int kMaxWidth = 64;

constexpr Key kHeads{"linear_attn_config.num_heads|linear_num_heads", ""};
// A key of our own, where there are not as many as in the other layers.
constexpr Key kGgufHeads{"", "kda.head_count"};
constexpr Key kHeadDim{"linear_attn_config.head_dim|linear_head_dim", "kda.head_dim"};
constexpr Key kConvWidth{"linear_attn_config.short_conv_kernel_size|linear_conv_kernel_dim",
                         "ssm.conv_kernel"};

constexpr LinearName kDecayDown{{"layers.{}.self_attn.f_a_proj.weight", "blk.{}.ssm_f_a.weight"},
                                {}};
constexpr LinearName kDecayUp{{"layers.{}.self_attn.f_b_proj.weight", "blk.{}.ssm_f_b.weight"}, {}};
constexpr LinearName kGateDown{{"layers.{}.self_attn.g_a_proj.weight", "blk.{}.ssm_g_a.weight"},
                               {}};
constexpr LinearName kGateUp{{"layers.{}.self_attn.g_b_proj.weight", "blk.{}.ssm_g_b.weight"},
                             {"layers.{}.self_attn.g_b_proj.bias", "blk.{}.ssm_g_b.bias"}};
constexpr LinearName kBeta{{"layers.{}.self_attn.b_proj.weight", "blk.{}.ssm_beta.weight"}, {}};
constexpr std::array<Name, 3> kConvs{{
    {"layers.{}.self_attn.q_conv1d.weight", "blk.{}.ssm_conv1d_q.weight"},
    {"layers.{}.self_attn.k_conv1d.weight", "blk.{}.ssm_conv1d_k.weight"},
    {"layers.{}.self_attn.v_conv1d.weight", "blk.{}.ssm_conv1d_v.weight"},
}};
// config.json's format has the logarithm of the rate, GGUF the negative rate.
constexpr Name kRate{"layers.{}.self_attn.A_log", "blk.{}.ssm_a"};
constexpr Name kDecayBias{"layers.{}.self_attn.dt_bias", "blk.{}.ssm_dt.bias"};
constexpr Name kNorm{"layers.{}.self_attn.o_norm.weight", "blk.{}.ssm_norm.weight"};

// The taps of all three, with channels side by side.
Weight load_taps(Loader& load, int width, int channels, int layer) {
  std::vector<float> taps(static_cast<std::size_t>(width) * 3 * static_cast<std::size_t>(channels));
  for (std::size_t part = 0; part < kConvs.size(); ++part) {
    const auto n = static_cast<std::size_t>(channels);
    const auto w = static_cast<std::size_t>(width);
    const std::vector<float> own = load.flat_values(kConvs[part], n * w, layer);
    for (std::size_t c = 0; c < n; ++c) {
      for (std::size_t i = 0; i < w; ++i) taps[(i * 3 + part) * n + c] = own[c * w + i];
    }
  }
  return load.constant(taps);
}

Weight load_rate(Loader& load, int heads, int layer) {
  std::vector<float> rate = load.flat_values(kRate, static_cast<std::size_t>(heads), layer);
  if (load.checkpoint().format() == Format::safetensors) {
    for (float& value : rate) value = -std::exp(value);
  }
  return load.constant(rate);
}

}  // namespace

DeltaConfig DeltaConfig::read(const Checkpoint& checkpoint, const DecoderConfig& config) {
  const bool gguf = checkpoint.format() == Format::gguf;
  const int heads = count(checkpoint, gguf ? kGgufHeads : kHeads, kMaxExtent, config.heads);
  if (heads != config.heads) checkpoint.note(kGgufHeads, std::int64_t{heads});
  return {.heads = heads,
          .head_dim = count(checkpoint, kHeadDim, kMaxDim),
          .conv_width = count(checkpoint, kConvWidth, kMaxWidth)};
}

KimiDelta::KimiDelta(Loader& load, const DecoderConfig& config, const DeltaConfig& delta, int layer)
    : delta_(delta), layer_(layer) {
  const auto part = [&](const LinearName& name, int rows, int cols) {
    return load_linear(load, name, rows, cols, layer, Bias::if_present);
  };
  const int hidden = config.hidden, dim = delta.head_dim;
  in_ = {part(names::kQuery, width(), hidden), part(names::kKey, width(), hidden),
         part(names::kValue, width(), hidden), part(kDecayDown, dim, hidden),
         part(kGateDown, dim, hidden),         part(kBeta, delta.heads, hidden)};
  conv_ = {.width = delta.conv_width,
           .taps = load_taps(load, delta.conv_width, width(), layer),
           .act = config.activation};
  decay_ = part(kDecayUp, width(), dim);
  gate_ = part(kGateUp, width(), dim);
  const std::vector<float> bias =
      load.flat_values(kDecayBias, static_cast<std::size_t>(width()), layer);
  params_ = {.heads = delta.heads,
             .rate = load_rate(load, delta.heads, layer),
             .decay_bias = load.constant(bias),
             .scale = 1 / std::sqrt(static_cast<float>(dim))};
  norm_ = {.weight = load.vector(kNorm, dim, layer), .eps = config.eps};
  output_ = part(names::kOutput, hidden, width());
}

Recurrent KimiDelta::state() const {
  const std::size_t floats = ShortConv::state_floats(delta_.conv_width, 3 * width()) +
                             wkv_state_floats(delta_.heads, width());
  return {floats * sizeof(float)};
}

void KimiDelta::operator()(Ops& ops, const Batch& batch, const Tensor& residual,
                           const Tensor& x) const {
  const int w = width(), dim = delta_.head_dim;
  const Tensor in = ops.linear(x, in_);
  const Tensor qkv = ops.short_conv(in.columns(0, 3 * w), conv_, batch, {layer_, 0});
  const Tensor decay = ops.linear(in.columns(3 * w, dim), {&decay_, 1});
  const Tensor gate = ops.linear(in.columns(3 * w + dim, dim), {&gate_, 1});
  const KdaInputs inputs{.query = qkv.columns(0, w),
                         .key = qkv.columns(w, w),
                         .value = qkv.columns(2 * w, w),
                         .decay = decay,
                         .beta = in.columns(3 * w + 2 * dim, delta_.heads)};
  const std::size_t kept = ShortConv::state_floats(delta_.conv_width, 3 * w);
  const Tensor y = ops.kda(inputs, params_, batch, {layer_, kept});
  ops.norm_heads(y, delta_.heads, norm_);
  ops.multiply(y, gate, Activation::sigmoid);
  ops.linear_add(residual, y, output_);
}

}  // namespace rbee::nn
