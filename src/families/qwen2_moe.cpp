// Qwen 1.5 and 2 with experts: as Qwen 2, with experts in place of the MLP in all layers or some,
// and beside them an MLP for every token, times a sigmoid of the token.
#include <optional>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/lm_head.hpp"
#include "nn/moe.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

constexpr Name kSharedGate{"layers.{}.mlp.shared_expert.gate_proj.weight",
                           "blk.{}.ffn_gate_shexp.weight"};
constexpr Name kSharedUp{"layers.{}.mlp.shared_expert.up_proj.weight",
                         "blk.{}.ffn_up_shexp.weight"};
constexpr Name kSharedDown{"layers.{}.mlp.shared_expert.down_proj.weight",
                           "blk.{}.ffn_down_shexp.weight"};
constexpr Name kSharedFactor{"layers.{}.mlp.shared_expert_gate.weight",
                             "blk.{}.ffn_gate_inp_shexp.weight"};

struct SharedExpert {
  Linear gate, up, down;
  Linear factor;  // [1, hidden]
  Activation activation{};

  void operator()(Ops& ops, const Tensor& residual, const Tensor& x) const {
    const Tensor out = ops.linear(ops.gated(x, gate, up, activation), {&down, 1});
    ops.multiply(out, ops.linear(x, {&factor, 1}), Activation::sigmoid);
    ops.add(residual, out);
  }
};

SharedExpert load_shared(Loader& load, const nn::DecoderConfig& config, int layer) {
  constexpr Key kFfn{"shared_expert_intermediate_size", "expert_shared_feed_forward_length"};
  const int ffn = nn::count(load.checkpoint(), kFfn, nn::kMaxExtent);
  const auto part = [&](const Name& name, int rows, int cols) {
    return Linear{load.matrix(name, rows, cols, layer)};
  };
  return {.gate = part(kSharedGate, ffn, config.hidden),
          .up = part(kSharedUp, ffn, config.hidden),
          .down = part(kSharedDown, config.hidden, ffn),
          .factor = {load.f32_matrix(kSharedFactor, 1, config.hidden, layer)},
          .activation = config.activation};
}

nn::DecoderConfig read_config(const Checkpoint& checkpoint) {
  constexpr Key kBias{"qkv_bias", ""};
  auto config = nn::DecoderConfig::read(checkpoint, {.max_context = 32768});
  config.qkv_bias = checkpoint.boolean(kBias).value_or(checkpoint.format() != Format::gguf);
  return config;
}

// Unlike the plain models: every other layer before max_window_layers. GGUF files of ours list
// them.
std::vector<int> read_windows(const Checkpoint& checkpoint, int layers) {
  constexpr Key kUse{"use_sliding_window", ""};
  constexpr Key kEnd{"max_window_layers", ""};
  constexpr int kDefaultWidth = 4096, kDefaultEnd = 28;
  const bool gguf = checkpoint.format() == Format::gguf;
  const bool use = checkpoint.boolean(kUse).value_or(gguf);
  const int width = use ? nn::read_window(checkpoint, gguf ? 0 : kDefaultWidth) : 0;
  const std::int64_t end = checkpoint.integer(kEnd).value_or(kDefaultEnd);
  return nn::layer_windows(checkpoint, layers, width,
                           [=](int i) { return gguf || (i % 2 == 0 && i < end); });
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  std::optional<nn::GatedMlp> mlp{};  // in place of experts
  MoeParams moe{};
  SharedExpert shared{};
};

class Qwen2Moe final : public Model {
 public:
  explicit Qwen2Moe(Loader& load) : Qwen2Moe(load, read_config(load.checkpoint())) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      const Tensor inner = layer.mlp_norm(ops, x);
      if (layer.mlp) {
        (*layer.mlp)(ops, x, inner);
      } else {
        ops.moe_add(x, inner, layer.moe);
        layer.shared(ops, x, inner);
      }
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Qwen2Moe(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Checkpoint& checkpoint = load.checkpoint();
    const Rope rope = nn::make_rope(load, config, RopePairing::half);
    const std::vector<int> windows = read_windows(checkpoint, config.layers);
    const std::vector<bool> sparse = nn::sparse_layers(load, config.layers);
    nn::MoeConfig moe = nn::MoeConfig::read(checkpoint, config);
    moe.routing.normalise = nn::read_normalise(checkpoint, /*absent=*/false);
    for (int i = 0; i < config.layers; ++i) {
      const auto layer = static_cast<std::size_t>(i);
      const nn::AttentionOptions options{.rope = rope, .window = windows[layer]};
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i)});
      if (sparse[layer]) {
        layers_.back().moe = nn::load_moe(load, config, moe, i);
        layers_.back().shared = load_shared(load, config, i);
      } else {
        layers_.back().mlp.emplace(load, config, i);
      }
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_qwen2_moe;
const Family family_qwen2_moe{
    .id = "qwen2_moe",
    .hf = {"Qwen2MoeForCausalLM", "qwen2_moe"},
    .gguf = {"qwen2moe"},
    .build = build<Qwen2Moe>,
};

}  // namespace rbee
