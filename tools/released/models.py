"""Published models: the keys of their config.json that shape them, and the parameters their pages state.

Each entry: name on the Hugging Face hub -> (config, storage type, stated parameters). Stated is the exact count that the hub shows
for the files or the authors give; None where only a rounded one is stated. Counts of the hub include what this project
does not compute with (vision towers, layers that predict further tokens, scales of encoded matrices).
"""


def dims(layers, hidden, heads, kv, ffn, vocab, **more):
    return {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv,
            "intermediate_size": ffn, "vocab_size": vocab, **more}


def llama(*shape, architecture="LlamaForCausalLM", model_type="llama", context=4096, theta=1e4, tied=False, eps=1e-5, **more):
    return {"architectures": [architecture], "model_type": model_type, **dims(*shape), "max_position_embeddings": context,
            "rope_theta": theta, "rms_norm_eps": eps, "tie_word_embeddings": tied, **more}


def llama3_rope(factor):
    return {"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192}


def granite(*shape, scores, logits):
    return llama(*shape, architecture="GraniteForCausalLM", model_type="granite", context=131072, theta=1e7, tied=True, embedding_multiplier=12.0,
                 residual_multiplier=0.22, attention_multiplier=scores, logits_scaling=logits, attention_bias=False, mlp_bias=False)


def mistral(*shape, **more):
    return llama(*shape, architecture="MistralForCausalLM", model_type="mistral", **{"sliding_window": None, **more})


def mixtral(*shape, **more):
    return llama(*shape, architecture="MixtralForCausalLM", model_type="mixtral", num_local_experts=8, num_experts_per_tok=2,
                 sliding_window=None, **more)


def qwen2(*shape, architecture="Qwen2ForCausalLM", model_type="qwen2", **more):
    return llama(*shape, architecture=architecture, model_type=model_type,
                 **{"theta": 1e6, "eps": 1e-6, "context": 32768, "use_sliding_window": False, **more})


def qwen2_moe(*shape, experts, used, ffn, shared, **more):
    return qwen2(*shape, architecture="Qwen2MoeForCausalLM", model_type="qwen2_moe", num_experts=experts, num_experts_per_tok=used,
                 moe_intermediate_size=ffn, shared_expert_intermediate_size=shared, norm_topk_prob=False, decoder_sparse_step=1,
                 mlp_only_layers=[], **more)


def qwen3(*shape, **more):
    return qwen2(*shape, architecture="Qwen3ForCausalLM", model_type="qwen3", head_dim=128, attention_bias=False,
                 **{"context": 40960, **more})


def qwen3_moe(*shape, experts, ffn, **more):
    return qwen2(*shape, architecture="Qwen3MoeForCausalLM", model_type="qwen3_moe", head_dim=128, num_experts=experts,
                 attention_bias=False, num_experts_per_tok=8, moe_intermediate_size=ffn, norm_topk_prob=True, decoder_sparse_step=1,
                 mlp_only_layers=[], **{"context": 40960, **more})


def gemma(*shape, architecture="GemmaForCausalLM", model_type="gemma", head_dim=256, **more):
    return llama(*shape, architecture=architecture, model_type=model_type, head_dim=head_dim, tied=True, eps=1e-6,
                 hidden_activation="gelu_pytorch_tanh", **{"context": 8192, **more})


def gemma2(*shape, scalar, **more):
    return gemma(*shape, architecture="Gemma2ForCausalLM", model_type="gemma2", query_pre_attn_scalar=scalar, sliding_window=4096,
                 attn_logit_softcapping=50.0, final_logit_softcapping=30.0, **more)


def gemma3_text(*shape, scalar=256, window=512, context=32768, **more):
    return gemma(*shape, architecture="Gemma3ForCausalLM", model_type="gemma3_text", query_pre_attn_scalar=scalar,
                 sliding_window=window, sliding_window_pattern=6, rope_local_base_freq=1e4, theta=1e6, context=context, **more)


def gemma3(*shape, **more):
    text = gemma3_text(*shape, window=1024, context=131072, rope_scaling={"rope_type": "linear", "factor": 8.0}, **more)
    del text["architectures"]
    vision = {"model_type": "siglip_vision_model", "hidden_size": 1152, "image_size": 896, "intermediate_size": 4304,
              "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": False}
    return {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text,
            "vision_config": vision, "mm_tokens_per_image": 256, "tie_word_embeddings": True}


def phi(*shape, context=2048, rotary, **more):
    return {"architectures": ["PhiForCausalLM"], "model_type": "phi", **dims(*shape), "max_position_embeddings": context,
            "partial_rotary_factor": rotary, "layer_norm_eps": 1e-5, "rope_theta": 1e4, "hidden_act": "gelu_new",
            "tie_word_embeddings": False, "qk_layernorm": False, **more}


def longrope(half):
    return {"type": "longrope", "long_factor": [1.0] * half, "short_factor": [1.0] * half}


def phi3(*shape, half=48, long=True, **more):
    rope = {"rope_scaling": longrope(half), "original_max_position_embeddings": 4096} if long else {"rope_scaling": None}
    return llama(*shape, architecture="Phi3ForCausalLM", model_type="phi3", **{**rope, "context": 131072 if long else 4096, "pad_token_id": 0, **more})


def deepseek(*shape, architecture, model_type, **more):
    return llama(*shape, architecture=architecture, model_type=model_type,
                 **{"theta": 1e4, "eps": 1e-6, "context": 163840, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                    "v_head_dim": 128, "moe_layer_freq": 1, "attention_bias": False, **more})


def deepseek_yarn(mscale, factor=40):
    return {"type": "yarn", "factor": factor, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1,
            "mscale": mscale, "mscale_all_dim": mscale}


FP8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}


def deepseek_v3(architecture="DeepseekV3ForCausalLM", model_type="deepseek_v3", **more):
    return deepseek(61, 7168, 128, 128, 18432, 129280, architecture=architecture, model_type=model_type,
                    **{"q_lora_rank": 1536, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
                       "moe_intermediate_size": 2048, "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4, "norm_topk_prob": True,
                       "scoring_func": "sigmoid", "topk_method": "noaux_tc", "routed_scaling_factor": 2.5,
                       "rope_scaling": deepseek_yarn(1.0), "num_nextn_predict_layers": 1, "quantization_config": FP8, **more})


def kimi_k2(**more):
    return deepseek_v3(model_type="kimi_k2", num_attention_heads=64, num_key_value_heads=64, n_routed_experts=384, vocab_size=163840,
                       first_k_dense_replace=1, n_group=1, topk_group=1, routed_scaling_factor=2.827, rope_theta=5e4,
                       num_nextn_predict_layers=0, rms_norm_eps=1e-6, **more)


INT4 = {"quant_method": "compressed-tensors", "format": "pack-quantized",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": True,
                                                                        "strategy": "group", "group_size": 32}}},
        "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"]}


def gpt_oss(layers, experts):
    return llama(layers, 2880, 64, 8, 2880, 201088, architecture="GptOssForCausalLM", model_type="gpt_oss", head_dim=64,
                 theta=150000, context=131072, num_local_experts=experts, num_experts_per_tok=4, sliding_window=128, swiglu_limit=7.0,
                 attention_bias=True, layer_types=["sliding_attention", "full_attention"] * (layers // 2),
                 rope_scaling={"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
                               "original_max_position_embeddings": 4096},
                 quantization_config={"quant_method": "mxfp4", "modules_to_not_convert": [
                     "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]})


def starcoder2(*shape, theta, **more):
    return {"architectures": ["Starcoder2ForCausalLM"], "model_type": "starcoder2", **dims(*shape), "max_position_embeddings": 16384,
            "rope_theta": theta, "norm_epsilon": 1e-5, "use_bias": True, "sliding_window": 4096, "hidden_act": "gelu_pytorch_tanh",
            "tie_word_embeddings": True, **more}


def falcon(layers, hidden, heads, vocab=65024, **more):
    return {"architectures": ["FalconForCausalLM"], "model_type": "falcon", "num_hidden_layers": layers, "hidden_size": hidden,
            "num_attention_heads": heads, "vocab_size": vocab, "layer_norm_epsilon": 1e-5, "bias": False, "parallel_attn": True,
            "alibi": False, "multi_query": True, "new_decoder_architecture": False, **more}


def stablelm(*shape, **more):
    return {"architectures": ["StableLmForCausalLM"], "model_type": "stablelm", **dims(*shape), "max_position_embeddings": 4096,
            "rope_theta": 1e4, "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.25, "use_qkv_bias": False, "qk_layernorm": False,
            "use_parallel_residual": False, "tie_word_embeddings": False, **more}


def olmo(*shape, **more):
    return {"architectures": ["OlmoForCausalLM"], "model_type": "olmo", **dims(*shape), "max_position_embeddings": 2048,
            "rope_theta": 1e4, "clip_qkv": None, "attention_bias": False, "tie_word_embeddings": False, **more}


def olmo2(*shape, architecture="Olmo2ForCausalLM", model_type="olmo2", **more):
    return llama(*shape, architecture=architecture, model_type=model_type, attention_bias=False, theta=5e5, eps=1e-6, **more)


def olmo3(*shape, **more):
    layers = shape[0]
    kinds = ["full_attention" if i % 4 == 3 else "sliding_attention" for i in range(layers)]
    return olmo2(*shape, architecture="Olmo3ForCausalLM", model_type="olmo3", context=65536, sliding_window=4096, layer_types=kinds,
                 rope_scaling={"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192,
                               "attention_factor": 1.2079441541679836, "beta_fast": 32.0, "beta_slow": 1.0}, **more)


def gpt2(layers, width, heads):
    return {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": layers, "n_embd": width, "n_head": heads,
            "n_ctx": 1024, "n_positions": 1024, "vocab_size": 50257, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"}


def mamba(layers, hidden, rank, architecture="MambaForCausalLM", model_type="mamba", **more):
    return {"architectures": [architecture], "model_type": model_type, "num_hidden_layers": layers, "hidden_size": hidden,
            "intermediate_size": 2 * hidden, "state_size": 16, "conv_kernel": 4, "time_step_rank": rank, "expand": 2,
            "vocab_size": 50280, "layer_norm_epsilon": 1e-5, "use_bias": False, "use_conv_bias": True, "tie_word_embeddings": True, **more}


def mamba2(layers, hidden, heads, **more):
    return {"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", "num_hidden_layers": layers, "hidden_size": hidden,
            "num_heads": heads, "head_dim": 64, "state_size": 128, "conv_kernel": 4, "expand": 2, "n_groups": 1, "vocab_size": 50288,
            "layer_norm_epsilon": 1e-5, "use_bias": False, "use_conv_bias": True, "chunk_size": 256, "tie_word_embeddings": True, **more}


def rwkv(version, layers, hidden, ffn, **more):
    return {"architectures": [f"Rwkv{version}ForCausalLM"], "model_type": f"rwkv{version}", "num_hidden_layers": layers,
            "hidden_size": hidden, "attention_hidden_size": hidden, "intermediate_size": ffn, "head_size": 64, "vocab_size": 65536,
            "num_attention_heads": 64, "layer_norm_epsilon": 1e-5, "rescale_every": 6, "tie_word_embeddings": False, **more}


def rwkv7(layers, hidden, decay, a, v, gate):
    return {"architectures": ["RWKV7ForCausalLM"], "model_type": "rwkv7", "num_hidden_layers": layers, "hidden_size": hidden,
            "intermediate_size": 4 * hidden, "head_dim": 64, "vocab_size": 65536, "norm_eps": 1e-5, "decay_low_rank_dim": decay,
            "a_low_rank_dim": a, "v_low_rank_dim": v, "gate_low_rank_dim": gate, "norm_bias": True, "norm_first": True,
            "hidden_act": "sqrelu", "tie_word_embeddings": False}


QWEN_72B = (80, 8192, 64, 8, 29568, 152064)
LLAMA_70B = (80, 8192, 64, 8, 28672)
KIMI_LINEAR = llama(
    27, 2304, 32, 32, 9216, 163840, architecture="KimiLinearForCausalLM", model_type="kimi_linear", head_dim=72, model_max_length=1048576,
    linear_attn_config={"full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "head_dim": 128, "num_heads": 32, "short_conv_kernel_size": 4,
                        "kda_layers": [i for i in range(1, 28) if i not in (4, 8, 12, 16, 20, 24, 27)]},
    kv_lora_rank=512, q_lora_rank=None, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, mla_use_nope=True, num_experts=256,
    num_experts_per_token=8, num_shared_experts=1, moe_intermediate_size=1024, first_k_dense_replace=1, moe_layer_freq=1,
    num_expert_group=1, topk_group=1, moe_renormalize=True, moe_router_activation_func="sigmoid", routed_scaling_factor=2.446)
MINIMAX = llama(62, 3072, 48, 8, 1536, 200064, architecture="MiniMaxM2ForCausalLM", model_type="minimax_m2", head_dim=128, theta=5e6,
                eps=1e-6, context=196608, num_local_experts=256, num_experts_per_tok=8, rotary_dim=64, use_qk_norm=True,
                qk_norm_type="per_layer", scoring_func="sigmoid", use_routing_bias=True,
                quantization_config={**FP8, "fmt": "float8_e4m3fn", "modules_to_not_convert": ["gate", "e_score_correction_bias", "lm_head"]})

MODELS = {
    "meta-llama/Llama-2-7b-hf": (llama(32, 4096, 32, 32, 11008, 32000), "F16", 6738415616),
    "meta-llama/Llama-2-13b-hf": (llama(40, 5120, 40, 40, 13824, 32000), "F16", 13015864320),
    "meta-llama/Llama-2-70b-hf": (llama(*LLAMA_70B, 32000), "F16", 68976648192),
    "meta-llama/Meta-Llama-3-8B": (llama(32, 4096, 32, 8, 14336, 128256, context=8192, theta=5e5), "BF16", 8030261248),
    "meta-llama/Meta-Llama-3-70B": (llama(*LLAMA_70B, 128256, context=8192, theta=5e5), "BF16", 70553706496),
    "meta-llama/Llama-3.1-8B-Instruct": (llama(32, 4096, 32, 8, 14336, 128256, context=131072, theta=5e5, rope_scaling=llama3_rope(8.0)), "BF16", 8030261248),
    "meta-llama/Llama-3.3-70B-Instruct": (llama(*LLAMA_70B, 128256, context=131072, theta=5e5, rope_scaling=llama3_rope(8.0)), "BF16", 70553706496),
    "meta-llama/Llama-3.1-405B": (llama(126, 16384, 128, 8, 53248, 128256, context=131072, theta=5e5, rope_scaling=llama3_rope(8.0)), "BF16", 405853388800),
    "meta-llama/Llama-3.2-1B": (llama(16, 2048, 32, 8, 8192, 128256, context=131072, theta=5e5, tied=True, head_dim=64, rope_scaling=llama3_rope(32.0)), "BF16", 1235814400),
    "meta-llama/Llama-3.2-3B": (llama(28, 3072, 24, 8, 8192, 128256, context=131072, theta=5e5, tied=True, head_dim=128, rope_scaling=llama3_rope(32.0)), "BF16", 3212749824),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": (llama(32, 4096, 32, 8, 14336, 128256, context=131072, theta=5e5, rope_scaling=llama3_rope(8.0)), "BF16", 8030261248),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": (llama(22, 2048, 32, 4, 5632, 32000, context=2048), "BF16", 1100048384),
    "01-ai/Yi-6B": (llama(32, 4096, 32, 4, 11008, 64000, theta=5e6), "BF16", 6061035520),
    "01-ai/Yi-1.5-9B-Chat": (llama(48, 4096, 32, 4, 11008, 64000, theta=5e6, eps=1e-6), "BF16", 8829407232),
    "01-ai/Yi-34B-Chat": (llama(60, 7168, 56, 8, 20480, 64000, theta=5e6), "BF16", 34388917248),
    "HuggingFaceTB/SmolLM2-135M": (llama(30, 576, 9, 3, 1536, 49152, context=8192, theta=1e5, tied=True), "BF16", 134515008),
    "HuggingFaceTB/SmolLM2-360M": (llama(32, 960, 15, 5, 2560, 49152, context=8192, theta=1e5, tied=True), "BF16", 361821120),
    "HuggingFaceTB/SmolLM2-1.7B": (llama(24, 2048, 32, 32, 8192, 49152, context=8192, theta=130000.0, tied=True), "BF16", 1711376384),
    "HuggingFaceTB/SmolLM3-3B": (llama(36, 2048, 16, 4, 11008, 128256, architecture="SmolLM3ForCausalLM", model_type="smollm3", context=65536, theta=5e6, eps=1e-6, tied=True, no_rope_layers=[1, 1, 1, 0] * 9), "BF16", 3075098624),
    "tiiuae/Falcon3-1B-Base": (llama(18, 2048, 8, 4, 8192, 131072, head_dim=256, eps=1e-6, theta=1000042.0), "BF16", 1669408768),
    "tiiuae/Falcon3-3B-Base": (llama(22, 3072, 12, 4, 9216, 131072, head_dim=256, eps=1e-6, theta=1000042.0, context=8192), "BF16", 3227655168),
    "tiiuae/Falcon3-7B-Base": (llama(28, 3072, 12, 4, 23040, 131072, head_dim=256, eps=1e-6, theta=1000042.0, context=32768), "BF16", 7455550464),
    "tiiuae/Falcon3-10B-Base": (llama(40, 3072, 12, 4, 23040, 131072, head_dim=256, eps=1e-6, theta=1000042.0, context=32768), "BF16", 10305653760),
    "ibm-granite/granite-3.3-2b-instruct": (granite(40, 2048, 32, 8, 8192, 49159, scores=0.015625, logits=8.0), "BF16", 2533539840),
    "ibm-granite/granite-3.3-8b-instruct": (granite(40, 4096, 32, 8, 12800, 49159, scores=0.0078125, logits=16.0), "BF16", 8170864640),
    "mistralai/Mistral-7B-v0.1": (mistral(32, 4096, 32, 8, 14336, 32000, context=32768, sliding_window=4096), "BF16", 7241732096),
    "mistralai/Mistral-7B-Instruct-v0.3": (mistral(32, 4096, 32, 8, 14336, 32768, context=32768, theta=1e6), "BF16", 7248023552),
    "mistralai/Mistral-Nemo-Instruct-2407": (mistral(40, 5120, 32, 8, 14336, 131072, head_dim=128, context=131072, theta=1e6), "BF16", 12247782400),
    "mistralai/Ministral-8B-Instruct-2410": (mistral(36, 4096, 32, 8, 12288, 131072, head_dim=128, context=32768, theta=1e8, sliding_window=32768), "BF16", 8019808256),
    "mistralai/Mistral-Small-24B-Instruct-2501": (mistral(40, 5120, 32, 8, 32768, 131072, head_dim=128, context=32768, theta=1e8), "BF16", 23572403200),
    "mistralai/Mixtral-8x7B-v0.1": (mixtral(32, 4096, 32, 8, 14336, 32000, context=32768, theta=1e6), "BF16", 46702792704),
    "mistralai/Mixtral-8x22B-Instruct-v0.1": (mixtral(56, 6144, 48, 8, 16384, 32768, context=65536, theta=1e6), "BF16", 140630071296),
    "microsoft/phi-1_5": (phi(24, 2048, 32, 32, 8192, 51200, rotary=0.5), "F16", 1418270720),
    "microsoft/phi-2": (phi(32, 2560, 32, 32, 10240, 51200, rotary=0.4), "F16", 2779683840),
    "microsoft/Phi-3-mini-4k-instruct": (phi3(32, 3072, 32, 32, 8192, 32064, long=False, sliding_window=2047), "BF16", 3821079552),
    "microsoft/Phi-3.5-mini-instruct": (phi3(32, 3072, 32, 32, 8192, 32064, sliding_window=262144), "BF16", 3821079552),
    "microsoft/Phi-3-medium-128k-instruct": (phi3(40, 5120, 40, 10, 17920, 32064, half=64, sliding_window=131072), "BF16", 13960238080),
    "microsoft/phi-4": (phi3(40, 5120, 40, 10, 17920, 100352, long=False, context=16384, theta=250000, sliding_window=None), "BF16", 14659507200),
    "microsoft/Phi-4-mini-instruct": (phi3(32, 3072, 24, 8, 8192, 200064, tied=True, partial_rotary_factor=0.75, sliding_window=262144), "BF16", 3836021760),
    "microsoft/Phi-3.5-MoE-instruct": (
        {"architectures": ["PhiMoEForCausalLM"], "model_type": "phimoe", **dims(32, 4096, 32, 8, 6400, 32064), "num_local_experts": 16,
         "num_experts_per_tok": 2, "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rope_theta": 1e4,
         "rms_norm_eps": 1e-5, "sliding_window": 131072, "attention_bias": True, "lm_head_bias": True, "tie_word_embeddings": False,
         "router_jitter_noise": 0.01, "input_jitter_noise": 0.01,
         "rope_scaling": {**longrope(64), "short_mscale": 1.243163121016122, "long_mscale": 1.243163121016122, "original_max_position_embeddings": 4096}}, "BF16", 41873153344),
    "Qwen/Qwen1.5-0.5B": (qwen2(24, 1024, 16, 16, 2816, 151936, tied=True), "BF16", 463987712),
    "Qwen/Qwen2.5-0.5B": (qwen2(24, 896, 14, 2, 4864, 151936, tied=True), "BF16", 494032768),
    "Qwen/Qwen2.5-1.5B": (qwen2(28, 1536, 12, 2, 8960, 151936, tied=True), "BF16", 1543714304),
    "Qwen/Qwen2.5-3B": (qwen2(36, 2048, 16, 2, 11008, 151936, tied=True), "BF16", 3085938688),
    "Qwen/Qwen2.5-7B": (qwen2(28, 3584, 28, 4, 18944, 152064), "BF16", 7615616512),
    "Qwen/Qwen2.5-14B": (qwen2(48, 5120, 40, 8, 13824, 152064), "BF16", 14770033664),
    "Qwen/Qwen2.5-32B": (qwen2(64, 5120, 40, 8, 27648, 152064), "BF16", 32763876352),
    "Qwen/Qwen2.5-72B": (qwen2(*QWEN_72B), "BF16", 72706203648),
    "Qwen/QwQ-32B": (qwen2(64, 5120, 40, 8, 27648, 152064, context=40960), "BF16", 32763876352),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": (qwen2(28, 1536, 12, 2, 8960, 151936, theta=1e4, context=131072), "BF16", 1777088000),
    "Qwen/Qwen1.5-MoE-A2.7B": (qwen2_moe(24, 2048, 16, 16, 5632, 151936, experts=60, used=4, ffn=1408, shared=5632, context=8192), "BF16", 14315784192),
    "Qwen/Qwen2-57B-A14B": (qwen2_moe(28, 3584, 28, 4, 18944, 151936, experts=64, used=8, ffn=2560, shared=20480, context=131072), "BF16", None),
    "Qwen/Qwen3-0.6B": (qwen3(28, 1024, 16, 8, 3072, 151936, tied=True), "BF16", 751632384),
    "Qwen/Qwen3-1.7B": (qwen3(28, 2048, 16, 8, 6144, 151936, tied=True), "BF16", 2031739904),
    "Qwen/Qwen3-4B": (qwen3(36, 2560, 32, 8, 9728, 151936, tied=True), "BF16", 4022468096),
    "Qwen/Qwen3-8B": (qwen3(36, 4096, 32, 8, 12288, 151936), "BF16", 8190735360),
    "Qwen/Qwen3-14B": (qwen3(40, 5120, 40, 8, 17408, 151936), "BF16", 14768307200),
    "Qwen/Qwen3-32B": (qwen3(64, 5120, 64, 8, 25600, 151936), "BF16", 32762123264),
    "Qwen/Qwen3-30B-A3B": (qwen3_moe(48, 2048, 32, 4, 6144, 151936, experts=128, ffn=768), "BF16", 30532122624),
    "Qwen/Qwen3-235B-A22B": (qwen3_moe(94, 4096, 64, 4, 12288, 151936, experts=128, ffn=1536), "BF16", 235093634560),
    "Qwen/Qwen3-Coder-480B-A35B-Instruct": (qwen3_moe(62, 6144, 96, 8, 8192, 151936, experts=160, ffn=2560, context=262144, theta=1e7), "BF16", 480154875392),
    "google/gemma-2b": (gemma(18, 2048, 8, 1, 16384, 256000), "BF16", 2506172416),
    "google/gemma-7b": (gemma(28, 3072, 16, 16, 24576, 256000), "BF16", 8537680896),
    "google/gemma-2-2b": (gemma2(26, 2304, 8, 4, 9216, 256000, scalar=256), "F32", 2614341888),
    "google/gemma-2-9b": (gemma2(42, 3584, 16, 8, 14336, 256000, scalar=256), "F32", 9241705984),
    "google/gemma-2-27b": (gemma2(46, 4608, 32, 16, 36864, 256000, scalar=144, head_dim=128), "F32", 27227128320),
    "google/gemma-3-270m": (gemma3_text(18, 640, 4, 1, 2048, 262144), "BF16", 268098176),
    "google/gemma-3-1b-it": (gemma3_text(26, 1152, 4, 1, 6912, 262144), "BF16", 999885952),
    "google/gemma-3-4b-it": (gemma3(34, 2560, 8, 4, 10240, 262208), "BF16", 4300079472),
    "google/gemma-3-12b-it": (gemma3(48, 3840, 16, 8, 15360, 262208), "BF16", 12187325040),
    "google/gemma-3-27b-it": (gemma3(62, 5376, 32, 16, 21504, 262208, head_dim=128, scalar=168), "BF16", 27432406640),
    "deepseek-ai/DeepSeek-V2-Lite": (
        deepseek(27, 2048, 16, 16, 10944, 102400, architecture="DeepseekV2ForCausalLM", model_type="deepseek_v2", q_lora_rank=None,
                 n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6, moe_intermediate_size=1408, first_k_dense_replace=1, n_group=1, topk_group=1,
                 norm_topk_prob=False, scoring_func="softmax", topk_method="greedy", routed_scaling_factor=1.0, rope_scaling=deepseek_yarn(0.707)), "BF16", 15706484224),
    "deepseek-ai/DeepSeek-V2": (
        deepseek(60, 5120, 128, 128, 12288, 102400, architecture="DeepseekV2ForCausalLM", model_type="deepseek_v2", q_lora_rank=1536,
                 n_routed_experts=160, n_shared_experts=2, num_experts_per_tok=6, moe_intermediate_size=1536, first_k_dense_replace=1, n_group=8, topk_group=3,
                 norm_topk_prob=False, scoring_func="softmax", topk_method="group_limited_greedy", routed_scaling_factor=16.0, rope_scaling=deepseek_yarn(0.707)), "BF16", 235741434880),
    "deepseek-ai/DeepSeek-V3": (deepseek_v3(), "BF16", 684531386000),
    "deepseek-ai/DeepSeek-R1": (deepseek_v3(), "BF16", 684531386000),
    "deepseek-ai/DeepSeek-V3.2-Exp": (deepseek_v3("DeepseekV32ForCausalLM", "deepseek_v32", index_head_dim=128, index_n_heads=64, index_topk=2048), "BF16", None),
    "moonshotai/Kimi-K2-Instruct": (kimi_k2(context=131072, rope_scaling=deepseek_yarn(1.0, 32)), "BF16", None),
    "moonshotai/Kimi-K2-Thinking": (kimi_k2(context=262144, rope_scaling=deepseek_yarn(1.0, 64), quantization_config=INT4), "BF16", None),
    "moonshotai/Kimi-Linear-48B-A3B-Instruct": (KIMI_LINEAR, "BF16", 49122681728),
    "openai/gpt-oss-20b": (gpt_oss(24, 32), "BF16", 20914757184),
    "openai/gpt-oss-120b": (gpt_oss(36, 128), "BF16", 116829156672),
    "MiniMaxAI/MiniMax-M2": (MINIMAX, "BF16", 228703644928),
    "bigcode/starcoder2-3b": (starcoder2(30, 3072, 24, 2, 12288, 49152, theta=999999.4420358813), "F32", 3030371328),
    "bigcode/starcoder2-7b": (starcoder2(32, 4608, 36, 4, 18432, 49152, theta=1e6), "F32", None),
    "bigcode/starcoder2-15b": (starcoder2(40, 6144, 48, 4, 24576, 49152, theta=1e5, tie_word_embeddings=False), "F32", 15957889024),
    "tiiuae/falcon-7b": (falcon(32, 4544, 71), "BF16", 7217189760),
    "tiiuae/falcon-40b": (falcon(60, 8192, 128, new_decoder_architecture=True, num_kv_heads=8), "BF16", None),
    "tiiuae/falcon-11B": (falcon(60, 4096, 32, new_decoder_architecture=True, num_kv_heads=8, num_ln_in_parallel_attn=1, tie_word_embeddings=False, rope_theta=500042.0, max_position_embeddings=8192, ffn_hidden_size=16384), "BF16", None),
    "stabilityai/stablelm-3b-4e1t": (stablelm(32, 2560, 32, 32, 6912, 50304), "BF16", 2795443200),
    "stabilityai/stablelm-2-1_6b": (stablelm(24, 2048, 32, 32, 5632, 100352, use_qkv_bias=True), "F16", 1644515328),
    "stabilityai/stablelm-2-12b": (stablelm(40, 5120, 32, 8, 13824, 100352, use_parallel_residual=True, qk_layernorm=True), "BF16", None),
    "allenai/OLMo-1B-hf": (olmo(16, 2048, 16, 16, 8192, 50304, tie_word_embeddings=True), "F32", 1176764416),
    "allenai/OLMo-7B-hf": (olmo(32, 4096, 32, 32, 11008, 50304), "F32", 6888095744),
    "allenai/OLMo-1.7-7B-hf": (olmo(32, 4096, 32, 32, 11008, 50304, clip_qkv=8.0, max_position_embeddings=4096), "F32", 6888095744),
    "allenai/OLMo-2-0425-1B": (olmo2(16, 2048, 16, 16, 8192, 100352), "F32", 1484916736),
    "allenai/OLMo-2-1124-7B": (olmo2(32, 4096, 32, 32, 11008, 100352), "F32", 7298617344),
    "allenai/OLMo-2-1124-13B": (olmo2(40, 5120, 40, 40, 13824, 100352), "F32", 13716198400),
    "allenai/OLMo-2-0325-32B": (olmo2(64, 5120, 40, 8, 27648, 100352), "F32", 32234279936),
    "allenai/Olmo-3-1025-7B": (olmo3(32, 4096, 32, 32, 11008, 100278), "BF16", 7298011136),
    "allenai/OLMoE-1B-7B-0924": (llama(16, 2048, 16, 16, 1024, 50304, architecture="OlmoeForCausalLM", model_type="olmoe", num_experts=64, num_experts_per_tok=8, norm_topk_prob=False, clip_qkv=None, attention_bias=False), "BF16", 6919161856),
    "openai-community/gpt2": (gpt2(12, 768, 12), "F32", 124439808),
    "openai-community/gpt2-medium": (gpt2(24, 1024, 16), "F32", 354823168),
    "openai-community/gpt2-large": (gpt2(36, 1280, 20), "F32", 774030080),
    "openai-community/gpt2-xl": (gpt2(48, 1600, 25), "F32", 1557611200),
    "state-spaces/mamba-130m-hf": (mamba(24, 768, 48), "F32", 129135360),
    "state-spaces/mamba-370m-hf": (mamba(48, 1024, 64), "F32", 371516416),
    "state-spaces/mamba-790m-hf": (mamba(48, 1536, 96), "F32", 793204224),
    "state-spaces/mamba-1.4b-hf": (mamba(48, 2048, 128), "F32", 1372178432),
    "state-spaces/mamba-2.8b-hf": (mamba(64, 2560, 160), "F32", None),
    "tiiuae/falcon-mamba-7b": (mamba(64, 4096, 256, "FalconMambaForCausalLM", "falcon_mamba", vocab_size=65024, tie_word_embeddings=False, mixer_rms_eps=1e-6), "BF16", 7272665088),
    "AntonV/mamba2-130m-hf": (mamba2(24, 768, 24), "F32", 128989632),
    "AntonV/mamba2-2.7b-hf": (mamba2(64, 2560, 80), "F32", 2702599680),
    "mistralai/Mamba-Codestral-7B-v0.1": (mamba2(64, 4096, 128, n_groups=8, vocab_size=32768, tie_word_embeddings=False), "BF16", 7285403648),
    "RWKV/rwkv-5-world-1b5": (rwkv(5, 24, 2048, 7168), "BF16", None),
    "RWKV/v5-Eagle-7B-HF": (rwkv(5, 32, 4096, 14336), "BF16", None),
    "RWKV/v6-Finch-1B6-HF": (rwkv(6, 24, 2048, 7168), "BF16", None),
    "RWKV/v6-Finch-7B-HF": (rwkv(6, 32, 4096, 14336), "BF16", None),
    "fla-hub/rwkv7-191M-world": (rwkv7(12, 768, 64, 64, 32, 128), "BF16", None),
    "fla-hub/rwkv7-0.4B-world": (rwkv7(24, 1024, 64, 64, 32, 128), "BF16", None),
    "fla-hub/rwkv7-1.5B-world": (rwkv7(24, 2048, 96, 96, 64, 256), "BF16", None),
    "fla-hub/rwkv7-2.9B-world": (rwkv7(32, 2560, 96, 96, 64, 320), "BF16", None),
}
