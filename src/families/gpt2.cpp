// GPT-2: learned positions, layer norms, one matrix for q, k and v, and an MLP without a gate. Its
// linear maps are stored transposed in safetensors (Conv1D).
#include <cmath>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/own_keys.hpp"
#include "nn/parts.hpp"
#include "nn/plain_mlp.hpp"

namespace rbee {
namespace {

constexpr Name kPositions{"wpe.weight", "position_embd.weight"};
constexpr nn::NormName kAttentionNorm{{"h.{}.ln_1.weight", "blk.{}.attn_norm.weight"},
                                      {"h.{}.ln_1.bias", "blk.{}.attn_norm.bias"}};
constexpr nn::NormName kMlpNorm{{"h.{}.ln_2.weight", "blk.{}.ffn_norm.weight"},
                                {"h.{}.ln_2.bias", "blk.{}.ffn_norm.bias"}};
constexpr nn::LinearName kQkv{{"h.{}.attn.c_attn.weight", "blk.{}.attn_qkv.weight"},
                              {"h.{}.attn.c_attn.bias", "blk.{}.attn_qkv.bias"}};
constexpr nn::LinearName kOutput{{"h.{}.attn.c_proj.weight", "blk.{}.attn_output.weight"},
                                 {"h.{}.attn.c_proj.bias", "blk.{}.attn_output.bias"}};
constexpr nn::LinearName kUp{{"h.{}.mlp.c_fc.weight", "blk.{}.ffn_up.weight"},
                             {"h.{}.mlp.c_fc.bias", "blk.{}.ffn_up.bias"}};
constexpr nn::LinearName kDown{{"h.{}.mlp.c_proj.weight", "blk.{}.ffn_down.weight"},
                               {"h.{}.mlp.c_proj.bias", "blk.{}.ffn_down.bias"}};

Linear load_conv1d(Loader& load, const nn::LinearName& name, int rows, int cols, int layer) {
  const bool transposed = load.checkpoint().format() == Format::safetensors;
  return {load.matrix(name.weight, rows, cols, layer, {.transposed = transposed}),
          load.vector(name.bias, rows, layer)};
}

// Of the scores of a layer; the two keys are of variants.
float read_scale(const Checkpoint& checkpoint, int head_dim, int layer) {
  constexpr Key kScaled{"scale_attn_weights", "attention.scale_weights"};
  constexpr Key kByLayer{"scale_attn_by_inverse_layer_idx", "attention.scale_by_inverse_layer"};
  float scale = 1;
  if (nn::own_flag(checkpoint, kScaled, {.config = true, .gguf = true})) {
    scale /= std::sqrt(static_cast<float>(head_dim));
  }
  if (nn::own_flag(checkpoint, kByLayer, {.config = false, .gguf = false}))
    scale /= static_cast<float>(layer + 1);
  return scale;
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::PlainMlp mlp;
};

class Gpt2 final : public Model {
 public:
  explicit Gpt2(Loader& load)
      : Gpt2(load, nn::DecoderConfig::read(load.checkpoint(), {.norm = nn::NormKind::layer,
                                                               .eps = 1e-5,
                                                               .activation = Activation::gelu_tanh,
                                                               .ffn_factor = 4,
                                                               .max_context = 1024})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    ops.add_positions(x, positions_, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      layer.mlp(ops, x, layer.mlp_norm(ops, x));
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Gpt2(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    positions_ = load.matrix(kPositions, config.max_context, config.hidden);
    for (int i = 0; i < config.layers; ++i) {
      const auto linear = [&](const nn::LinearName& name, int rows, int cols) {
        return load_conv1d(load, name, rows, cols, i);
      };
      const int hidden = config.hidden, inner = config.heads * config.head_dim;
      const int qkv_rows = inner + 2 * config.kv_heads * config.head_dim;
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, kAttentionNorm, i),
           .attention = nn::Attention(
               {.qkv = {linear(kQkv, qkv_rows, hidden)}, .output = linear(kOutput, hidden, inner)},
               config, i, {.scale = read_scale(load.checkpoint(), config.head_dim, i)}),
           .mlp_norm = nn::load_norm(load, config, kMlpNorm, i),
           .mlp = nn::PlainMlp(linear(kUp, config.ffn, hidden), linear(kDown, hidden, config.ffn),
                               config.activation)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  Weight positions_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_gpt2;
const Family family_gpt2{
    .id = "gpt2", .hf = {"GPT2LMHeadModel", "gpt2"}, .gguf = {"gpt2"}, .build = build<Gpt2>};

}  // namespace rbee
