#include "nn/decoder_config.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "checkpoint/describe.hpp"
#include "nn/config_values.hpp"

namespace rbee::nn {
namespace {

constexpr int kMaxLayers = 4096;
constexpr int kMaxHeads = 1 << 14;
constexpr int kMaxHeadDim = 1 << 12;

constexpr Key kLayers{"num_hidden_layers|n_layer|n_layers|num_layers", "block_count"};
constexpr Key kHidden{"hidden_size|n_embd|d_model|dim", "embedding_length"};
constexpr Key kFfn{"intermediate_size|n_inner|ffn_dim|hidden_dim", "feed_forward_length"};
constexpr Key kHeads{"num_attention_heads|n_head|n_heads", "attention.head_count"};
constexpr Key kKvHeads{"num_key_value_heads|num_kv_heads|n_head_kv", "attention.head_count_kv"};
constexpr Key kHeadDim{"head_dim", "attention.key_length"};
constexpr Key kValueDim{"", "attention.value_length"};
constexpr Key kRopeDims{"", "rope.dimension_count"};
constexpr Key kPartialRotary{
    "rope_scaling.partial_rotary_factor|rope_parameters.partial_rotary_factor|"
    "partial_rotary_factor",
    ""};
constexpr Key kVocab{"vocab_size", "vocab_size"};
constexpr Key kContext{
    "max_position_embeddings|n_ctx|n_positions|model_max_length|max_sequence_length",
    "context_length"};
constexpr Key kEps{"rms_norm_eps|norm_eps|layer_norm_eps", "attention.layer_norm_rms_epsilon"};
constexpr Key kAttentionBias{"attention_bias", ""};
constexpr Key kMlpBias{"mlp_bias", ""};
constexpr Key kActivation{"hidden_act|hidden_activation", ""};
constexpr Key kQuantisation{"quantization_config.quant_method", ""};

int read_vocab(const Checkpoint& checkpoint) {
  // GGUF files may lack the key; the embedding has a row for each token.
  if (checkpoint.format() == Format::gguf) {
    const TensorInfo* table = checkpoint.find("token_embd.weight");
    if (table != nullptr && table->shape.size() == 2 && table->shape[0] >= 1 &&
        table->shape[0] <= kMaxExtent) {
      return static_cast<int>(table->shape[0]);
    }
  }
  return count(checkpoint, kVocab, kMaxExtent);
}

int read_context(const Checkpoint& checkpoint) {
  constexpr int kLlamaDefault = 2048;  // what the first Llama configurations leave out
  const bool gguf = checkpoint.format() == Format::gguf;
  return count(checkpoint, kContext, kMaxExtent,
               gguf ? std::nullopt : std::optional(kLlamaDefault));
}

float read_eps(const Checkpoint& checkpoint) {
  const bool gguf = checkpoint.format() == Format::gguf;
  const double eps = positive(checkpoint, kEps, gguf ? std::nullopt : std::optional(1e-6));
  if (eps > 1) bad_value(checkpoint, kEps, "a number up to 1", fmt::format("{}", eps));
  return static_cast<float>(eps);
}

Activation read_activation(const Checkpoint& checkpoint) {
  constexpr std::array<std::pair<std::string_view, Activation>, 6> kNames{{
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"gelu", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"relu", Activation::relu},
  }};
  const auto name = checkpoint.string(kActivation);
  if (!name) return Activation::silu;
  for (const auto& [known, activation] : kNames) {
    if (known == *name) return activation;
  }
  bad_value(checkpoint, kActivation, "silu, gelu, gelu_new, gelu_pytorch_tanh or relu",
            in_quotes(*name));
}

int read_rope_dims(const Checkpoint& checkpoint, int head_dim) {
  int dims = count(checkpoint, kRopeDims, head_dim, head_dim);
  if (const auto part = checkpoint.real(kPartialRotary)) {
    if (!(*part > 0 && *part <= 1)) {
      bad_value(checkpoint, kPartialRotary, "a number in (0, 1]", fmt::format("{}", *part));
    }
    dims = static_cast<int>(head_dim * *part);
  }
  if (dims < 2 || dims % 2 != 0) {
    bad_value(checkpoint, kRopeDims, "an even number of rotated elements", std::to_string(dims));
  }
  return dims;
}

void read_heads(const Checkpoint& checkpoint, DecoderConfig& config) {
  config.heads = count(checkpoint, kHeads, kMaxHeads);
  config.kv_heads = count(checkpoint, kKvHeads, kMaxHeads, config.heads);
  if (config.heads % config.kv_heads != 0) {
    bad_value(checkpoint, kKvHeads, fmt::format("a divisor of the {} heads", config.heads),
              std::to_string(config.kv_heads));
  }
  const bool divides = config.hidden % config.heads == 0;
  config.head_dim = count(checkpoint, kHeadDim, kMaxHeadDim,
                          divides ? std::optional(config.hidden / config.heads) : std::nullopt);
  if (config.head_dim % 2 != 0 || config.head_dim > kMaxHeadDim) {
    bad_value(checkpoint, kHeadDim, fmt::format("an even number up to {}", kMaxHeadDim),
              std::to_string(config.head_dim));
  }
  if (count(checkpoint, kValueDim, kMaxHeadDim, config.head_dim) != config.head_dim) {
    bad_value(checkpoint, kValueDim, fmt::format("the key length, {}", config.head_dim),
              "another number");
  }
  config.rope_dims = read_rope_dims(checkpoint, config.head_dim);
}

}  // namespace

DecoderConfig DecoderConfig::read(const Checkpoint& checkpoint) {
  if (const auto method = checkpoint.string(kQuantisation)) {
    bad_value(checkpoint, kQuantisation, "weights in F32, F16 or BF16", in_quotes(*method));
  }
  DecoderConfig config;
  config.layers = count(checkpoint, kLayers, kMaxLayers);
  config.hidden = count(checkpoint, kHidden, kMaxExtent);
  config.ffn = count(checkpoint, kFfn, kMaxExtent);
  read_heads(checkpoint, config);
  config.vocab = read_vocab(checkpoint);
  config.max_context = read_context(checkpoint);
  config.eps = read_eps(checkpoint);
  config.attention_bias = checkpoint.boolean(kAttentionBias).value_or(false);
  config.mlp_bias = checkpoint.boolean(kMlpBias).value_or(false);
  config.activation = read_activation(checkpoint);
  return config;
}

ModelInfo DecoderConfig::model_info() const {
  ModelInfo info;
  info.n_layers = layers;
  info.hidden_size = hidden;
  info.vocab_size = vocab;
  info.max_context = max_context;
  return info;
}

}  // namespace rbee::nn
