"""What the makers of model fixtures share: goldens of a transformers model, and writing GGUF files as llama.cpp's converter does.

    pip install torch==2.11.0 transformers==5.17.0 safetensors gguf==0.19.0 numpy
"""
import json
import shutil

import gguf
import numpy
import safetensors.torch
import torch
import transformers

GREEDY = 16


def random_prompt(length, vocab, seed):
    return [1] + torch.randint(3, vocab, (length - 1,), generator=torch.Generator().manual_seed(seed)).tolist()


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


def golden(build, config, family, seed, length, variants):
    """build(config, dtype) gives the model. variants: of the configuration, by the name of what they lack or change."""
    prompt = random_prompt(length, config["vocab_size"], seed + 1)
    model = build(config, torch.float32)
    all_logits = logits(model, prompt)
    last = all_logits[-1]
    moved = {name: logits(build(variant, torch.float32), prompt)[-1] for name, variant in variants.items()}
    other = list(prompt)
    other[1] = (other[1] + 7) % config["vocab_size"]
    moved["second_token_changed"] = logits(model, other)[-1]
    distance = float((logits(build(config, torch.bfloat16), prompt)[-1] - last).abs().max())
    return {"family": family, "architecture": config["architectures"][0], "seed": seed, "vocab_size": config["vocab_size"],
            "oracle": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, eager attention, float32, no cache",
            "logits_std": round(float(all_logits.std()), 4), "bf16_max_abs_diff": round(distance, 6),
            "tolerance": {"f32": 0.002, "bf16": round(max(2 * distance, 0.05), 4)},
            "sensitivity": {name: round(float((values - last).abs().max()), 5) for name, values in moved.items()},
            "prompt": prompt, "last_logits": rounded(last),
            "top5": [{"ids": t.indices.tolist(), "logits": rounded(t.values)} for t in (row.topk(5) for row in all_logits)],
            "greedy": greedy(model, prompt)}


def write_folder(fixtures, name, config, weights, golden_values):
    """Everything but the GGUF file; the tokenizer is that of the qwen3 fixture. Gives the folder."""
    folder = fixtures / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(fixtures / "qwen3" / file, folder / file)
    samples = json.loads((fixtures / "qwen3/golden.json").read_text())["tokenizer_samples"]
    (folder / "golden.json").write_text(json.dumps({**golden_values, "tokenizer_samples": samples}) + "\n")
    return folder


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


def start_gguf(path, architecture, config):
    """A writer that has the keys of nearly every decoder."""
    writer = gguf.GGUFWriter(path, architecture)
    half = config["torch_dtype"] == "float16"
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    return writer


def finish_gguf(writer, tensors, fixtures):
    """tensors: of the hub's type, by GGUF name; vectors and routers become F32."""
    copy_tokenizer(writer, fixtures / "qwen3/model.gguf")
    for name, tensor in tensors.items():
        if tensor.dim() == 1 or name.endswith("ffn_gate_inp.weight"):
            writer.add_tensor(name, tensor.float().numpy())
        elif tensor.dtype == torch.float16:
            writer.add_tensor(name, tensor.contiguous().numpy())
        else:
            data = tensor.contiguous().view(torch.int16).numpy().view(numpy.uint8)
            writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
