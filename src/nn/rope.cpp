#include "nn/rope.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"
#include "nn/config_values.hpp"
#include "nn/own_keys.hpp"

namespace rbee::nn {
namespace {

constexpr Key kType{
    "rope_scaling.rope_type|rope_scaling.type|rope_parameters.rope_type|rope_parameters.type",
    "rope.scaling.type"};
constexpr Key kFactor{"rope_scaling.factor|rope_parameters.factor", "rope.scaling.factor"};
constexpr Key kScaleLinear{"", "rope.scale_linear"};  // in files from before rope.scaling
constexpr Key kLow{"rope_scaling.low_freq_factor|rope_parameters.low_freq_factor", ""};
constexpr Key kHigh{"rope_scaling.high_freq_factor|rope_parameters.high_freq_factor", ""};
constexpr Key kOriginal{
    "original_max_position_embeddings|rope_scaling.original_max_position_embeddings|"
    "rope_parameters.original_max_position_embeddings",
    "rope.scaling.original_context_length"};
constexpr Key kBetaFast{"rope_scaling.beta_fast|rope_parameters.beta_fast",
                        "rope.scaling.yarn_beta_fast"};
constexpr Key kBetaSlow{"rope_scaling.beta_slow|rope_parameters.beta_slow",
                        "rope.scaling.yarn_beta_slow"};
constexpr Key kTruncate{"rope_scaling.truncate|rope_parameters.truncate", "rope.yarn_truncate"};
constexpr Key kAttentionFactor{"rope_scaling.attention_factor|rope_parameters.attention_factor",
                               ""};
constexpr Key kMscale{"rope_scaling.mscale|rope_parameters.mscale", ""};
constexpr Key kMscaleAll{"rope_scaling.mscale_all_dim|rope_parameters.mscale_all_dim", ""};
constexpr Key kGgufFactor{"", "rope.scaling.attn_factor"};
// A key of our own: of longrope within the original context, where it is another.
constexpr Key kGgufShortFactor{"", "rope.attn_factor_short"};
// 0.1 mscale_all_dim; mscale is taken to be the same.
constexpr Key kLogMultiplier{"", "rope.scaling.yarn_log_multiplier"};
constexpr Name kRopeFreqs{"", "rope_freqs.weight"};
constexpr Key kShort{"rope_scaling.short_factor|rope_parameters.short_factor", ""};
constexpr Key kLong{"rope_scaling.long_factor|rope_parameters.long_factor", ""};
constexpr Key kShortMscale{"rope_scaling.short_mscale|rope_parameters.short_mscale", ""};
constexpr Key kLongMscale{"rope_scaling.long_mscale|rope_parameters.long_mscale", ""};
constexpr Name kShortFactors{"", "rope_factors_short.weight"};
constexpr Name kLongFactors{"", "rope_factors_long.weight"};

double read_linear(const Checkpoint& checkpoint) {
  if (checkpoint.format() == Format::safetensors) return positive(checkpoint, kFactor);
  return positive(checkpoint, kFactor, positive(checkpoint, kScaleLinear, 1.0));
}

// What YaRN multiplies cos and sin with, to keep the entropy of attention.
float yarn_magnitude(const Checkpoint& checkpoint, double factor) {
  const auto magnitude = [&](double mscale) {
    return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1;
  };
  if (checkpoint.format() == Format::gguf) {
    const bool all_dims = checkpoint.real(kLogMultiplier).value_or(0) != 0;
    return static_cast<float>(positive(checkpoint, kGgufFactor, 1.0) *
                              (all_dims ? 1.0 : magnitude(1)));
  }
  if (checkpoint.real(kAttentionFactor)) {
    return static_cast<float>(positive(checkpoint, kAttentionFactor));
  }
  const double mscale = checkpoint.real(kMscale).value_or(0);
  const double mscale_all = checkpoint.real(kMscaleAll).value_or(0);
  if (mscale == 0 || mscale_all == 0) return static_cast<float>(magnitude(1));
  return static_cast<float>(magnitude(positive(checkpoint, kMscale)) /
                            magnitude(positive(checkpoint, kMscaleAll)));
}

void divide(const Loader& load, std::vector<float>& inv_freq, std::span<const float> divisors,
            const char* field) {
  if (divisors.size() != inv_freq.size()) {
    throw LoadError(load.checkpoint().path().string(), field,
                    fmt::format("{} elements", inv_freq.size()), std::to_string(divisors.size()));
  }
  for (std::size_t j = 0; j < inv_freq.size(); ++j) inv_freq[j] /= divisors[j];
}

// Divisors that a GGUF file gives in place of parameters (Llama 3.1).
void divide_by_rope_freqs(Loader& load, std::vector<float>& inv_freq) {
  const std::vector<float> divisors = load.values(kRopeFreqs);
  if (!divisors.empty()) divide(load, inv_freq, divisors, "tensor 'rope_freqs.weight'");
}

// What LongRoPE multiplies cos and sin with.
float long_rope_magnitude(const Checkpoint& checkpoint, int max_context, int original,
                          bool is_long) {
  const bool gguf = checkpoint.format() == Format::gguf;
  for (const Key& given : {is_long ? kLongMscale : kShortMscale, kAttentionFactor,
                           is_long ? kGgufFactor : kGgufShortFactor, kGgufFactor}) {
    if (checkpoint.real(given)) return static_cast<float>(positive(checkpoint, given));
  }
  const double contexts = static_cast<double>(max_context) / original;
  const double ratio = gguf ? contexts : positive(checkpoint, kFactor, contexts);
  if (ratio <= 1) return 1;
  return static_cast<float>(std::sqrt(1 + std::log(ratio) / std::log(original)));
}

// Of config.json. The first Phi-3 models spelled it su and yarn.
bool names_long_rope(const Checkpoint& checkpoint, const std::string& type) {
  return type == "longrope" || type == "su" || (type == "yarn" && checkpoint.reals(kShort));
}

bool is_long_rope(const Loader& load, const std::string& type) {
  if (load.checkpoint().format() == Format::gguf) return load.has(kShortFactors);
  return names_long_rope(load.checkpoint(), type);
}

void scale_long(Loader& load, int max_context, std::vector<float>& inv_freq, Rope& rope) {
  const Checkpoint& checkpoint = load.checkpoint();
  const int original = count(checkpoint, kOriginal, kMaxExtent, max_context);
  const int planned = load.planned_context() > 0 ? load.planned_context() : max_context;
  const bool is_long = planned > original;
  std::vector<float> short_factors, long_factors;
  if (checkpoint.format() == Format::gguf) {
    short_factors = load.values(kShortFactors);
    long_factors = load.values(kLongFactors);
  } else {
    short_factors = checkpoint.reals(kShort).value_or(short_factors);
    long_factors = checkpoint.reals(kLong).value_or(long_factors);
  }
  divide(load, inv_freq, is_long ? long_factors : short_factors,
         is_long ? "long_factor of longrope" : "short_factor of longrope");
  const auto magnitude = [&](bool of_long) {
    return long_rope_magnitude(checkpoint, max_context, original, of_long);
  };
  rope.scale = magnitude(is_long);
  if (magnitude(false) != magnitude(true)) {
    checkpoint.note(kGgufShortFactor, static_cast<double>(magnitude(false)));
  }
}

Llama3Scaling read_llama3(const Checkpoint& checkpoint, int max_context) {
  const Llama3Scaling scaling{
      .factor = positive(checkpoint, kFactor),
      .low = positive(checkpoint, kLow),
      .high = positive(checkpoint, kHigh),
      .original = static_cast<double>(count(checkpoint, kOriginal, kMaxExtent, max_context))};
  if (scaling.high <= scaling.low) {
    bad_value(checkpoint, kHigh, fmt::format("more than low_freq_factor, {}", scaling.low),
              fmt::format("{}", scaling.high));
  }
  return scaling;
}

Weight checked(Loader& load, std::span<const float> inv_freq) {
  if (!std::all_of(inv_freq.begin(), inv_freq.end(), [](float f) { return std::isfinite(f); })) {
    bad_value(load.checkpoint(), kRopeTheta, "finite frequencies", "a division by nearly zero");
  }
  return load.constant(inv_freq);
}

YarnScaling read_yarn(const Checkpoint& checkpoint, const DecoderConfig& config) {
  const int max_context = config.max_context;
  const int original = count(checkpoint, kOriginal, kMaxExtent, max_context);
  return {.factor = positive(checkpoint, kFactor, static_cast<double>(max_context) / original),
          .original = static_cast<double>(original),
          .beta_fast = positive(checkpoint, kBetaFast, 32.0),
          .beta_slow = positive(checkpoint, kBetaSlow, 1.0),
          .truncate =
              own_flag(checkpoint, kTruncate, {.config = true, .gguf = config.gguf_yarn_truncate})};
}

}  // namespace

std::vector<float> inverse_frequencies(double theta, int dims) {
  std::vector<float> inv_freq(static_cast<std::size_t>(dims / 2));
  for (int j = 0; j < dims / 2; ++j) {
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(dims);
    inv_freq[static_cast<std::size_t>(j)] = 1 / std::pow(static_cast<float>(theta), exponent);
  }
  return inv_freq;
}

std::vector<float> scaled(std::vector<float> inv_freq, const Llama3Scaling& scaling) {
  for (float& f : inv_freq) {
    const double wavelength = 2 * std::numbers::pi / f;
    if (wavelength > scaling.original / scaling.low) {
      f = static_cast<float>(f / scaling.factor);
    } else if (wavelength >= scaling.original / scaling.high) {
      const double kept =
          (scaling.original / wavelength - scaling.low) / (scaling.high - scaling.low);
      f = static_cast<float>((1 - kept) * f / scaling.factor + kept * f);
    }
  }
  return inv_freq;
}

std::vector<float> scaled(std::vector<float> inv_freq, const YarnScaling& scaling, double theta) {
  const double dims = 2.0 * static_cast<double>(inv_freq.size());
  // The index whose frequency turns this many times in the original context.
  const auto index_of = [&](double turns) {
    return dims * std::log(scaling.original / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  double low = index_of(scaling.beta_fast);
  double high = index_of(scaling.beta_slow);
  if (scaling.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1);
  if (low == high) high += 0.001;
  for (std::size_t j = 0; j < inv_freq.size(); ++j) {
    const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    inv_freq[j] =
        static_cast<float>(inv_freq[j] / scaling.factor * ramp + inv_freq[j] * (1 - ramp));
  }
  return inv_freq;
}

Rope plain_rope(Loader& load, double theta, int dims, RopePairing pairing) {
  return {.dims = dims,
          .pairing = pairing,
          .inv_freq = checked(load, inverse_frequencies(theta, dims))};
}

float yarn_score_scale(const Checkpoint& checkpoint) {
  const bool gguf = checkpoint.format() == Format::gguf;
  const std::string type = checkpoint.string(kType).value_or("default");
  const double multiplier = gguf ? checkpoint.real(kLogMultiplier).value_or(0)
                                 : 0.1 * checkpoint.real(kMscaleAll).value_or(0);
  if (type == "default" || type == "none" || multiplier == 0) return 1;
  const double factor = positive(checkpoint, kFactor);
  const double mscale = factor <= 1 ? 1 : multiplier * std::log(factor) + 1;
  if (!std::isfinite(mscale)) {
    bad_value(checkpoint, gguf ? kLogMultiplier : kMscaleAll, "a finite number", "another");
  }
  return static_cast<float>(mscale * mscale);
}

GgufRope gguf_rope(const Checkpoint& checkpoint, double theta, int dims, int max_context) {
  GgufRope rope;
  const std::string type = checkpoint.string(kType).value_or("default");
  const int original = count(checkpoint, kOriginal, kMaxExtent, max_context);
  if (names_long_rope(checkpoint, type)) {
    rope.short_factors = checkpoint.reals(kShort).value_or(rope.short_factors);
    rope.long_factors = checkpoint.reals(kLong).value_or(rope.long_factors);
    rope.original_context = original;
    rope.attention_factor =
        long_rope_magnitude(checkpoint, max_context, original, /*is_long=*/true);
  } else if (type == "llama3") {
    rope.divisors = inverse_frequencies(theta, dims);
    const auto slower = scaled(rope.divisors, read_llama3(checkpoint, max_context));
    for (std::size_t j = 0; j < slower.size(); ++j) rope.divisors[j] /= slower[j];
  } else if (type == "yarn") {
    rope.type = type;
    rope.original_context = original;
    rope.log_multiplier = 0.1 * checkpoint.real(kMscaleAll).value_or(0);
    const double factor =
        positive(checkpoint, kFactor, static_cast<double>(max_context) / original);
    // Readers multiply with this one themselves, unless there is a multiplier.
    const double implied =
        rope.log_multiplier != 0 || factor <= 1 ? 1.0 : 0.1 * std::log(factor) + 1;
    rope.attention_factor = yarn_magnitude(checkpoint, factor) / implied;
    if (std::abs(rope.attention_factor - 1) < 1e-6) rope.attention_factor = 1;
  } else if (type == "linear") {
    rope.type = type;
  }
  return rope;
}

Rope make_rope(Loader& load, const DecoderConfig& config, RopePairing pairing) {
  const Checkpoint& checkpoint = load.checkpoint();
  const bool gguf = checkpoint.format() == Format::gguf;
  const std::string type = checkpoint.string(kType).value_or(gguf ? "linear" : "default");
  Rope rope{.dims = config.rope_dims, .pairing = pairing};

  std::vector<float> inv_freq = inverse_frequencies(config.rope_theta, config.rope_dims);
  divide_by_rope_freqs(load, inv_freq);
  if (is_long_rope(load, type)) {
    scale_long(load, config.max_context, inv_freq, rope);
  } else if (type == "linear") {
    const double factor = read_linear(checkpoint);
    for (float& f : inv_freq) f = static_cast<float>(f / factor);
  } else if (type == "llama3") {
    inv_freq = scaled(std::move(inv_freq), read_llama3(checkpoint, config.max_context));
  } else if (type == "yarn") {
    const YarnScaling yarn = read_yarn(checkpoint, config);
    inv_freq = scaled(std::move(inv_freq), yarn, config.rope_theta);
    rope.scale = yarn_magnitude(checkpoint, yarn.factor);
  } else if (type != "default" && type != "none" && type != "dynamic") {
    bad_value(checkpoint, kType, "default, none, linear, dynamic, llama3, yarn or longrope",
              in_quotes(type));
  }
  rope.inv_freq = checked(load, inv_freq);
  return rope;
}

}  // namespace rbee::nn
