#include "nn/gemma_config.hpp"

#include <cmath>

#include "nn/config_values.hpp"
#include "nn/own_keys.hpp"

namespace rbee::nn {

void refuse_attention_both_ways(const Checkpoint& checkpoint) {
  constexpr Key kBothWays{"use_bidirectional_attention", ""};
  if (checkpoint.boolean(kBothWays).value_or(false)) {
    bad_value(checkpoint, kBothWays, "false", "true (attention to later tokens too)");
  }
}

float gemma_score_scale(const Checkpoint& checkpoint, const DecoderConfig& config,
                        int layers_of_27b) {
  constexpr Key kScalar{"query_pre_attn_scalar", "attention.query_pre_attn_scalar"};
  const double untold = config.layers == layers_of_27b
                            ? static_cast<double>(config.hidden) / config.heads
                            : config.head_dim;
  const double scalar = own_positive(checkpoint, kScalar, {.config = 256, .gguf = untold});
  return static_cast<float>(1 / std::sqrt(scalar));
}

}  // namespace rbee::nn
