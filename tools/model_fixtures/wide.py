"""Writes the fixtures NAME_k32 to tests/data/fixtures: fixture NAME with rows that blocks of 32 weights fill, so that quantisation to 4, 5
and 8 bits has something to do in each family. New random weights, in both formats, and what transformers computes for them.

    python3 wide.py ../../tests/data/fixtures

A GGUF file has the keys of fixture NAME's, but for widths and heads; rows of queries and keys are permuted where the family's are.
"""
import json
import pathlib
import sys

import gguf
import torch
import transformers

import common

# Fixture: what changes, whether rows of queries and keys are permuted, seed.
WIDE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
FIXTURES = {"yi": ({**WIDE, "num_key_value_heads": 1}, True, 20251201),
            "smollm": ({**WIDE, "num_attention_heads": 8, "num_key_value_heads": 2}, True, 20251202),
            "granite": ({**WIDE, "num_key_value_heads": 2}, True, 20251203),
            "olmo": ({**WIDE, "num_key_value_heads": 4}, True, 20251204),
            "stablelm": ({**WIDE, "num_key_value_heads": 4, "partial_rotary_factor": 0.25}, False, 20251205),
            "stablelm2_12b": ({**WIDE, "num_key_value_heads": 2}, False, 20251206)}
PROMPT = 24
ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "granite": gguf.MODEL_ARCH.GRANITE, "olmo": gguf.MODEL_ARCH.OLMO,
                 "stablelm": gguf.MODEL_ARCH.STABLELM}


def empty(config):
    known = {k: v for k, v in config.items() if k not in ("architectures", "torch_dtype")}
    return transformers.AutoModelForCausalLM.from_config(
        transformers.AutoConfig.for_model(**known), attn_implementation="eager").float().eval()


def random_weights(config, seed):
    """Every parameter random and exact in BF16; norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, tensor in empty(config).state_dict().items():
        if name == "lm_head.weight" and config["tie_word_embeddings"]:
            continue
        values = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() == 1:
            values = 0.2 * values + (1 if name.endswith("weight") else 0)
        else:
            values *= 0.16 if "embed" in name else 2.2 / tensor.shape[-1] ** 0.5
        weights[name] = values.to(torch.bfloat16)
    return weights


def copy_keys(writer, path, arch, config):
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    widths = {f"{arch}.embedding_length": config["hidden_size"], f"{arch}.feed_forward_length": config["intermediate_size"],
              f"{arch}.block_count": config["num_hidden_layers"], f"{arch}.attention.head_count": config["num_attention_heads"],
              f"{arch}.attention.head_count_kv": config["num_key_value_heads"], f"{arch}.vocab_size": config["vocab_size"],
              f"{arch}.attention.key_length": head_dim, f"{arch}.attention.value_length": head_dim,
              f"{arch}.rope.dimension_count": int(head_dim * config.get("partial_rotary_factor", 1))}
    skipped = ("GGUF.", "tokenizer.", "general.architecture", "general.size_label")
    for key, field in gguf.GGUFReader(path).fields.items():
        if not key.startswith(skipped):
            writer.add_key_value(key, widths.get(key, field.contents()), field.types[0])


def write_gguf(path, source, config, weights, permute, fixtures):
    arch = gguf.GGUFReader(source).fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, arch)
    copy_keys(writer, source, arch, config)
    names = gguf.get_tensor_name_map(ARCHITECTURES[arch], config["num_hidden_layers"])
    tensors, head_norms = {}, {}
    for name, tensor in weights.items():
        if "layernorm.norms." in name:  # one for each head
            head_norms.setdefault(name.partition(".norms.")[0], []).append(tensor.float())
            continue
        if permute and ("q_proj" in name or "k_proj" in name):
            tensor = common.permuted(tensor, config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"])
        tensors[names.get_name(name, try_suffixes=(".weight", ".bias"))] = tensor
    for name, norms in head_norms.items():
        writer.add_tensor(names.get_name(name) + ".weight", torch.stack(norms).numpy())
    common.finish_gguf(writer, tensors, fixtures)


def main():
    fixtures = pathlib.Path(sys.argv[1])
    for source, (changes, permute, seed) in FIXTURES.items():
        config = {**json.loads((fixtures / source / "config.json").read_text()), **changes, "vocab_size": 288}
        weights = random_weights(config, seed)

        def build(config, dtype):
            model = empty(config)
            missing = model.load_state_dict(weights, strict=False)
            assert not missing.unexpected_keys and set(missing.missing_keys) <= {"lm_head.weight"}, missing
            return model.to(dtype)

        name = f"{source}_k32"
        golden = common.golden(build, config, name, seed, PROMPT, {"other_theta": {**config, "rope_theta": 2 * config["rope_theta"]}})
        folder = common.write_folder(fixtures, name, config, weights, golden)
        write_gguf(folder / "model.gguf", fixtures / source / "model.gguf", config, weights, permute, fixtures)


if __name__ == "__main__":
    main()
