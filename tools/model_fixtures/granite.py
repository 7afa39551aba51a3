"""Writes tests/data/fixtures/granite: a tiny random Granite in both formats, and what transformers computes for it.

    python3 granite.py ../../tests/data/fixtures

The GGUF file is as llama.cpp's converter makes it: rows of queries and keys permuted for rotation of neighbouring pairs, matrices BF16,
vectors F32.
"""
import pathlib
import sys

import gguf
import torch
import transformers

import common

CONFIG = {"architectures": ["GraniteForCausalLM"], "model_type": "granite", "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3,
          "num_attention_heads": 6, "num_key_value_heads": 2, "vocab_size": 288, "max_position_embeddings": 256, "hidden_act": "silu",
          "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
          "embedding_multiplier": 6.0, "residual_multiplier": 0.6, "attention_multiplier": 0.2, "logits_scaling": 0.8,
          "attention_bias": False, "mlp_bias": False, "attention_dropout": 0.0, "initializer_range": 0.1, "torch_dtype": "bfloat16",
          "use_cache": True}
SEED, PROMPT = 20251125, 24


def empty(config):
    known = {k: v for k, v in config.items() if k not in ("architectures", "model_type", "torch_dtype")}
    return transformers.GraniteForCausalLM(transformers.GraniteConfig(**known, attn_implementation="eager")).eval()


def random_weights():
    """Every parameter random and exact in BF16; norms around 1."""
    generator = torch.Generator().manual_seed(SEED)
    weights = {}
    for name, tensor in empty(CONFIG).state_dict().items():
        if name == "lm_head.weight":
            continue
        values = torch.randn(tensor.shape, generator=generator)
        values = 1 + 0.2 * values if "norm" in name else values * (0.16 if "embed" in name else 2.2 / tensor.shape[-1] ** 0.5)
        weights[name] = values.to(torch.bfloat16)
    return weights


def write_gguf(path, weights, fixtures):
    writer = common.start_gguf(path, "granite", CONFIG)
    writer.add_attention_scale(CONFIG["attention_multiplier"])
    writer.add_embedding_scale(CONFIG["embedding_multiplier"])
    writer.add_residual_scale(CONFIG["residual_multiplier"])
    writer.add_logit_scale(CONFIG["logits_scaling"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GRANITE, CONFIG["num_hidden_layers"])
    tensors = {}
    for name, tensor in weights.items():
        if "q_proj" in name or "k_proj" in name:
            tensor = common.permuted(tensor, CONFIG["num_attention_heads" if "q_proj" in name else "num_key_value_heads"])
        tensors[names.get_name(name, try_suffixes=(".weight",))] = tensor
    common.finish_gguf(writer, tensors, fixtures)


def main():
    fixtures = pathlib.Path(sys.argv[1])
    weights = random_weights()

    def build(config, dtype):
        model = empty(config)
        model.load_state_dict(weights, strict=False)
        return model.to(dtype)

    variants = {f"no_{name}": {**CONFIG, name: 1.0} for name in ("embedding_multiplier", "residual_multiplier", "logits_scaling")}
    variants["no_attention_multiplier"] = {**CONFIG, "attention_multiplier": (CONFIG["hidden_size"] / CONFIG["num_attention_heads"]) ** -0.5}
    golden = common.golden(build, CONFIG, "granite", SEED, PROMPT, variants)
    folder = common.write_folder(fixtures, "granite", CONFIG, weights, golden)
    write_gguf(folder / "model.gguf", weights, fixtures)


if __name__ == "__main__":
    main()
