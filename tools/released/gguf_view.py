"""What a GGUF file of a model has: keys and tensors, out of config.json and the tensors of the hub.

Names come from the gguf package; shapes are in torch order. tests/data/fixtures hold files that llama.cpp's converter wrote, with which
check.py compares this.
"""
import re

import gguf

ARCHITECTURES = {"mistral": "llama", "mixtral": "llama", "phi": "phi2", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe",
                 "gemma3_text": "gemma3", "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "kimi_k2": "deepseek2",
                 "kimi_linear": "kimi-linear", "gpt_oss": "gpt-oss", "minimax_m2": "minimax-m2", "olmo3": "olmo2", "falcon_mamba": "mamba"}
NONE = {"rwkv5", "deepseek_v32"}  # no converter


def architecture(config):
    kind = config["model_type"]
    return None if kind in NONE else ARCHITECTURES.get(kind, kind)


# ---------------------------------------------------------------------------------------------------------------- tensors

def split_latent(name, shape, config):
    """kv_b_proj as attn_k_b, transposed, and attn_v_b."""
    heads, nope, value, rank = (config[k] for k in ("num_attention_heads", "qk_nope_head_dim", "v_head_dim", "kv_lora_rank"))
    assert shape == [heads * (nope + value), rank]
    block = re.search(r"layers\.(\d+)\.", name).group(1)
    yield f"blk.{block}.attn_k_b.weight", [heads, rank, nope]
    yield f"blk.{block}.attn_v_b.weight", [heads, value, rank]


def split_gpt_oss(name, shape):
    block = re.search(r"layers\.(\d+)\.", name).group(1)
    n, *rest = shape
    if name.endswith("gate_up_proj"):
        for part in ("gate", "up"):
            yield f"blk.{block}.ffn_{part}_exps.weight", [n, rest[1] // 2, rest[0]]
    elif name.endswith("gate_up_proj_bias"):
        for part in ("gate", "up"):
            yield f"blk.{block}.ffn_{part}_exps.bias", [n, rest[0] // 2]
    elif name.endswith("down_proj"):
        yield f"blk.{block}.ffn_down_exps.weight", [n, rest[1], rest[0]]
    else:
        yield f"blk.{block}.ffn_down_exps.bias", shape


def stack_experts(tensors):
    """One tensor of all experts for each of theirs, and one of all heads' norms (StableLM 2 12B)."""
    stacked = {}
    for name, shape in tensors.items():
        match = re.fullmatch(r"(.*\.)(experts|norms)\.(\d+)(\..*)", name)
        if not match:
            stacked[name] = shape
            continue
        before, what, _, after = match.groups()
        whole = before.rstrip(".") + after if what == "norms" else f"{before}experts{after}"
        count = stacked[whole][0] + 1 if whole in stacked else 1
        stacked[whole] = [count, *shape]
    return stacked


def fuse_rwkv(tensors, kind):
    """The mixing vectors of a block in one tensor."""
    fused = {}
    for name, shape in tensors.items():
        match = re.fullmatch(r"(.*)\.attention\.time_maa_([wkvrg])|(.*)\.attn\.x_([rwkvag])", name)
        if match is None:
            fused[name] = shape
        elif kind == "rwkv6":
            fused[f"{match.group(1)}.attention.lerp_fused"] = [5, *shape]
        else:
            fused[f"{match.group(3)}.attn.lerp_fused"] = [6, *shape]
    return fused


RWKV7_LORA = {"0.weight": "1.weight", "2.weight": "2.weight", "2.bias": "0.weight"}


def rwkv_name(name, shape, kind):
    """Names and shapes as the converter makes them."""
    name = name.removeprefix("rwkv.").removeprefix("model.")
    flat = [side for side in shape if side != 1] or [1]
    tops = {"embeddings.weight": "token_embd.weight", "head.weight": "output.weight", "lm_head.weight": "output.weight"}
    if name in tops:
        return tops[name], shape
    for ours, theirs in (("ln_out.", "output_norm."), ("norm.", "output_norm."), ("blocks.0.pre_ln.", "token_embd_norm."),
                         ("layers.0.pre_norm.", "token_embd_norm.")):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours), shape
    block, rest = re.fullmatch(r"(?:blocks|layers)\.(\d+)\.(.*)", name).groups()
    lora = re.fullmatch(r"attn\.([wavg])_lora\.lora\.(.*)", rest)
    if lora:
        return f"blk.{block}.time_mix_{lora.group(1)}{RWKV7_LORA[lora.group(2)]}", shape
    if rest.endswith("lerp_fused"):
        return f"blk.{block}.time_mix_lerp_fused.weight", [shape[0], 1, 1, flat[-1]]
    renames = [("attn_norm.", "attn_norm."), ("ffn_norm.", "attn_norm_2."), ("ln1.", "attn_norm."), ("ln2.", "attn_norm_2."),
               ("attention.ln_x.", "time_mix_ln."), ("attn.g_norm.", "time_mix_ln."), ("feed_forward.time_maa_", "channel_mix_lerp_"),
               ("ffn.x_k", "channel_mix_lerp_k"), ("feed_forward.", "channel_mix_"), ("ffn.", "channel_mix_"),
               ("attention.time_maa_x", "time_mix_lerp_x"), ("attention.time_maa_", "time_mix_"), ("attention.time_decay", "time_mix_decay"),
               ("attention.time_faaaa", "time_mix_first"), ("attention.", "time_mix_"), ("attn.r_proj", "time_mix_receptance"),
               ("attn.k_proj", "time_mix_key"), ("attn.v_proj", "time_mix_value"), ("attn.o_proj", "time_mix_output"), ("attn.", "time_mix_")]
    old, new = next(pair for pair in renames if rest.startswith(pair[0]))
    rest = new + rest.removeprefix(old)
    if not rest.endswith((".weight", ".bias")):
        rest += ".weight"
    if rest.endswith(("time_mix_w1.weight", "decay_w1.weight", "decay_w2.weight")):
        flat = flat[::-1]
    elif rest.endswith("time_mix_w2.weight"):
        flat = [flat[0], flat[2], flat[1]]
    elif rest.endswith("r_k.weight"):
        flat = [flat[0] * flat[1]]
    return f"blk.{block}.{rest}", flat


def reshaped(name, shape, config):
    """The shape in GGUF of a tensor that keeps its place."""
    kind = config["model_type"]
    if kind == "gpt2" and re.search(r"\.(c_attn|c_proj|c_fc)\.weight$", name):
        return shape[::-1]
    if "conv1d.weight" in name:
        return [1, shape[0], 1, shape[-1]] if kind == "kimi_linear" else [shape[0], shape[-1]]
    if kind == "kimi_linear" and name.endswith("A_log"):
        return [1, 1, shape[2], 1]
    if kind == "mamba2" and name.endswith((".A_log", ".D")):
        return [*shape, 1]
    if kind == "mamba2" and name.endswith("mixer.norm.weight"):
        return [config["n_groups"], shape[0] // config["n_groups"]]
    return shape


def mapped(name, names):
    """The GGUF name of a tensor."""
    known = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if known is None and name.endswith("e_score_correction_bias"):
        known = names.get_name(name.replace("e_score_correction_bias", "e_score_correction"), try_suffixes=())
        known = known and known + ".bias"
    if known is None and name.endswith("dt_bias"):
        known = names.get_name(name.replace("dt_bias", "dt_proj"), try_suffixes=())
        known = known and known + ".bias"
    assert known, f"gguf knows no name for {name}"
    return known + ".weight" if name.endswith("sinks") and not known.endswith(".weight") else known


def skipped(name, config):
    kind = config["model_type"]
    layer = re.search(r"layers\.(\d+)\.", name)
    return (kind == "gpt2" and name.endswith(".attn.bias") or name.startswith(("vision_tower.", "multi_modal_projector."))
            or layer and config.get("num_nextn_predict_layers") and int(layer.group(1)) >= config["num_hidden_layers"]
            or name == "lm_head.weight" and config.get("tie_word_embeddings", kind == "falcon"))


def gguf_shapes(plain, config):
    """name -> shape, out of the hub's unencoded tensors."""
    text = config.get("text_config", config)
    arch, kind = architecture(config), text["model_type"]
    layers = text.get("num_hidden_layers") or text["n_layer"]
    names = gguf.get_tensor_name_map(next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == arch), layers)
    out = {}
    kept = {n: s for n, s in plain.items() if not skipped(n, config)}
    if kind in ("rwkv6", "rwkv7"):
        out = dict(rwkv_name(n, s, kind) for n, s in fuse_rwkv(kept, kind).items())
        if kind == "rwkv7":  # copies that are never read
            for i in range(3):
                out[f"blk.0.time_mix_v{i}.weight"] = out[f"blk.0.time_mix_a{i}.weight"]
        return out
    for name, shape in stack_experts(kept).items():
        name = name.removeprefix("language_model.")
        if "kv_b_proj" in name:
            out.update(split_latent(name, shape, text))
        elif kind == "gpt_oss" and ".experts." in name:
            out.update(split_gpt_oss(name, shape))
        else:
            out[mapped(name, names)] = reshaped(name, shape, text)
    scaling = text.get("rope_scaling") or {}
    head = text.get("head_dim") or (text.get("hidden_size", 0) // max(text.get("num_attention_heads", 1), 1))
    rotated = int(head * text.get("partial_rotary_factor", 1.0))
    if scaling.get("rope_type") == "llama3":
        out["rope_freqs.weight"] = [rotated // 2]
    if scaling.get("type") == "longrope":
        out["rope_factors_long.weight"] = out["rope_factors_short.weight"] = [rotated // 2]
    return out


ALWAYS_F32 = ("_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "ssm_conv1d", "ssm_a", "ssm_d", "position_embd.weight", "time_mix_first", "time_mix_lerp",
              "time_mix_decay_w1", "time_mix_decay_w2", "time_mix_w1", "time_mix_w2", "time_mix_w0", ".bias", "_exps.bias", "_norm_2.weight")


def pure_q4_k(name, shape):
    """As llama-quantize --pure writes Q4_K: rows that are no whole blocks get the nearest type that fits."""
    if len(shape) < 2 or any(part in name for part in ALWAYS_F32):
        return "F32"
    return "Q4_K" if shape[-1] % 256 == 0 else "Q5_0" if shape[-1] % 32 == 0 else "F16"


# ------------------------------------------------------------------------------------------------------------------- keys

def attention_keys(c, keys):
    heads = c.get("num_attention_heads")
    keys["attention.head_count"] = heads
    keys["attention.head_count_kv"] = c.get("num_key_value_heads", heads)
    if "head_dim" in c and c["model_type"] != "kimi_linear":
        keys["attention.key_length"] = keys["attention.value_length"] = c["head_dim"]
    if c["model_type"] == "llama":
        keys["attention.key_length"] = keys["attention.value_length"] = c.get("head_dim") or c["hidden_size"] // heads
    if c.get("sliding_window") and c["model_type"] in ("gemma2", "gemma3_text", "phi3", "phimoe", "gpt_oss", "olmo3"):
        keys["attention.sliding_window"] = c["sliding_window"]
    for name in ("attn_logit_softcapping", "final_logit_softcapping"):
        keys[name] = c.get(name)
    if c["model_type"] == "olmo":
        keys["attention.clamp_kqv"] = c.get("clip_qkv")


def rope_keys(c, keys):
    if c["model_type"] not in ("gemma", "gemma2", "phi", "stablelm", "falcon", "gpt2"):
        keys["rope.freq_base"] = float(c["rope_theta"])
    if c["model_type"] == "gemma3_text":
        keys["rope.freq_base_swa"] = float(c["rope_local_base_freq"])
    head = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    if "partial_rotary_factor" in c or c["model_type"] in ("llama", "mistral", "mixtral", "granite", "smollm3", "phi3"):
        keys["rope.dimension_count"] = int(head * c.get("partial_rotary_factor", 1.0))
    if "rotary_dim" in c:
        keys["rope.dimension_count"] = c["rotary_dim"]
    scaling = c.get("rope_scaling") or {}
    kind = scaling.get("rope_type") or scaling.get("type")
    if kind in ("linear", "yarn"):
        keys["rope.scaling.type"], keys["rope.scaling.factor"] = kind, float(scaling["factor"])
    if kind == "yarn":
        keys["rope.scaling.original_context_length"] = scaling["original_max_position_embeddings"]
        keys["rope.scaling.yarn_beta_fast"], keys["rope.scaling.yarn_beta_slow"] = float(scaling["beta_fast"]), float(scaling["beta_slow"])
    if kind == "longrope":
        keys["rope.scaling.original_context_length"] = c["original_max_position_embeddings"]


def expert_keys(c, keys):
    get = lambda *names: next((c[n] for n in names if n in c), None)
    keys["expert_count"] = get("num_local_experts", "num_experts", "n_routed_experts")
    keys["expert_used_count"] = get("num_experts_per_tok", "num_experts_per_token")
    keys["expert_shared_count"] = get("n_shared_experts", "num_shared_experts")
    keys["expert_feed_forward_length"] = get("moe_intermediate_size") or (
        c["intermediate_size"] if c["model_type"] in ("gpt_oss", "minimax_m2") else None)
    keys["expert_shared_feed_forward_length"] = get("shared_expert_intermediate_size")
    keys["leading_dense_block_count"] = get("first_k_dense_replace")
    keys["expert_weights_scale"] = get("routed_scaling_factor")
    if c["model_type"] in ("deepseek_v3", "kimi_k2"):
        keys["expert_weights_norm"] = c["norm_topk_prob"]
    keys["expert_group_count"], keys["expert_group_used_count"] = get("n_group"), get("topk_group")
    scoring = get("scoring_func", "moe_router_activation_func")
    keys["expert_gating_func"] = {"softmax": 1, "sigmoid": 2, None: None}[scoring]


def latent_keys(c, keys):
    rank, rope, nope, value = c["kv_lora_rank"], c["qk_rope_head_dim"], c["qk_nope_head_dim"], c["v_head_dim"]
    kinds = c.get("linear_attn_config", {}).get("kda_layers")
    keys["attention.head_count_kv"] = 1 if kinds is None else [0 if i + 1 in kinds else 1 for i in range(c["num_hidden_layers"])]
    keys.update({"attention.key_length": rank + rope, "attention.value_length": rank, "attention.key_length_mla": nope + rope,
                 "attention.value_length_mla": value, "attention.kv_lora_rank": rank, "attention.q_lora_rank": c.get("q_lora_rank"),
                 "rope.dimension_count": rope})
    if (c.get("rope_scaling") or {}).get("mscale_all_dim"):
        keys["rope.scaling.yarn_log_multiplier"] = 0.1 * c["rope_scaling"]["mscale_all_dim"]
    if kinds:
        keys["attention.value_length"] = c.get("head_dim", value)
        keys["ssm.conv_kernel"], keys["kda.head_dim"] = (c["linear_attn_config"][k] for k in ("short_conv_kernel_size", "head_dim"))


def recurrent_keys(c, keys):
    kind = c["model_type"]
    keys.update({"context_length": 1 << 20, "attention.head_count": 0})
    if kind.endswith(("mamba", "mamba2")):
        inner = c.get("intermediate_size") or c["expand"] * c["hidden_size"]
        keys.update({"feed_forward_length": 0, "ssm.conv_kernel": c["conv_kernel"], "ssm.inner_size": inner, "ssm.state_size": c["state_size"],
                     "ssm.time_step_rank": c["time_step_rank"] if "time_step_rank" in c and kind != "mamba2" else c["num_heads"]})
        if kind == "mamba2":
            keys["ssm.group_count"] = c["n_groups"]
        else:
            keys["ssm.dt_b_c_rms"] = kind == "falcon_mamba"
    elif kind == "rwkv6":
        wide = c["hidden_size"] >= 4096
        keys.update({"feed_forward_length": c["intermediate_size"] or c["hidden_size"] * 7 // 64 * 32, "rescale_every_n_layers": c["rescale_every"], "wkv.head_size": c["head_size"],
                     "time_mix_extra_dim": 64 if wide else 32, "time_decay_extra_dim": 128 if wide else 64})
    else:
        keys.update({"feed_forward_length": c["intermediate_size"] or 4 * c["hidden_size"], "wkv.head_size": c["head_dim"], **{
            f"attention.{ours}_lora_rank": c[f"{theirs}_low_rank_dim"] for ours, theirs in (
                ("decay", "decay"), ("iclr", "a"), ("value_residual_mix", "v"), ("gate", "gate"))}})


def gguf_keys(config):
    """Keys without the architecture's name before them; general.architecture is added by the reader."""
    c = config.get("text_config", config)
    kind = c["model_type"]
    rms, layer = c.get("rms_norm_eps"), c.get("layer_norm_eps") or c.get("layer_norm_epsilon") or c.get("norm_epsilon")
    if kind.endswith("mamba") or kind == "mamba2":
        rms, layer = layer, None
    if kind == "phimoe":
        rms = c["rms_norm_eps"]
    keys = {"block_count": c.get("num_hidden_layers") or c.get("n_layer"), "embedding_length": c.get("hidden_size") or c.get("n_embd"),
            "context_length": c.get("max_position_embeddings") or c.get("n_ctx") or c.get("model_max_length"),
            "feed_forward_length": c.get("intermediate_size"), "attention.layer_norm_rms_epsilon": rms,
            "attention.layer_norm_epsilon": 1e-5 if kind == "olmo" else c.get("norm_eps", layer)}
    if kind.startswith("rwkv") or "mamba" in kind:
        recurrent_keys(c, keys)
    elif kind == "gpt2":
        keys.update({"feed_forward_length": 4 * c["n_embd"], "attention.head_count": c["n_head"]})
    else:
        attention_keys(c, keys)
        rope_keys({"rope_theta": 1e4, **c}, keys)
        expert_keys(c, keys)
    if kind == "falcon":
        keys.update({"context_length": 2048, "feed_forward_length": 4 * c["hidden_size"],
                     "attention.head_count_kv": c.get("num_kv_heads") if c["new_decoder_architecture"] else 1})
    if kind == "granite":
        keys.update({"attention.scale": c["attention_multiplier"], "embedding_scale": c["embedding_multiplier"],
                     "residual_scale": c["residual_multiplier"], "logit_scale": c["logits_scaling"]})
    if kind == "stablelm":
        keys["use_parallel_residual"] = c["use_parallel_residual"]
    if "kv_lora_rank" in c:
        latent_keys(c, keys)
    return {k: v for k, v in keys.items() if v is not None}
