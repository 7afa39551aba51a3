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
constexpr Key kExtraLayers{"", "nextn_predict_layers"};
constexpr Key kHidden{"hidden_size|n_embd|d_model|dim", "embedding_length"};
constexpr Key kFfn{"intermediate_size|n_inner|ffn_hidden_size|ffn_dim|hidden_dim",
                   "feed_forward_length"};
constexpr Key kHeads{"num_attention_heads|n_head|n_heads", "attention.head_count"};
constexpr Key kKvHeads{"num_key_value_heads|num_kv_heads|n_head_kv", "attention.head_count_kv"};
constexpr Key kHeadDim{"head_dim", "attention.key_length"};
constexpr Key kValueDim{"", "attention.value_length"};
constexpr Key kRopeDims{"rotary_dim", "rope.dimension_count"};
constexpr Key kPartialRotary{
    "rope_scaling.partial_rotary_factor|rope_parameters.partial_rotary_factor|"
    "partial_rotary_factor",
    ""};
constexpr Key kVocab{"vocab_size", "vocab_size"};
constexpr Key kContext{
    "max_position_embeddings|n_positions|n_ctx|model_max_length|max_sequence_length",
    "context_length"};
constexpr Key kEps{"rms_norm_eps|norm_eps|layer_norm_eps|layer_norm_epsilon|norm_epsilon",
                   "attention.layer_norm_rms_epsilon|attention.layer_norm_epsilon"};
constexpr Key kAttentionBias{"attention_bias", ""};
constexpr Key kMlpBias{"mlp_bias", ""};
constexpr Key kActivation{"hidden_activation|hidden_act|activation_function|activation", ""};
// Of our files, where it is not the family's own.
constexpr Key kGgufActivation{"", "hidden_activation"};

// A default stands for a key that config.json leaves out; GGUF files hold all of them.
std::optional<int> fallback(const Checkpoint& checkpoint, int value) {
  const bool absent = value == 0 || checkpoint.format() == Format::gguf;
  return absent ? std::nullopt : std::optional(value);
}

// GGUF counts the layers that predict further tokens as blocks; they are left out here.
int read_layers(const Checkpoint& checkpoint) {
  const int blocks = count(checkpoint, kLayers, kMaxLayers);
  const std::int64_t extra = checkpoint.integer(kExtraLayers).value_or(0);
  if (extra < 0 || extra >= blocks) {
    bad_value(checkpoint, kExtraLayers, fmt::format("fewer than the {} blocks", blocks),
              std::to_string(extra));
  }
  return blocks - static_cast<int>(extra);
}

int read_vocab(const Checkpoint& checkpoint, const DecoderDefaults& defaults) {
  // GGUF files may lack the key; the embedding has a row for each token.
  if (checkpoint.format() == Format::gguf) {
    const TensorInfo* table = checkpoint.find("token_embd.weight");
    if (table != nullptr && table->shape.size() == 2 && table->shape[0] >= 1 &&
        table->shape[0] <= kMaxExtent) {
      return static_cast<int>(table->shape[0]);
    }
  }
  return count(checkpoint, kVocab, kMaxExtent, fallback(checkpoint, defaults.vocab));
}

int read_ffn(const Checkpoint& checkpoint, const DecoderDefaults& defaults, int hidden) {
  const auto width = std::int64_t{hidden} * defaults.ffn_factor;
  const int standard = width > kMaxExtent ? 0 : static_cast<int>(width);
  return count(checkpoint, kFfn, kMaxExtent, fallback(checkpoint, standard));
}

float read_eps(const Checkpoint& checkpoint, double standard) {
  const bool gguf = checkpoint.format() == Format::gguf;
  const double eps = positive(checkpoint, kEps, gguf ? std::nullopt : std::optional(standard));
  if (eps > 1) bad_value(checkpoint, kEps, "a number up to 1", fmt::format("{}", eps));
  return static_cast<float>(eps);
}

Activation read_activation(const Checkpoint& checkpoint, Activation standard) {
  constexpr std::array<std::pair<std::string_view, Activation>, 6> kNames{{
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"gelu", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"relu", Activation::relu},
  }};
  const bool gguf = checkpoint.format() == Format::gguf;
  const Key& key = gguf ? kGgufActivation : kActivation;
  const auto name = checkpoint.string(key);
  if (!name) return standard;
  for (const auto& [known, activation] : kNames) {
    if (known != *name) continue;
    if (activation != standard) checkpoint.note(kGgufActivation, *name);
    return activation;
  }
  bad_value(checkpoint, key, "silu, gelu, gelu_new, gelu_pytorch_tanh or relu", in_quotes(*name));
}

int read_rope_dims(const Checkpoint& checkpoint, int head_dim, double standard_part) {
  int dims = 0;
  if (checkpoint.format() == Format::gguf) {
    dims = count(checkpoint, kRopeDims, head_dim, head_dim);
  } else {
    const double part = checkpoint.real(kPartialRotary).value_or(standard_part);
    if (!(part > 0 && part <= 1)) {
      bad_value(checkpoint, kPartialRotary, "a number in (0, 1]", fmt::format("{}", part));
    }
    dims = count(checkpoint, kRopeDims, head_dim, static_cast<int>(head_dim * part));
  }
  if (dims < 2 || dims % 2 != 0) {
    const bool gguf = checkpoint.format() == Format::gguf;
    bad_value(checkpoint, gguf ? kRopeDims : kPartialRotary, "an even number of rotated elements",
              std::to_string(dims));
  }
  return dims;
}

void read_heads(const Checkpoint& checkpoint, const DecoderDefaults& defaults,
                DecoderConfig& config) {
  config.heads = count(checkpoint, kHeads, kMaxHeads, fallback(checkpoint, defaults.heads));
  if (defaults.own_heads) return;
  config.kv_heads = count(checkpoint, kKvHeads, kMaxHeads,
                          fallback(checkpoint, defaults.kv_heads).value_or(config.heads));
  if (config.heads % config.kv_heads != 0) {
    bad_value(checkpoint, kKvHeads, fmt::format("a divisor of the {} heads", config.heads),
              std::to_string(config.kv_heads));
  }
  const bool divides = config.hidden % config.heads == 0;
  const int share = divides ? config.hidden / config.heads : 0;
  const int standard = fallback(checkpoint, defaults.head_dim).value_or(share);
  config.head_dim = count(checkpoint, kHeadDim, kMaxHeadDim,
                          standard == 0 ? std::nullopt : std::optional(standard));
  if (config.head_dim % 2 != 0 || config.head_dim > kMaxHeadDim) {
    bad_value(checkpoint, kHeadDim, fmt::format("an even number up to {}", kMaxHeadDim),
              std::to_string(config.head_dim));
  }
  if (count(checkpoint, kValueDim, kMaxHeadDim, config.head_dim) != config.head_dim) {
    bad_value(checkpoint, kValueDim, fmt::format("the key length, {}", config.head_dim),
              "another number");
  }
  config.rope_dims = read_rope_dims(checkpoint, config.head_dim, defaults.rotated_part);
}

}  // namespace

DecoderConfig DecoderConfig::read_trunk(const Checkpoint& checkpoint,
                                        const DecoderDefaults& defaults) {
  DecoderConfig config;
  config.layers = read_layers(checkpoint);
  config.hidden = count(checkpoint, kHidden, kMaxExtent);
  config.vocab = read_vocab(checkpoint, defaults);
  config.norm = defaults.norm;
  config.eps = read_eps(checkpoint, defaults.eps);
  return config;
}

DecoderConfig DecoderConfig::read(const Checkpoint& checkpoint, const DecoderDefaults& defaults) {
  DecoderConfig config = read_trunk(checkpoint, defaults);
  config.ffn = read_ffn(checkpoint, defaults, config.hidden);
  read_heads(checkpoint, defaults, config);
  config.max_context =
      count(checkpoint, kContext, kMaxExtent, fallback(checkpoint, defaults.max_context));
  config.rope_theta = positive(checkpoint, kRopeTheta, defaults.rope_theta);
  config.gguf_yarn_truncate = defaults.gguf_yarn_truncate;
  config.qkv_bias = config.output_bias = checkpoint.boolean(kAttentionBias).value_or(false);
  config.mlp_bias = checkpoint.boolean(kMlpBias).value_or(false);
  config.activation = read_activation(checkpoint, defaults.activation);
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
