#include "sampling/sampling_params.hpp"

#include <fmt/format.h>

#include <string_view>

namespace rbee {
namespace {

struct Bound {
  std::string_view field;
  float value;
  float low;
  float high;
};

}  // namespace

Result<SamplingParams, InvalidParam> validate(const SamplingParams& params, int n_vocab) {
  const Bound bounds[] = {
      {"temperature", params.temperature, 0, 100},
      {"top_p", params.top_p, 0, 1},
      {"min_p", params.min_p, 0, 1},
      {"repetition_penalty", params.repetition_penalty, 0, 100},
      {"frequency_penalty", params.frequency_penalty, -100, 100},
      {"presence_penalty", params.presence_penalty, -100, 100},
  };
  for (const Bound& b : bounds) {
    if (!(b.value >= b.low && b.value <= b.high)) {  // so that NaN fails
      return Err{
          InvalidParam{std::string(b.field),
                       fmt::format("must be between {} and {} (got {})", b.low, b.high, b.value)}};
    }
  }
  if (params.repetition_penalty == 0) {
    return Err{InvalidParam{"repetition_penalty", "must be above 0 (got 0)"}};
  }
  if (params.top_k < 0) {
    return Err{InvalidParam{"top_k", fmt::format("must be at least 0 (got {})", params.top_k)}};
  }
  if (params.repeat_last_n < 0) {
    return Err{InvalidParam{"repeat_last_n",
                            fmt::format("must be at least 0 (got {})", params.repeat_last_n)}};
  }
  for (const auto& [id, bias] : params.logit_bias) {
    if (id < 0 || id >= n_vocab) {
      return Err{InvalidParam{"logit_bias",
                              fmt::format("token id {} is not between 0 and {}", id, n_vocab - 1)}};
    }
    if (!(bias >= -1000 && bias <= 1000)) {
      return Err{InvalidParam{
          "logit_bias",
          fmt::format("of token {} must be between -1000 and 1000 (got {})", id, bias)}};
    }
  }
  return params;
}

}  // namespace rbee
