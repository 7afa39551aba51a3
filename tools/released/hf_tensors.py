"""The tensors of a checkpoint on the Hugging Face hub, out of its config.json: name -> (type, shape).

transformers 4.57 tells names and shapes: its models are built on the meta device, where parameters have no memory. Models that it
lacks (remote code, or newer) are listed here after their authors' code. What the hub's files have beyond the modules (scales of FP8
blocks, packed words, layers that predict further tokens, second copies of tied heads) is added after the configuration.
"""
import re

import torch
import transformers


def module_tensors(config):
    """What transformers' model of this configuration has, without tied copies."""
    kind = dict(config)
    name = {"deepseek_v32": "deepseek_v3", "kimi_k2": "deepseek_v3"}.get(kind.pop("model_type"), config["model_type"])
    kind.pop("quantization_config", None)
    if name == "deepseek_v3":
        kind["head_dim"] = kind["qk_rope_head_dim"]
    parsed = transformers.AutoConfig.for_model(name, **kind)
    architecture = {"DeepseekV32ForCausalLM": "DeepseekV3ForCausalLM", "PhiMoEForCausalLM": "PhimoeForCausalLM"}.get(
        config["architectures"][0], config["architectures"][0])
    with torch.device("meta"), transformers.modeling_utils.no_init_weights():
        model = getattr(transformers, architecture)(parsed)
    tied = {"lm_head.weight"} if parsed.tie_word_embeddings else set()
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items() if name not in tied}


def linear(out, rows, cols, *names):
    for name in names:
        out[f"{name}.weight"] = [rows, cols]


def experts(out, prefix, config, count, ffn, names=("gate_proj", "up_proj", "down_proj")):
    gate, up, down = names
    for x in range(count):
        linear(out, ffn, config["hidden_size"], f"{prefix}.{x}.{gate}", f"{prefix}.{x}.{up}")
        linear(out, config["hidden_size"], ffn, f"{prefix}.{x}.{down}")


def minimax_tensors(config):
    hidden, d = config["hidden_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * d, config["num_key_value_heads"] * d
    out = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden],
           "lm_head.weight": [config["vocab_size"], hidden]}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        out[f"{layer}.input_layernorm.weight"] = out[f"{layer}.post_attention_layernorm.weight"] = [hidden]
        linear(out, queries, hidden, f"{layer}.self_attn.q_proj")
        linear(out, keys, hidden, f"{layer}.self_attn.k_proj", f"{layer}.self_attn.v_proj")
        linear(out, hidden, queries, f"{layer}.self_attn.o_proj")
        out[f"{layer}.self_attn.q_norm.weight"], out[f"{layer}.self_attn.k_norm.weight"] = [queries], [keys]
        moe = f"{layer}.block_sparse_moe"
        linear(out, config["num_local_experts"], hidden, f"{moe}.gate")
        out[f"{moe}.e_score_correction_bias"] = [config["num_local_experts"]]
        experts(out, f"{moe}.experts", config, config["num_local_experts"], config["intermediate_size"], ("w1", "w3", "w2"))
    return out


def kimi_delta_tensors(out, attn, config):
    linear_config = config["linear_attn_config"]
    hidden, d, heads = config["hidden_size"], linear_config["head_dim"], linear_config["num_heads"]
    linear(out, heads * d, hidden, *(f"{attn}.{n}_proj" for n in "qkv"))
    for n in "qkv":
        out[f"{attn}.{n}_conv1d.weight"] = [heads * d, 1, linear_config["short_conv_kernel_size"]]
    out[f"{attn}.A_log"], out[f"{attn}.dt_bias"] = [1, 1, heads, 1], [heads * d]
    linear(out, d, hidden, f"{attn}.f_a_proj", f"{attn}.g_a_proj")
    linear(out, heads * d, d, f"{attn}.f_b_proj", f"{attn}.g_b_proj")
    linear(out, heads, hidden, f"{attn}.b_proj")
    out[f"{attn}.o_norm.weight"] = [d]
    linear(out, hidden, heads * d, f"{attn}.o_proj")


def kimi_latent_tensors(out, attn, config):
    hidden, heads, rank = config["hidden_size"], config["num_attention_heads"], config["kv_lora_rank"]
    nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    linear(out, heads * (nope + rope), hidden, f"{attn}.q_proj")
    linear(out, rank + rope, hidden, f"{attn}.kv_a_proj_with_mqa")
    out[f"{attn}.kv_a_layernorm.weight"] = [rank]
    linear(out, heads * (nope + value), rank, f"{attn}.kv_b_proj")
    linear(out, hidden, heads * value, f"{attn}.o_proj")


def kimi_linear_tensors(config):
    hidden, n = config["hidden_size"], config["num_experts"]
    out = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden],
           "lm_head.weight": [config["vocab_size"], hidden]}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        out[f"{layer}.input_layernorm.weight"] = out[f"{layer}.post_attention_layernorm.weight"] = [hidden]
        delta = i + 1 in config["linear_attn_config"]["kda_layers"]
        (kimi_delta_tensors if delta else kimi_latent_tensors)(out, f"{layer}.self_attn", config)
        if i < config["first_k_dense_replace"]:
            linear(out, config["intermediate_size"], hidden, f"{layer}.mlp.gate_proj", f"{layer}.mlp.up_proj")
            linear(out, hidden, config["intermediate_size"], f"{layer}.mlp.down_proj")
            continue
        moe, ffn = f"{layer}.block_sparse_moe", config["moe_intermediate_size"]
        linear(out, n, hidden, f"{moe}.gate")
        out[f"{moe}.gate.e_score_correction_bias"] = [n]
        experts(out, f"{moe}.experts", config, n, ffn, ("w1", "w3", "w2"))
        shared = ffn * config["num_shared_experts"]
        linear(out, shared, hidden, f"{moe}.shared_experts.gate_proj", f"{moe}.shared_experts.up_proj")
        linear(out, hidden, shared, f"{moe}.shared_experts.down_proj")
    return out


def rwkv_norm(out, *names, size):
    for name in names:
        out[f"{name}.weight"] = out[f"{name}.bias"] = [size]


def rwkv56_tensors(config):
    """Eagle and Finch, after the remote code of RWKV/v5-Eagle-7B-HF and RWKV/v6-Finch-7B-HF."""
    c, s, six = config["hidden_size"], config["head_size"], config["model_type"] == "rwkv6"
    ffn = config["intermediate_size"] or c * 7 // 64 * 32
    wide = c >= 4096
    mix, decay = config.get("time_mix_extra_dim", 64 if wide else 32), config.get("time_decay_extra_dim", 128 if wide else 64)
    out = {"rwkv.embeddings.weight": [config["vocab_size"], c], "head.weight": [config["vocab_size"], c]}
    rwkv_norm(out, "rwkv.ln_out", "rwkv.blocks.0.pre_ln", size=c)
    for i in range(config["num_hidden_layers"]):
        block = f"rwkv.blocks.{i}"
        att, feed = f"{block}.attention", f"{block}.feed_forward"
        rwkv_norm(out, f"{block}.ln1", f"{block}.ln2", f"{att}.ln_x", size=c)
        linear(out, c, c, *(f"{att}.{n}" for n in ("receptance", "key", "value", "gate", "output")), f"{feed}.receptance")
        linear(out, ffn, c, f"{feed}.key")
        linear(out, c, ffn, f"{feed}.value")
        out[f"{att}.time_faaaa"] = [c // s, s]
        if six:
            out.update({f"{att}.time_maa_{n}": [1, 1, c] for n in "xwkvrg"})
            out.update({f"{feed}.time_maa_{n}": [1, 1, c] for n in "kr"})
            out.update({f"{att}.time_maa_w1": [c, 5 * mix], f"{att}.time_maa_w2": [5, mix, c], f"{att}.time_decay": [1, 1, c],
                        f"{att}.time_decay_w1": [c, decay], f"{att}.time_decay_w2": [decay, c]})
        else:
            out.update({f"{att}.time_mix_{n}": [1, 1, c] for n in ("key", "value", "receptance", "gate")})
            out.update({f"{feed}.time_mix_{n}": [1, 1, c] for n in ("key", "receptance")})
            out[f"{att}.time_decay"] = [c // s, s]
    return out


def rwkv7_tensors(config):
    """Goose, after fla.models.rwkv7."""
    c, d, ffn_size = config["hidden_size"], config["head_dim"], config["intermediate_size"] or 4 * config["hidden_size"]
    out = {"model.embeddings.weight": [config["vocab_size"], c], "lm_head.weight": [config["vocab_size"], c]}
    rwkv_norm(out, "model.norm", "model.layers.0.pre_norm", size=c)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        attn, ffn = f"{layer}.attn", f"{layer}.ffn"
        rwkv_norm(out, f"{layer}.attn_norm", f"{layer}.ffn_norm", f"{attn}.g_norm", size=c)
        out.update({f"{attn}.x_{n}": [1, 1, c] for n in "rwkvag"})
        out.update({f"{attn}.k_k": [c], f"{attn}.k_a": [c], f"{attn}.r_k": [c // d, d], f"{ffn}.x_k": [c]})
        linear(out, c, c, *(f"{attn}.{n}_proj" for n in "rkvo"))
        for n, rank in (("w", "decay"), ("a", "a"), ("v", "v"), ("g", "gate")):
            if n == "v" and i == 0:
                continue
            low = config[f"{rank}_low_rank_dim"]
            out.update({f"{attn}.{n}_lora.lora.0.weight": [low, c], f"{attn}.{n}_lora.lora.2.weight": [c, low]})
            if n != "g":
                out[f"{attn}.{n}_lora.lora.2.bias"] = [c]
        linear(out, ffn_size, c, f"{ffn}.key")
        linear(out, c, ffn_size, f"{ffn}.value")
    return out


LISTED = {"minimax_m2": minimax_tensors, "kimi_linear": kimi_linear_tensors, "rwkv5": rwkv56_tensors, "rwkv6": rwkv56_tensors,
          "rwkv7": rwkv7_tensors}
# Files that hold a second copy of the embedding as lm_head.
WITH_TIED_HEAD = {"Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B", "tiiuae/falcon-7b", "tiiuae/falcon-40b"}


def rename(name, kind):
    """From module names to those of the files."""
    if kind == "gpt2":
        return name.removeprefix("transformer.")
    if kind == "gemma3":
        return re.sub(r"^model\.(vision_tower|multi_modal_projector)\.", r"\1.", name).replace("model.language_model.", "language_model.model.")
    return name


def add_prediction_layer(tensors, config):
    """DeepSeek-V3's layer of multi-token prediction, with copies of embedding and head."""
    hidden, last = config["hidden_size"], config["num_hidden_layers"] - 1
    extra = f"model.layers.{last + 1}"
    for name in [n for n in tensors if n.startswith(f"model.layers.{last}.")]:
        tensors[name.replace(f"model.layers.{last}.", f"{extra}.")] = tensors[name]
    for name in ("enorm", "hnorm", "shared_head.norm"):
        tensors[f"{extra}.{name}.weight"] = [hidden]
    tensors[f"{extra}.eh_proj.weight"] = [hidden, 2 * hidden]
    for name in ("embed_tokens", "shared_head.head"):
        tensors[f"{extra}.{name}.weight"] = [config["vocab_size"], hidden]


def add_indexer(tensors, config):
    """DeepSeek-V3.2's indexer of each layer, after its inference code."""
    heads, d = config["index_n_heads"], config["index_head_dim"]
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}.self_attn.indexer"
        linear(tensors, heads * d, config["q_lora_rank"], f"{at}.wq_b")
        linear(tensors, d, config["hidden_size"], f"{at}.wk")
        linear(tensors, heads, config["hidden_size"], f"{at}.weights_proj")
        tensors[f"{at}.k_norm.weight"] = tensors[f"{at}.k_norm.bias"] = [d]


UNENCODED = ("embed_tokens", "lm_head", "norm", "mlp.gate.weight", "block_sparse_moe.gate.weight", "eh_proj", "shared_head",
             "weights_proj", "_bias")


def encode(name, dtype, shape, method):
    """The tensors that hold this one in the files."""
    plain = len(shape) < 2 or any(part in name for part in UNENCODED)
    base = name.removesuffix(".weight")
    if method == "fp8" and not plain:
        yield name, "F8_E4M3", shape
        yield f"{base}.weight_scale_inv", "F32", [-(-side // 128) for side in shape]
    elif method == "compressed-tensors" and ".experts." in name:
        rows, cols = shape
        yield f"{base}.weight_packed", "I32", [rows, cols // 8]
        yield f"{base}.weight_scale", "BF16", [rows, cols // 32]
        yield f"{base}.weight_shape", "I32", [2]
    elif method == "mxfp4" and re.search(r"experts\.(gate_up|down)_proj$", name):
        n, cols, rows = shape  # transformers holds them transposed
        yield f"{name}_blocks", "U8", [n, rows, cols // 32, 16]
        yield f"{name}_scales", "U8", [n, rows, cols // 32]
    else:
        yield name, "F32" if "e_score_correction_bias" in name else dtype, shape


def plain_tensors(name, config):
    """name -> shape, before encoding."""
    kind = config["model_type"]
    tensors = LISTED[kind](config) if kind in LISTED else module_tensors(config)
    tensors = {rename(n, kind): shape for n, shape in tensors.items()}
    if kind == "deepseek_v32":
        add_indexer(tensors, config)
    if config.get("num_nextn_predict_layers"):
        add_prediction_layer(tensors, config)
    if kind == "gpt2":
        context = config["n_positions"]
        tensors.update({f"h.{i}.attn.bias": [1, 1, context, context] for i in range(config["n_layer"])})
        tensors.pop("lm_head.weight", None)
    if name in WITH_TIED_HEAD:
        tensors["lm_head.weight"] = [config["vocab_size"], config["hidden_size"]]
    return tensors


def hub_tensors(plain, config, dtype):
    method = config.get("quantization_config", {}).get("quant_method")
    return {n: (t, s) for name, shape in plain.items() for n, t, s in encode(name, dtype, shape, method)}
