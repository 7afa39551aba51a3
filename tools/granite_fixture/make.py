"""Writes tests/data/fixtures/granite: a tiny random Granite in both formats, and what transformers computes for it.

    pip install torch==2.11.0 transformers==5.17.0 safetensors gguf==0.19.0 numpy
    python3 make.py ../../tests/data/fixtures

The tokenizer is that of the qwen3 fixture. The GGUF file is as llama.cpp's converter makes it: rows of queries and keys permuted for
rotation of neighbouring pairs, matrices BF16, vectors F32.
"""
import json
import pathlib
import shutil
import sys

import gguf
import numpy
import safetensors.torch
import torch
import transformers

CONFIG = {"architectures": ["GraniteForCausalLM"], "model_type": "granite", "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3,
          "num_attention_heads": 6, "num_key_value_heads": 2, "vocab_size": 288, "max_position_embeddings": 256, "hidden_act": "silu",
          "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
          "embedding_multiplier": 6.0, "residual_multiplier": 0.6, "attention_multiplier": 0.2, "logits_scaling": 0.8,
          "attention_bias": False, "mlp_bias": False, "attention_dropout": 0.0, "initializer_range": 0.1, "torch_dtype": "bfloat16",
          "use_cache": True}
SEED, PROMPT, GREEDY = 20251125, 24, 16


def build(config, weights=None, dtype=torch.float32):
    known = {k: v for k, v in config.items() if k not in ("architectures", "model_type", "torch_dtype")}
    model = transformers.GraniteForCausalLM(transformers.GraniteConfig(**known, attn_implementation="eager")).eval()
    if weights is not None:
        model.load_state_dict(weights, strict=False)
    return model.to(dtype)


def random_weights():
    """Every parameter random and exact in BF16; norms around 1."""
    generator = torch.Generator().manual_seed(SEED)
    weights = {}
    for name, tensor in build(CONFIG).state_dict().items():
        if name == "lm_head.weight":
            continue
        values = torch.randn(tensor.shape, generator=generator)
        values = 1 + 0.2 * values if "norm" in name else values * (0.16 if "embed" in name else 2.2 / tensor.shape[-1] ** 0.5)
        weights[name] = values.to(torch.bfloat16)
    return weights


def logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0].float()


def rounded(values):
    return [round(float(v), 6) for v in values]


def greedy(model, prompt):
    tokens, out = list(prompt), {"tokens": [], "margins": [], "top_logits": []}
    for _ in range(GREEDY):
        best = logits(model, tokens)[-1].topk(2)
        tokens.append(int(best.indices[0]))
        out["tokens"].append(tokens[-1])
        out["margins"].append(round(float(best.values[0] - best.values[1]), 6))
        out["top_logits"].append(round(float(best.values[0]), 6))
    return out


def sensitivity(weights, prompt, last):
    """How far the last logits move without each feature."""
    off = {f"no_{name}": {name: 1.0} for name in ("embedding_multiplier", "residual_multiplier", "logits_scaling")}
    off["no_attention_multiplier"] = {"attention_multiplier": (CONFIG["hidden_size"] / CONFIG["num_attention_heads"]) ** -0.5}
    moved = {name: logits(build({**CONFIG, **change}, weights), prompt)[-1] for name, change in off.items()}
    other = list(prompt)
    other[1] = (other[1] + 7) % CONFIG["vocab_size"]
    moved["second_token_changed"] = logits(build(CONFIG, weights), other)[-1]
    return {name: round(float((values - last).abs().max()), 5) for name, values in moved.items()}


def golden(weights):
    prompt = [1] + torch.randint(3, CONFIG["vocab_size"], (PROMPT - 1,), generator=torch.Generator().manual_seed(SEED + 1)).tolist()
    model = build(CONFIG, weights)
    all_logits = logits(model, prompt)
    last = all_logits[-1]
    low = logits(build(CONFIG, weights, torch.bfloat16), prompt)[-1]
    distance = float((low - last).abs().max())
    return {"family": "granite", "architecture": "GraniteForCausalLM", "seed": SEED, "vocab_size": CONFIG["vocab_size"],
            "oracle": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, eager attention, float32, no cache",
            "logits_std": round(float(all_logits.std()), 4), "bf16_max_abs_diff": round(distance, 6),
            "tolerance": {"f32": 0.002, "bf16": round(max(2 * distance, 0.05), 4)}, "sensitivity": sensitivity(weights, prompt, last),
            "prompt": prompt, "last_logits": rounded(last),
            "top5": [{"ids": t.indices.tolist(), "logits": rounded(t.values)} for t in (row.topk(5) for row in all_logits)],
            "greedy": greedy(model, prompt)}


def permuted(matrix, heads):
    """Within each head, rows j and j + d/2 become rows 2j and 2j + 1."""
    rows, cols = matrix.shape
    return matrix.reshape(heads, 2, rows // heads // 2, cols).transpose(1, 2).reshape(rows, cols)


def copy_tokenizer(writer, path):
    for key, field in gguf.GGUFReader(path).fields.items():
        if not key.startswith("tokenizer."):
            continue
        value = field.contents()
        if isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_key_value(key, value, field.types[0])


def write_gguf(path, weights, tokenizer):
    writer = gguf.GGUFWriter(path, "granite")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_block_count(CONFIG["num_hidden_layers"])
    writer.add_context_length(CONFIG["max_position_embeddings"])
    writer.add_embedding_length(CONFIG["hidden_size"])
    writer.add_feed_forward_length(CONFIG["intermediate_size"])
    writer.add_head_count(CONFIG["num_attention_heads"])
    writer.add_head_count_kv(CONFIG["num_key_value_heads"])
    writer.add_rope_freq_base(CONFIG["rope_theta"])
    writer.add_layer_norm_rms_eps(CONFIG["rms_norm_eps"])
    writer.add_vocab_size(CONFIG["vocab_size"])
    writer.add_rope_dimension_count(CONFIG["hidden_size"] // CONFIG["num_attention_heads"])
    writer.add_attention_scale(CONFIG["attention_multiplier"])
    writer.add_embedding_scale(CONFIG["embedding_multiplier"])
    writer.add_residual_scale(CONFIG["residual_multiplier"])
    writer.add_logit_scale(CONFIG["logits_scaling"])
    copy_tokenizer(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GRANITE, CONFIG["num_hidden_layers"])
    for name, tensor in weights.items():
        if "q_proj" in name or "k_proj" in name:
            tensor = permuted(tensor, CONFIG["num_attention_heads" if "q_proj" in name else "num_key_value_heads"])
        to = names.get_name(name, try_suffixes=(".weight",))
        if tensor.dim() == 1:
            writer.add_tensor(to, tensor.float().numpy())
        else:
            data = tensor.contiguous().view(torch.int16).numpy().view(numpy.uint8)
            writer.add_tensor(to, data, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    fixtures = pathlib.Path(sys.argv[1])
    folder = fixtures / "granite"
    folder.mkdir(exist_ok=True)
    weights = random_weights()
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(fixtures / "qwen3" / name, folder / name)
    write_gguf(folder / "model.gguf", weights, fixtures / "qwen3" / "model.gguf")
    samples = json.loads((fixtures / "qwen3/golden.json").read_text())["tokenizer_samples"]
    (folder / "golden.json").write_text(json.dumps({**golden(weights), "tokenizer_samples": samples}) + "\n")


if __name__ == "__main__":
    main()
