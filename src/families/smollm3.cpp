// SmolLM3: Llama's shape where every fourth layer does not rotate (Yang et al., 2025,
// arXiv:2501.18795).
#include <string>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

// Whether a layer rotates queries and keys. Only GGUF files of ours say it, where it is not all but
// every fourth.
std::vector<std::int64_t> read_rotated(const Checkpoint& checkpoint, int layers) {
  constexpr Key kLayers{"no_rope_layers", ""};
  constexpr Key kGgufLayers{"", "no_rope_layers"};
  constexpr Key kInterval{"no_rope_layer_interval", ""};
  constexpr int kDefaultInterval = 4;
  const auto all_but = [&](int interval) {
    std::vector<std::int64_t> rotated;
    for (int i = 0; i < layers; ++i) rotated.push_back((i + 1) % interval != 0 ? 1 : 0);
    return rotated;
  };
  const Key& key = checkpoint.format() == Format::gguf ? kGgufLayers : kLayers;
  auto rotated = checkpoint.integers(key).value_or(
      all_but(nn::count(checkpoint, kInterval, nn::kMaxExtent, kDefaultInterval)));
  if (rotated.size() != static_cast<std::size_t>(layers)) {
    nn::bad_value(checkpoint, key, "a number for each layer", std::to_string(rotated.size()));
  }
  if (rotated != all_but(kDefaultInterval)) checkpoint.note(kGgufLayers, rotated);
  return rotated;
}

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::GatedMlp mlp;
};

class SmolLm3 final : public Model {
 public:
  explicit SmolLm3(Loader& load)
      : SmolLm3(load,
                nn::DecoderConfig::read(
                    load.checkpoint(), {.kv_heads = 4, .max_context = 32768, .rope_theta = 2e6})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      layer.mlp(ops, x, layer.mlp_norm(ops, x));
    }
    return head_.logits(ops, batch, x);
  }

 private:
  SmolLm3(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Checkpoint& checkpoint = load.checkpoint();
    // GGUF holds the rows of q and k in another order than config.json's format.
    const bool gguf = checkpoint.format() == Format::gguf;
    const Rope rope = nn::make_rope(load, config, gguf ? RopePairing::adjacent : RopePairing::half);
    const auto rotated = read_rotated(checkpoint, config.layers);
    const auto rotates = [&](int i) { return rotated[static_cast<std::size_t>(i)] != 0; };
    constexpr Key kUseWindow{"use_sliding_window", ""};
    const bool windowed = checkpoint.boolean(kUseWindow).value_or(gguf);
    const std::vector<int> windows =
        nn::layer_windows(checkpoint, config.layers, windowed ? nn::read_window(checkpoint) : 0,
                          [&](int i) { return !rotates(i); });
    for (int i = 0; i < config.layers; ++i) {
      const nn::AttentionOptions options{.rope = rotates(i) ? rope : Rope{},
                                         .window = windows[static_cast<std::size_t>(i)]};
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i),
           .mlp = nn::GatedMlp(load, config, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_smollm3;
const Family family_smollm3{.id = "smollm3",
                            .hf = {"SmolLM3ForCausalLM", "smollm3"},
                            .gguf = {"smollm3"},
                            .pairs_rows_in_gguf = true,
                            .build = build<SmolLm3>};

}  // namespace rbee
