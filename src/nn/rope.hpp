// Rotary frequencies as a checkpoint asks for them.
#pragma once
#include <string>
#include <vector>

#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"

namespace rbee::nn {

// The rotation of a decoder's queries and keys, with the scaling its configuration names: none,
// linear, dynamic, llama3, yarn or longrope, and the divisors in GGUF's rope_freqs.weight. dynamic
// changes nothing up to max_context, which is the longest context here. longrope (Ding et al.,
// 2024, arXiv:2402.13753) has two sets of divisors, for sequences within the original context and
// beyond it: load.planned_context() decides, once. Throws LoadError for another kind and for
// parameters out of range.
Rope make_rope(Loader& load, const DecoderConfig& config, RopePairing pairing);

// How a GGUF file says what config.json says of the scaling; what is absent is not written.
struct GgufRope {
  std::string type;             // "linear", "yarn", or empty
  std::vector<float> divisors;  // rope_freqs.weight
  std::vector<float> short_factors, long_factors;
  double attention_factor = 1;
  double log_multiplier = 0;
  int original_context = 0;
};
GgufRope gguf_rope(const Checkpoint& checkpoint, double theta, int dims, int max_context);

// What YaRN with mscale_all_dim multiplies the scale of the scores with, as DeepSeek has it; 1
// where the configuration has no such thing.
float yarn_score_scale(const Checkpoint& checkpoint);

// The rotation without any scaling. Throws LoadError when theta is out of range.
Rope plain_rope(Loader& load, double theta, int dims, RopePairing pairing);

// 1 / theta^(2j/dims) for j < dims/2, in f32 throughout as transformers computes it.
std::vector<float> inverse_frequencies(double theta, int dims);

// The scaling of Llama 3.1: frequencies with wavelengths beyond original / low are divided by
// factor, those below original / high are kept, and those between are blended.
struct Llama3Scaling {
  double factor = 8;
  double low = 1;
  double high = 4;
  double original = 8192;  // context before the scaling
};
std::vector<float> scaled(std::vector<float> inv_freq, const Llama3Scaling& scaling);

// YaRN (Peng et al., 2023, arXiv:2309.00071): frequencies that turn fewer than beta_slow times in
// the original context are divided by factor, those that turn more than beta_fast times are kept.
struct YarnScaling {
  double factor = 1;
  double original = 0;
  double beta_fast = 32;
  double beta_slow = 1;
  bool truncate = true;  // the borders of the blend lie on whole indices
};
std::vector<float> scaled(std::vector<float> inv_freq, const YarnScaling& scaling, double theta);

}  // namespace rbee::nn
