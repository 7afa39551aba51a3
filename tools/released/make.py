"""Writes tests/data/released: for each published model its configuration, parameters, and tensors in both formats.

    pip install torch==2.11.0 transformers==4.57.3 gguf==0.19.0 && python3 make.py ../../tests/data/released

Layers and experts are folded: ["model.layers.{}.mlp.experts.{x}.up_proj.weight", "BF16", [2048, 7168], [[3, 61]], 256] stands for the
tensors of layers 3 to 60 and experts 0 to 255 of each.
"""
import json
import math
import pathlib
import re
import sys

import gguf_view
import hf_tensors
import models

# What files hold beside the parameters that the models are computed with.
EXTRA = {"gemma3": "the vision tower", "deepseek_v3": "FP8 scales and a layer of multi-token prediction", "minimax_m2": "FP8 scales"}

# The file in src/families that reads each; the others are named after their model_type.
FAMILIES = {"mistral": "llama", "gemma3_text": "gemma3", "deepseek_v2": "deepseek", "deepseek_v3": "deepseek", "deepseek_v32": "deepseek",
            "kimi_k2": "deepseek", "olmo3": "olmo2", "falcon_mamba": "mamba"}


def ranges(numbers):
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n:
            out[-1][1] = n + 1
        else:
            out.append([n, n + 1])
    return out


def fold(tensors):
    """[[pattern, type, shape, layer ranges, experts], ...]; the last two only where there are any."""
    groups = {}
    for name, (dtype, shape) in tensors.items():
        pattern, layer, expert = name, None, None
        match = re.search(r"(?<=\.)(experts|norms)\.(\d+)(?=\.)", name)
        if match:
            expert = int(match.group(2))
            pattern = f"{name[:match.start(2)]}{{x}}{name[match.end(2):]}"
        match = re.search(r"(?:^|(?<=\.))(layers|h|blk|blocks)\.(\d+)(?=\.)", pattern)
        if match:
            layer = int(match.group(2))
            pattern = f"{pattern[:match.start(2)]}{{}}{pattern[match.end(2):]}"
        groups.setdefault((pattern, dtype, tuple(shape)), set()).add((layer, expert))
    rows = []
    for (pattern, dtype, shape), places in groups.items():
        layers, experts = {p[0] for p in places}, {p[1] for p in places}
        assert len(places) == len(layers) * len(experts), pattern
        row = [pattern, dtype, list(shape)]
        if None not in layers:
            row.append(ranges(layers))
            if None not in experts:
                assert experts == set(range(len(experts)))
                row.append(len(experts))
        elif None not in experts:
            raise AssertionError(pattern)
        rows.append(row)
    return rows


def count(shapes):
    return sum(math.prod(shape) for shape in shapes)


def own_parameters(plain, config):
    """Of the tensors that the model is computed with."""
    return count(s for n, s in plain.items() if not (
        config["model_type"] == "gpt2" and n.endswith(".attn.bias") or n.startswith(("vision_tower.", "multi_modal_projector."))
        or gguf_view.skipped(n, {**config, "tie_word_embeddings": False})))


def file_elements(hub):
    """As the hub counts: packed words are not unpacked."""
    return count(shape for _, shape in hub.values())


def windowed_layers(c):
    """How many layers of the model, as config.json has it, see a window only."""
    layers, kind = c.get("num_hidden_layers"), c["model_type"]
    if "layer_types" in c:
        return c["layer_types"].count("sliding_attention")
    if not c.get("sliding_window") or not c.get("use_sliding_window", True):
        return 0
    if kind == "gemma3_text":
        return layers - layers // c["sliding_window_pattern"]
    return layers // 2 if kind == "gemma2" else layers


def state(c):
    """Bytes that a sequence needs: for each token, with two bytes a value; of these in layers with a window; and fixed ones."""
    layers, kind = c.get("num_hidden_layers") or c["n_layer"], c["model_type"]
    hidden, conv = c.get("hidden_size") or c["n_embd"], c.get("conv_kernel", 0) - 1
    if kind.startswith("rwkv"):
        return {"token": 0, "windowed": 0, "fixed": layers * (hidden * 64 + 2 * hidden) * 4}
    if kind in ("mamba", "falcon_mamba"):
        inner = c["intermediate_size"]
        return {"token": 0, "windowed": 0, "fixed": layers * inner * (c["state_size"] + conv) * 4}
    if kind == "mamba2":
        inner = c["expand"] * hidden
        return {"token": 0, "windowed": 0,
                "fixed": layers * (inner * c["state_size"] + conv * (inner + 2 * c["n_groups"] * c["state_size"])) * 4}
    if "kv_lora_rank" in c:
        delta = c.get("linear_attn_config", {"kda_layers": [], "num_heads": 0, "head_dim": 0, "short_conv_kernel_size": 0})
        width = delta["num_heads"] * delta["head_dim"]
        fixed = width * (delta["head_dim"] + 3 * (delta["short_conv_kernel_size"] - 1)) * 4
        return {"token": (layers - len(delta["kda_layers"])) * (c["kv_lora_rank"] + c["qk_rope_head_dim"]) * 2, "windowed": 0,
                "fixed": len(delta["kda_layers"]) * fixed}
    heads = c.get("num_attention_heads") or c["n_head"]
    keys = c.get("num_key_value_heads", heads)
    if kind == "falcon":
        keys = c.get("num_kv_heads") if c["new_decoder_architecture"] else 1
    layer = 2 * keys * (c.get("head_dim") or hidden // heads) * 2
    return {"token": layers * layer, "windowed": windowed_layers(c) * layer, "fixed": 0}


def describe(name):
    config, dtype, stated = models.MODELS[name]
    plain = hf_tensors.plain_tensors(name, config)
    hub = hf_tensors.hub_tensors(plain, config, dtype)
    own, in_files = own_parameters(plain, config), file_elements(hub)
    if stated is not None and stated not in (own, in_files):
        print(f"{name}: stated {stated}, own {own}, in files {in_files}")
        stated = None
    text_config = config.get("text_config", config)
    kind = text_config["model_type"]
    record = {"model": name, "family": FAMILIES.get(kind, kind), "parameters": own, "state_bytes": state(text_config), "config": config,
              "safetensors": fold(hub)}
    if stated is not None:
        record["stated"] = stated
        if stated != own:
            record["stated_with"] = EXTRA[config["model_type"]]
    if gguf_view.architecture(config):
        shapes = gguf_view.gguf_shapes(plain, config)
        record["gguf"] = {"architecture": gguf_view.architecture(config), "keys": gguf_view.gguf_keys(config),
                          "tensors": fold({n: (gguf_view.pure_q4_k(n, s), s) for n, s in shapes.items()})}
    return record


def text(record):
    """One tensor a line."""
    lists = {}

    def keep(key, rows):
        lists[key] = "[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]"
        return f"@{key}@"

    record = dict(record, safetensors=keep("hub", record["safetensors"]))
    if "gguf" in record:
        record["gguf"] = dict(record["gguf"], tensors=keep("gguf", record["gguf"]["tensors"]))
    out = "{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in record.items()) + "\n}\n"
    for key, rows in lists.items():
        out = out.replace(f'"@{key}@"', rows)
    return out


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name in sys.argv[2:] or models.MODELS:
        (folder / f"{name.split('/')[1]}.json").write_text(text(describe(name)))


if __name__ == "__main__":
    main()
