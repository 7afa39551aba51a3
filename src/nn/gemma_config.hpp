// What the configurations of Gemma 1 to 3 have in common.
#pragma once
#include "nn/decoder_config.hpp"

namespace rbee::nn {

// Throws LoadError when tokens are to see later ones (EmbeddingGemma).
void refuse_attention_both_ways(const Checkpoint& checkpoint);

// What scores are multiplied with: query_pre_attn_scalar^-1/2. GGUF does not say the scalar: it is
// hidden / heads in the 27B, which has layers_of_27b layers, and the size of a head in the others.
// Files of ours say it where it is another.
float gemma_score_scale(const Checkpoint& checkpoint, const DecoderConfig& config,
                        int layers_of_27b);

}  // namespace rbee::nn
