// Tensor names that most decoders share. A family with another spelling of one of them adds it here
// after a '|'; a tensor that only one family has is named in that family's file.
#pragma once
#include "model/loader.hpp"

namespace rbee::nn {

struct LinearName {
  Name weight;
  Name bias;
};
using NormName = LinearName;

namespace names {

// embeddings and what follows: recurrent models.
inline constexpr Name kEmbed{
    "embed_tokens.weight|wte.weight|word_embeddings.weight|"
    "embeddings.weight|embedding.weight|rwkv.embeddings.weight|emb.weight",
    "token_embd.weight"};
inline constexpr NormName kFinalNorm{
    {"norm.weight|final_layernorm.weight|ln_f.weight|norm_f.weight|rwkv.ln_out.weight|"
     "ln_out.weight",
     "output_norm.weight"},
    {"norm.bias|final_layernorm.bias|ln_f.bias|rwkv.ln_out.bias|ln_out.bias", "output_norm.bias"}};
inline constexpr LinearName kHead{{"lm_head.weight|head.weight", "output.weight"},
                                  {"lm_head.bias", "output.bias"}};

// ln1 and ln2 are the first uploads of Yi.
inline constexpr NormName kAttentionNorm{
    {"layers.{}.input_layernorm.weight|layers.{}.ln1.weight", "blk.{}.attn_norm.weight"},
    {"layers.{}.input_layernorm.bias", "blk.{}.attn_norm.bias"}};
inline constexpr NormName kMlpNorm{
    {"layers.{}.post_attention_layernorm.weight|layers.{}.ln2.weight", "blk.{}.ffn_norm.weight"},
    {"layers.{}.post_attention_layernorm.bias", "blk.{}.ffn_norm.bias"}};

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
    {"layers.{}.self_attn.o_proj.weight|layers.{}.self_attn.dense.weight",
     "blk.{}.attn_output.weight"},
    {"layers.{}.self_attn.o_proj.bias|layers.{}.self_attn.dense.bias", "blk.{}.attn_output.bias"}};

// Norms of queries and keys.
inline constexpr Name kQueryNorm{"layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight"};
inline constexpr Name kKeyNorm{"layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight"};
// Where the residual stream gets what attention and MLP give through norms of its own.
inline constexpr NormName kPostAttentionNorm{
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight"}, {}};
inline constexpr NormName kPreMlpNorm{
    {"layers.{}.pre_feedforward_layernorm.weight", "blk.{}.ffn_norm.weight"}, {}};
inline constexpr NormName kPostMlpNorm{
    {"layers.{}.post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight"}, {}};

// Gate and up in one matrix: rows of the gate first.
inline constexpr Name kGateUp{"layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight"};
inline constexpr LinearName kGate{{"layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
                                  {"layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias"}};
inline constexpr LinearName kUp{{"layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
                                {"layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias"}};
inline constexpr LinearName kDown{{"layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
                                  {"layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias"}};

// The two matrices of an MLP without a gate.
inline constexpr LinearName kPlainUp{
    {"layers.{}.mlp.fc1.weight|layers.{}.mlp.c_fc.weight|h.{}.mlp.dense_h_to_4h.weight",
     "blk.{}.ffn_up.weight"},
    {"layers.{}.mlp.fc1.bias|layers.{}.mlp.c_fc.bias|h.{}.mlp.dense_h_to_4h.bias",
     "blk.{}.ffn_up.bias"}};
inline constexpr LinearName kPlainDown{
    {"layers.{}.mlp.fc2.weight|layers.{}.mlp.c_proj.weight|h.{}.mlp.dense_4h_to_h.weight",
     "blk.{}.ffn_down.weight"},
    {"layers.{}.mlp.fc2.bias|layers.{}.mlp.c_proj.bias|h.{}.mlp.dense_4h_to_h.bias",
     "blk.{}.ffn_down.bias"}};

// Mixtures of experts.
inline constexpr LinearName kRouter{
    {"layers.{}.mlp.gate.weight|layers.{}.block_sparse_moe.gate.weight|"
     "layers.{}.mlp.router.weight",
     "blk.{}.ffn_gate_inp.weight"},
    {"layers.{}.mlp.router.bias", "blk.{}.ffn_gate_inp.bias"}};
inline constexpr Name kSelectionBias{
    "layers.{}.mlp.gate.e_score_correction_bias|"
    "layers.{}.block_sparse_moe.e_score_correction_bias|"
    "layers.{}.block_sparse_moe.gate.e_score_correction_bias",
    "blk.{}.exp_probs_b.bias|blk.{}.exp_probs_b"};
inline constexpr Name kExpertGate{
    "layers.{}.mlp.experts.{x}.gate_proj.weight|layers.{}.block_sparse_moe.experts.{x}.w1.weight",
    "blk.{}.ffn_gate_exps.weight|blk.{}.ffn_gate.{x}.weight"};
inline constexpr Name kExpertUp{
    "layers.{}.mlp.experts.{x}.up_proj.weight|layers.{}.block_sparse_moe.experts.{x}.w3.weight",
    "blk.{}.ffn_up_exps.weight|blk.{}.ffn_up.{x}.weight"};
inline constexpr Name kExpertDown{
    "layers.{}.mlp.experts.down_proj|layers.{}.mlp.experts.{x}.down_proj.weight|layers.{}.block_"
    "sparse_moe.experts.{x}.w2.weight",
    "blk.{}.ffn_down_exps.weight|blk.{}.ffn_down.{x}.weight"};
// Gate and up of all experts in one tensor: rows of the gate first.
inline constexpr Name kExpertGateUp{"layers.{}.mlp.experts.gate_up_proj",
                                    "blk.{}.ffn_gate_up_exps.weight"};

}  // namespace names
}  // namespace rbee::nn
