// OLMo 2 and 3: no norms before attention and MLP but after them, and norms over whole rows of
// queries and keys. OLMo 3 has three windowed layers, without its scaling of the rotation, before
// each full one.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/lm_head.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

// OLMo 3 shares its GGUF architecture with OLMo 2, which has no windows.
std::vector<int> read_windows(const Checkpoint& checkpoint, int layers) {
  constexpr int kDefaultWindow = 4096;
  const bool gguf = checkpoint.format() == Format::gguf;
  const bool olmo3 =
      checkpoint.architecture().starts_with("Olmo3") || checkpoint.architecture() == "olmo3";
  const int width = gguf || olmo3 ? nn::read_window(checkpoint, olmo3 ? kDefaultWindow : 0) : 0;
  return nn::layer_windows(checkpoint, layers, width, [](int i) { return i % 4 != 3; });
}

struct Layer {
  nn::Attention attention;
  nn::Norm attention_norm;
  nn::GatedMlp mlp;
  nn::Norm mlp_norm;
};

class Olmo2 final : public Model {
 public:
  explicit Olmo2(Loader& load)
      : Olmo2(load, nn::DecoderConfig::read(load.checkpoint(), {.eps = 1e-5})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      ops.add(x, layer.attention_norm(ops, layer.attention.output(ops, batch, x)));
      ops.add(x, layer.mlp_norm(ops, layer.mlp.output(ops, x)));
    }
    return head_.logits(ops, batch, x);
  }

 private:
  Olmo2(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    const Rope full = nn::make_rope(load, config, RopePairing::half);
    const Rope local = nn::plain_rope(load, config.rope_theta, config.rope_dims, RopePairing::half);
    const std::vector<int> windows = read_windows(load.checkpoint(), config.layers);
    for (int i = 0; i < config.layers; ++i) {
      const int window = windows[static_cast<std::size_t>(i)];
      const nn::AttentionOptions options{
          .rope = window != 0 ? local : full,
          .window = window,
          .qk_norm = nn::load_qk_norm(load, config, nn::NormWidth::row, i)};
      layers_.push_back(
          {.attention = nn::Attention(load, config, i, options),
           .attention_norm = nn::load_norm(load, config, nn::names::kPostAttentionNorm, i),
           .mlp = nn::GatedMlp(load, config, i),
           .mlp_norm = nn::load_norm(load, config, nn::names::kPostMlpNorm, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_olmo2;
const Family family_olmo2{.id = "olmo2",
                          .hf = {"Olmo2ForCausalLM", "olmo2", "Olmo3ForCausalLM", "olmo3"},
                          .gguf = {"olmo2"},
                          .build = build<Olmo2>};

}  // namespace rbee
