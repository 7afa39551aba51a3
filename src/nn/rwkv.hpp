// What the families of RWKV share: their configuration, the second half of a layer, and the names
// of tensors. A layer keeps, in floats: the last input of each half, 2 * hidden, and the state of
// the linear attention, hidden * head_size.
#pragma once
#include <cstddef>
#include <span>

#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"
#include "nn/parts.hpp"

namespace rbee::nn {

struct RwkvConfig : DecoderConfig {
  int head_size = 0;
  // GGUF files have the matrices that write into the residual stream divided by 2^(layer / every),
  // and halve the stream after every so many layers. 0: not so.
  int rescale_every = 0;

  static RwkvConfig read(const Loader& load);

  // What a file with rescale_every wants behind a layer.
  void rescale(Ops& ops, const Tensor& x, int layer) const {
    if (rescale_every != 0 && (layer + 1) % rescale_every == 0) ops.scale(x, 0.5F);
  }

  LayerState state() const;
  // The parts of a layer's slot.
  SlotPart time_shift(int layer) const { return {layer, 0}; }
  SlotPart channel_shift(int layer) const { return {layer, static_cast<std::size_t>(hidden)}; }
  SlotPart attention(int layer) const { return {layer, 2 * static_cast<std::size_t>(hidden)}; }
};

// Factors of lerp out of several vectors of hidden elements, one after the other. GGUF files may
// have them in one tensor, `fused`, which also is how the old files of fla have them.
Weight load_factors(Loader& load, std::span<const Name> names, const Name& fused, int hidden,
                    int layer);

// A matrix [rows, cols] that safetensors hold as [cols, rows].
Weight load_transposed(Loader& load, const Name& name, int rows, int cols, int layer);

// Normalises each head of the linear attention's result.
HeadNorm load_group_norm(Loader& load, const RwkvConfig& config, const NormName& name, double eps,
                         int layer);

// The embeddings, normalised, in memory that the layers add to.
class RwkvEmbedding {
 public:
  RwkvEmbedding(Loader& load, const RwkvConfig& config);
  // x = norm(x)
  void operator()(Ops& ops, const Tensor& x) const { ops.norm_heads(x, 1, norm_); }

 private:
  HeadNorm norm_;
};

// residual += value(relu(key(lerp))²), of version 7, or that times σ(receptance(lerp)).
class ChannelMix {
 public:
  // factors: of the key, and of the receptance where there is one.
  ChannelMix(Loader& load, const RwkvConfig& config, const Weight& factors, int layer);
  void operator()(Ops& ops, const Batch& batch, const Tensor& residual) const;

 private:
  Norm norm_;
  Weight factors_;
  Linear key_, receptance_, value_;
  SlotPart shift_;
};

// Receptance, key, value and output of the linear attention, [hidden, hidden] each.
struct RwkvProjections {
  Linear receptance, key, value, output;

  RwkvProjections(Loader& load, const RwkvConfig& config, int layer);
};

// The linear attention of versions 5 and 6 with all around it but the mixing of its inputs.
class GatedTimeMix {
 public:
  // Lerps of the layer's input; decay is absent where it is the same for all tokens.
  struct Inputs {
    Tensor key, value, receptance, gate;
    Tensor decay{};
  };
  // decay: of all tokens, or absent.
  GatedTimeMix(Loader& load, const RwkvConfig& config, const Weight& decay, int layer);
  // residual += output(norm(wkv) ⊙ silu(gate))
  void operator()(Ops& ops, const Batch& batch, const Tensor& residual, const Inputs& in) const;

 private:
  RwkvProjections project_;
  Linear gate_;
  Wkv6 wkv_;
  HeadNorm norm_;
  SlotPart state_;
};

namespace names {

inline constexpr NormName kRwkvNorm{
    {"rwkv.blocks.{}.ln1.weight|blocks.{}.ln1.weight|layers.{}.attn_norm.weight",
     "blk.{}.attn_norm.weight"},
    {"rwkv.blocks.{}.ln1.bias|blocks.{}.ln1.bias|layers.{}.attn_norm.bias",
     "blk.{}.attn_norm.bias"}};
inline constexpr NormName kRwkvGroupNorm{
    {"rwkv.blocks.{}.attention.ln_x.weight|blocks.{}.att.ln_x.weight|layers.{}.attn.g_norm.weight",
     "blk.{}.time_mix_ln.weight"},
    {"rwkv.blocks.{}.attention.ln_x.bias|blocks.{}.att.ln_x.bias|layers.{}.attn.g_norm.bias",
     "blk.{}.time_mix_ln.bias"}};

}  // namespace names

}  // namespace rbee::nn
