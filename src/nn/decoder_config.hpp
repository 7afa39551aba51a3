// DecoderConfig: the part of a configuration that nearly every decoder has, in either format.
#pragma once
#include "backend/ops.hpp"
#include "checkpoint/checkpoint.hpp"
#include "model/model.hpp"

namespace rbee::nn {

enum class NormKind : std::uint8_t {
  rms,           // with a weight
  rms_plus_one,  // the same; safetensors hold the weight less one, GGUF holds all of it
  layer,         // with weight and bias
  layer_bare,    // with neither
};

// What a family's models mean by a key that config.json leaves out. A zero: the key must be there,
// or its value follows from others.
struct DecoderDefaults {
  NormKind norm = NormKind::rms;
  double eps = 1e-6;
  Activation activation = Activation::silu;  // GGUF never names it
  int heads = 0;
  int kv_heads = 0;    // 0: as many as heads
  int head_dim = 0;    // 0: hidden / heads
  int ffn_factor = 0;  // width of the MLP in units of hidden
  int vocab = 0;
  int max_context = 2048;
  double rope_theta = 10000;       // of GGUF too
  double rotated_part = 1;         // of each head
  bool own_heads = false;          // the family reads what its heads are like; only their number is
                                   // read here
  bool gguf_yarn_truncate = true;  // see YarnScaling; what GGUF files mean that do not say it
};

struct DecoderConfig {
  int layers = 0;
  int hidden = 0;     // width of the residual stream
  int ffn = 0;        // width inside the MLP
  int heads = 0;      // query heads, a multiple of kv_heads
  int kv_heads = 0;   // key and value heads
  int head_dim = 0;   // even; not always hidden / heads
  int rope_dims = 0;  // rotated elements of each head, from the first on; even
  int vocab = 0;
  int max_context = 0;  // positions
  double rope_theta = 0;
  bool gguf_yarn_truncate = true;  // where a GGUF file does not say it
  NormKind norm = NormKind::rms;
  float eps = 0;             // of the norms
  bool qkv_bias = false;     // q, k and v must have a bias; elsewhere they may
  bool output_bias = false;  // and o
  bool mlp_bias = false;     // the MLP's matrices must have a bias; elsewhere they may
  Activation activation = Activation::silu;

  // Throws LoadError when a value is missing, out of range or at odds with another.
  static DecoderConfig read(const Checkpoint& checkpoint, const DecoderDefaults& defaults = {});

  // The part that models without attention have too: layers, hidden, vocab and the norms.
  static DecoderConfig read_trunk(const Checkpoint& checkpoint, const DecoderDefaults& defaults);

  // The part of ModelInfo that follows from this; state is left empty.
  ModelInfo model_info() const;
};

// The base of the rotary frequencies. config.json has two spellings of the block: rope_scaling
// beside rope_theta, and rope_parameters (newer).
inline constexpr Key kRopeTheta{
    "rope_scaling.rope_theta|rope_parameters.rope_theta|rope_theta|rotary_emb_base",
    "rope.freq_base"};

}  // namespace rbee::nn
