// DecoderConfig: the part of a configuration that nearly every decoder has, in either format.
#pragma once
#include "backend/ops.hpp"
#include "checkpoint/checkpoint.hpp"
#include "model/model.hpp"

namespace rbee::nn {

struct DecoderConfig {
  int layers = 0;
  int hidden = 0;     // width of the residual stream
  int ffn = 0;        // width inside the MLP
  int heads = 0;      // query heads, a multiple of kv_heads
  int kv_heads = 0;   // key and value heads
  int head_dim = 0;   // even; not always hidden / heads
  int rope_dims = 0;  // rotated elements of each head, from the first on; even
  int vocab = 0;
  int max_context = 0;          // positions
  float eps = 0;                // of the norms
  bool attention_bias = false;  // q, k, v and o must have a bias; elsewhere they may
  bool mlp_bias = false;        // gate, up and down must have a bias; elsewhere they may
  Activation activation = Activation::silu;

  // Throws LoadError when a value is missing, out of range or at odds with another.
  static DecoderConfig read(const Checkpoint& checkpoint);

  // The part of ModelInfo that follows from this; state is left empty.
  ModelInfo model_info() const;
};

}  // namespace rbee::nn
