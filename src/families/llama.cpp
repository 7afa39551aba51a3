// Llama 2, 3, 3.1, 3.2, and what is shaped like them: Mistral, Ministral, Yi,
// SmolLM, SmolLM2, Falcon3.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"
#include "nn/lm_head.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::GatedMlp mlp;
};

// Mistral limits every layer to a window, Ministral some. GGUF files of this architecture rarely
// say so.
std::vector<int> read_windows(const Checkpoint& checkpoint, int layers) {
  constexpr int kDefault = 4096;  // where the key is absent; null means no window
  constexpr Key kModelType{"model_type", ""};
  const auto is = [&](std::string_view architecture, std::string_view type) {
    return checkpoint.architecture() == architecture || checkpoint.string(kModelType) == type;
  };
  std::vector<int> none(static_cast<std::size_t>(layers));
  if (checkpoint.format() == Format::gguf) {
    return nn::layer_windows(checkpoint, layers, nn::read_window(checkpoint),
                             [](int) { return true; });
  }
  if (is("MinistralForCausalLM", "ministral")) {
    return nn::layer_windows(checkpoint, layers, nn::read_window(checkpoint, kDefault),
                             [](int) { return true; });
  }
  if (!is("MistralForCausalLM", "mistral")) return none;
  return std::vector<int>(none.size(), nn::read_window(checkpoint, kDefault));
}

class Llama final : public Model {
 public:
  explicit Llama(Loader& load) : Llama(load, nn::DecoderConfig::read(load.checkpoint())) {}

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
  Llama(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    // GGUF holds the rows of q and k in another order than config.json's format.
    const bool gguf = load.checkpoint().format() == Format::gguf;
    const Rope rope = nn::make_rope(load, config, gguf ? RopePairing::adjacent : RopePairing::half);
    const std::vector<int> windows = read_windows(load.checkpoint(), config.layers);
    for (int i = 0; i < config.layers; ++i) {
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(
               load, config, i, {.rope = rope, .window = windows.at(static_cast<std::size_t>(i))}),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i),
           .mlp = nn::GatedMlp(load, config, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

bool has_no_experts(const Checkpoint& checkpoint) {
  constexpr Key kExperts{"num_local_experts", "expert_count"};
  return checkpoint.integer(kExperts).value_or(0) == 0;
}

}  // namespace

extern const Family family_llama;
const Family family_llama{
    .id = "llama",
    .hf = {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", "YiForCausalLM", "llama",
           "mistral", "yi", "Yi", "MinistralForCausalLM", "ministral"},
    .gguf = {"llama"},
    .claims = has_no_experts,
    .excludes = "a mixture of experts",
    .pairs_rows_in_gguf = true,
    .build = build<Llama>,
};

}  // namespace rbee
