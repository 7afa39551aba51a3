// Tensor names that most decoders share. A family with another spelling of one of them adds it here
// after a '|'; a tensor that only one family has is named in that family's file.
#pragma once
#include "model/loader.hpp"

namespace rbee::nn {

struct LinearName {
  Name weight;
  Name bias;
};

namespace names {

inline constexpr Name kEmbed{"embed_tokens.weight", "token_embd.weight"};
inline constexpr Name kFinalNorm{"norm.weight", "output_norm.weight"};
inline constexpr Name kHead{"lm_head.weight", "output.weight"};

// ln1 and ln2 are the first uploads of Yi.
inline constexpr Name kAttentionNorm{"layers.{}.input_layernorm.weight|layers.{}.ln1.weight",
                                     "blk.{}.attn_norm.weight"};
inline constexpr Name kMlpNorm{"layers.{}.post_attention_layernorm.weight|layers.{}.ln2.weight",
                               "blk.{}.ffn_norm.weight"};

inline constexpr LinearName kQuery{{"layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
                                   {"layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias"}};
inline constexpr LinearName kKey{{"layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
                                 {"layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias"}};
inline constexpr LinearName kValue{{"layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
                                   {"layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"}};
// The three above in one matrix: rows of queries, keys, values.
inline constexpr LinearName kQkv{{"layers.{}.self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight"},
                                 {"layers.{}.self_attn.qkv_proj.bias", "blk.{}.attn_qkv.bias"}};
inline constexpr LinearName kOutput{
    {"layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {"layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias"}};

inline constexpr LinearName kGate{{"layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
                                  {"layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias"}};
inline constexpr LinearName kUp{{"layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
                                {"layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias"}};
inline constexpr LinearName kDown{{"layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
                                  {"layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias"}};

}  // namespace names
}  // namespace rbee::nn
