// SharedMoe: a mixture of experts beside experts that every token passes (DeepSeekMoE; Dai et al.,
// 2024, arXiv:2401.06066), with DeepSeek's choice of experts.
#pragma once
#include <optional>

#include "backend/moe.hpp"
#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"
#include "nn/gated_mlp.hpp"

namespace rbee::nn {

// What a family's models mean by a key that is absent.
struct MoeDefaults {
  Gating gating = Gating::softmax;
  bool normalise = false;
};

struct SharedMoeConfig {
  int experts = 0;      // 0: all layers have a plain MLP
  int ffn = 0;          // width of an expert
  int shared_ffn = 0;   // of the shared ones together; 0: there are none
  int dense_until = 0;  // layers before this one have a plain MLP
  int every = 1;        // and of the others all but each every-th
  Routing routing{};

  // Throws LoadError when a value is missing, out of range or at odds with another.
  static SharedMoeConfig read(const Checkpoint& checkpoint, const MoeDefaults& defaults);

  bool has_experts(int layer) const {
    return experts > 0 && layer >= dense_until && layer % every == 0;
  }
};

class SharedMoe {
 public:
  SharedMoe(Loader& load, const DecoderConfig& config, const SharedMoeConfig& moe, int layer);

  // residual += experts(x) + shared experts(x); both [T, hidden].
  void operator()(Ops& ops, const Tensor& residual, const Tensor& x) const;

 private:
  MoeParams params_;
  std::optional<GatedMlp> shared_;
};

}  // namespace rbee::nn
