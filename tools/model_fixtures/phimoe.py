"""Writes tests/data/fixtures/phimoe, phimoe_short and phimoe_k32: a tiny random Phi-3.5-MoE in both formats, and what transformers
computes for a prompt beyond the original context, for one within it, and for one with rows that blocks of 32 weights fill.

    python3 phimoe.py ../../tests/data/fixtures

Tensors have the hub's names. The GGUF files are as llama.cpp's converter makes them, but for the factor that cos and sin are multiplied
with: the configuration's, where the converter computes one of its own.

transformers 5 forgets the long factors of this model alone (its forward pass asks for frequencies without saying how long the sequence
is); they are put back here, as its authors' code and transformers 4 have them.
"""
import pathlib
import sys

import gguf
import torch
import transformers

import common

ORIGINAL = 32
BASE = {"architectures": ["PhiMoEForCausalLM"], "model_type": "phimoe", "hidden_size": 50, "intermediate_size": 36, "num_hidden_layers": 2,
        "num_attention_heads": 5, "num_key_value_heads": 1, "num_local_experts": 5, "num_experts_per_tok": 2, "vocab_size": 288,
        "max_position_embeddings": 256, "original_max_position_embeddings": ORIGINAL, "hidden_act": "silu", "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "attention_bias": True, "lm_head_bias": True, "tie_word_embeddings": False, "bos_token_id": 1,
        "eos_token_id": 2, "router_jitter_noise": 0.01, "input_jitter_noise": 0.01, "attention_dropout": 0.0, "initializer_range": 0.02,
        "torch_dtype": "float16", "use_cache": True,
        "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.02, 1.1, 1.3, 1.7],
                         "long_factor": [1.1, 1.4, 2.6, 4.1, 9.0], "short_mscale": 1.243163121016122,
                         "long_mscale": 1.243163121016122, "original_max_position_embeddings": ORIGINAL}}
WIDE = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
        "rope_scaling": {**BASE["rope_scaling"], "short_factor": [1.0, 1.01, 1.02, 1.05, 1.1, 1.2, 1.3, 1.7],
                         "long_factor": [1.1, 1.2, 1.4, 1.9, 2.6, 3.3, 4.1, 9.0]}}
# Fixture: prompt, window, seed, changes.
FIXTURES = {"phimoe": (40, 29, 20251130, {}), "phimoe_short": (13, None, 20251127, {}), "phimoe_k32": (40, 29, 20251207, WIDE)}


def empty(config):
    known = {k: v for k, v in config.items() if k not in ("architectures", "model_type", "torch_dtype")}
    model = transformers.PhimoeForCausalLM(
        transformers.PhimoeConfig(**known, attn_implementation="eager", experts_implementation="eager")).eval()
    rotary = model.model.rotary_emb
    frequencies = rotary.rope_init_fn
    length = [0]
    model.register_forward_pre_hook(lambda _, args: length.__setitem__(0, args[0].shape[1]))
    rotary.rope_init_fn = lambda config, device=None, seq_len=None: frequencies(config, device, seq_len=seq_len or length[0])
    return model


def random_weights(config, seed):
    """Every parameter random and exact in BF16, by its hub name; norms around 1. The files have F16, against which activations are not rounded: the sparse mixer's thresholds
    turn rounding into other experts too often."""
    generator = torch.Generator().manual_seed(seed)
    hidden, ffn, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head_dim = hidden // config["num_attention_heads"]
    weights = {}

    def add(name, *shape, scale=None, offset=0.0):
        scale = 1.7 / shape[-1] ** 0.5 if scale is None else scale
        weights[name] = (offset + scale * torch.randn(shape, generator=generator)).to(torch.bfloat16).to(torch.float16)

    def norm(name):
        add(f"{name}.weight", hidden, scale=0.2, offset=1.0)
        add(f"{name}.bias", hidden, scale=0.2)

    def linear(name, rows, cols, bias=True):
        add(f"{name}.weight", rows, cols)
        if bias:
            add(f"{name}.bias", rows, scale=0.3)

    add("model.embed_tokens.weight", vocab, hidden, scale=0.5)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        norm(f"{layer}.input_layernorm")
        for part, heads in (("q", config["num_attention_heads"]), ("k", config["num_key_value_heads"]), ("v", config["num_key_value_heads"])):
            linear(f"{layer}.self_attn.{part}_proj", heads * head_dim, hidden)
        linear(f"{layer}.self_attn.o_proj", hidden, hidden)
        norm(f"{layer}.post_attention_layernorm")
        linear(f"{layer}.block_sparse_moe.gate", config["num_local_experts"], hidden, bias=False)
        for x in range(config["num_local_experts"]):
            expert = f"{layer}.block_sparse_moe.experts.{x}"
            linear(f"{expert}.w1", ffn, hidden, bias=False)
            linear(f"{expert}.w2", hidden, ffn, bias=False)
            linear(f"{expert}.w3", ffn, hidden, bias=False)
    norm("model.norm")
    linear("lm_head", vocab, hidden)
    return weights


def as_transformers(weights, config):
    """Experts in one tensor, router by its newer name."""
    out = {}
    for name, tensor in weights.items():
        if ".experts." not in name:
            out[name.replace("block_sparse_moe.gate", "mlp.router")] = tensor
    for i in range(config["num_hidden_layers"]):
        def stack(part):
            return torch.stack([weights[f"model.layers.{i}.block_sparse_moe.experts.{x}.{part}.weight"]
                                for x in range(config["num_local_experts"])])
        out[f"model.layers.{i}.mlp.experts.gate_up_proj"] = torch.cat([stack("w1"), stack("w3")], dim=1)
        out[f"model.layers.{i}.mlp.experts.down_proj"] = stack("w2")
    return out


def write_gguf(path, config, weights, fixtures):
    writer = common.start_gguf(path, "phimoe", config)
    writer.add_rope_scaling_orig_ctx_len(ORIGINAL)
    writer.add_rope_scaling_attn_factors(config["rope_scaling"]["long_mscale"])
    writer.add_sliding_window(config["sliding_window"] or 0)
    writer.add_expert_count(config["num_local_experts"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    for kind in ("long", "short"):
        writer.add_tensor(f"rope_factors_{kind}.weight", torch.tensor(config["rope_scaling"][f"{kind}_factor"]).numpy())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.PHIMOE, config["num_hidden_layers"])
    tensors = {names.get_name(name, try_suffixes=(".weight", ".bias")): tensor
               for name, tensor in weights.items() if ".experts." not in name}
    for i in range(config["num_hidden_layers"]):
        for part, to in (("w1", "gate"), ("w2", "down"), ("w3", "up")):
            tensors[f"blk.{i}.ffn_{to}_exps.weight"] = torch.stack(
                [weights[f"model.layers.{i}.block_sparse_moe.experts.{x}.{part}.weight"] for x in range(config["num_local_experts"])])
    common.finish_gguf(writer, tensors, fixtures)


def main():
    fixtures = pathlib.Path(sys.argv[1])
    for name, (length, window, seed, changes) in FIXTURES.items():
        config = {**BASE, **changes, "sliding_window": window}
        weights = random_weights(config, seed)
        loaded = as_transformers(weights, config)

        def build(config, dtype):
            model = empty(config)
            if not config["attention_bias"] or not config["lm_head_bias"]:
                model.load_state_dict(loaded, strict=False)
            else:
                model.load_state_dict(loaded)
            return model.to(dtype)

        def scaled(**change):
            return {**config, "rope_scaling": {**config["rope_scaling"], **change}}

        factors = config["rope_scaling"]
        variants = {"other_factors": scaled(short_factor=factors["long_factor"], long_factor=factors["short_factor"]),
                    "no_mscale": scaled(short_mscale=1.0, long_mscale=1.0),
                    "no_attention_bias": {**config, "attention_bias": False}, "no_lm_head_bias": {**config, "lm_head_bias": False},
                    "no_sparsemixer_threshold": {**config, "router_jitter_noise": 10.0}}
        if window:
            variants["no_window"] = {**config, "sliding_window": None}
        golden = common.golden(build, config, name, seed, length, variants)
        folder = common.write_folder(fixtures, name, config, weights, golden)
        write_gguf(folder / "model.gguf", config, weights, fixtures)


if __name__ == "__main__":
    main()
