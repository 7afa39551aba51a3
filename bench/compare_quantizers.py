"""The files that `convert --type` and llama-quantize make of one model: sizes, rounding errors and divergence.

The model is decoded to F32 first; with --smooth, uniform noise of one step of its lattice is added to each value, so
that a model that was quantised before does not favour who hits its old levels. Both tools then make each type of that
file. RMSE is relative to the values', over all matrices that were rounded; KL is the mean divergence of the next
token's distribution from the F32 model's, over the first tokens of a text, on this engine. For it the rounded weights
are decoded to F32 too, so that the activations, which the kernels of small types round, do not count.
Started by scripts/compare_quantizers.sh, which provides llama.cpp.
"""
import argparse
import ctypes
import json
import math
import os
import pathlib
import subprocess

import llama_cpp
import numpy as np
from llama_cpp._ctypes_extensions import load_shared_library

FILE_TYPES = {
    "q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q5_k_s": 16, "q5_1": 9, "q5_0": 8, "q4_k_m": 15, "q4_k_s": 14, "q4_1": 3,
    "q4_0": 2, "iq4_nl": 25, "iq4_xs": 30, "mxfp4_moe": 38, "nvfp4": 39, "q3_k_l": 13, "q3_k_m": 12, "q3_k_s": 11,
    "q2_k": 10, "tq2_0": 37, "tq1_0": 36, "q2_0": 41, "q1_0": 40,
}
ROW_CHUNK = 64  # positions whose distributions are compared at a time
VALUE_CHUNK = 1 << 22


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="scripts/compare_quantizers.sh")
    parser.add_argument("--model", help="GGUF file or safetensors directory; default: the model of the quick start")
    parser.add_argument("--types", default=",".join(FILE_TYPES), help="separated by commas (default: all)")
    parser.add_argument("--smooth", action="store_true", help="first add noise of one step of the model's old lattice")
    parser.add_argument("--seed", type=int, default=1, help="of that noise (default: %(default)s)")
    parser.add_argument("--positions", type=int, default=768, help="tokens of the text (default: %(default)s)")
    parser.add_argument("--text", default="tests/data/text/us_founding_documents.txt", help="default: %(default)s")
    parser.add_argument("--work", default="build/quantizers", help="folder for files (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each type")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--default-model", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.model = options.model or options.default_model
    options.work = pathlib.Path(options.work)
    return options


class TypeTraits(ctypes.Structure):
    """The start of ggml_type_traits."""
    _fields_ = [("name", ctypes.c_char_p), ("block", ctypes.c_int64), ("interleave", ctypes.c_int64),
                ("bytes", ctypes.c_size_t), ("quantised", ctypes.c_bool),
                ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64))]


class InitParams(ctypes.Structure):
    """gguf_init_params."""
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


def load_ggml():
    ggml = load_shared_library("ggml-base", pathlib.Path(llama_cpp.__file__).parent / "lib")
    handle, number = ctypes.c_void_p, ctypes.c_int64
    for name, result, *taken in (
            ("gguf_init_from_file", handle, ctypes.c_char_p, InitParams), ("gguf_free", None, handle),
            ("gguf_get_n_tensors", number, handle), ("gguf_get_data_offset", ctypes.c_size_t, handle),
            ("gguf_get_tensor_name", ctypes.c_char_p, handle, number),
            ("gguf_get_tensor_type", ctypes.c_int, handle, number),
            ("gguf_get_tensor_size", ctypes.c_size_t, handle, number),
            ("gguf_get_tensor_offset", ctypes.c_size_t, handle, number),
            ("ggml_get_type_traits", ctypes.POINTER(TypeTraits), ctypes.c_int)):
        function = getattr(ggml, name)
        function.restype, function.argtypes = result, taken
    return ggml


class Tensor:
    def __init__(self, traits, data):
        self.traits, self.data = traits, data
        self.type = traits.name.decode()
        self.count = data.size // traits.bytes * traits.block

    def values(self, begin, end):
        """Elements begin to end, which are multiples of the block, as float32."""
        at = [i // self.traits.block * self.traits.bytes for i in (begin, end)]
        data = np.ascontiguousarray(self.data[at[0]:at[1]])
        if self.type == "f32":
            return data.view(np.float32)
        out = np.empty(end - begin, np.float32)
        self.traits.to_float(data.ctypes.data, out.ctypes.data, end - begin)
        return out


def tensors_of(ggml, path, mode="r"):
    gguf = ggml.gguf_init_from_file(str(path).encode(), InitParams(True, None))
    data = np.memmap(path, np.uint8, mode)
    start = ggml.gguf_get_data_offset(gguf)
    found = {}
    for i in range(ggml.gguf_get_n_tensors(gguf)):
        begin = start + ggml.gguf_get_tensor_offset(gguf, i)
        traits = ggml.ggml_get_type_traits(ggml.gguf_get_tensor_type(gguf, i)).contents
        name = ggml.gguf_get_tensor_name(gguf, i).decode()
        found[name] = Tensor(traits, data[begin:begin + ggml.gguf_get_tensor_size(gguf, i)])
    ggml.gguf_free(gguf)
    return found


def make_smooth(ggml, path, seed):
    """Adds to each matrix noise as wide as the least distance of two values in each run of 16."""
    random = np.random.default_rng(seed)
    for name, tensor in tensors_of(ggml, path, "r+").items():
        values = tensor.data.view(np.float32)
        if not name.endswith("weight") or "norm" in name or tensor.count % 16:
            continue
        for begin in range(0, tensor.count, VALUE_CHUNK):
            runs = values[begin:begin + VALUE_CHUNK].reshape(-1, 16)
            gaps = np.diff(np.sort(runs, 1), axis=1)
            gaps[gaps <= 1e-5 * np.abs(runs).max(1, keepdims=True)] = np.inf
            step = gaps.min(1, keepdims=True)
            step[~np.isfinite(step)] = 0
            runs += step * random.uniform(-0.5, 0.5, runs.shape).astype(np.float32)


def rounding_errors(source, rounded):
    """By type of the tensors that changed theirs: root of the sum of squared errors over the sum of squares."""
    sums = {}
    for name, tensor in source.items():
        if rounded[name].type == tensor.type:
            continue
        for key in (rounded[name].type, "all"):
            sums.setdefault(key, np.zeros(2))
        for begin in range(0, tensor.count, VALUE_CHUNK):
            end = min(begin + VALUE_CHUNK, tensor.count)
            x = tensor.values(begin, end)
            miss = x - rounded[name].values(begin, end)
            found = np.array([np.square(v, dtype=np.float64).sum() for v in (miss, x)])
            for key in (rounded[name].type, "all"):
                sums[key] += found
    return {key: math.sqrt(error / square) for key, (error, square) in sums.items()}


def log_softmax(logits):
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def divergences(reference_path, path):
    """KL(reference || other) at each position."""
    reference, other = np.load(reference_path, "r"), np.load(path, "r")
    found = []
    for begin in range(0, len(reference), ROW_CHUNK):
        p, q = (log_softmax(x[begin:begin + ROW_CHUNK]) for x in (reference, other))
        found.append((np.exp(p) * (p - q)).sum(1))
    return np.concatenate(found)


class Comparison:
    def __init__(self, options):
        self.options, self.ggml = options, load_ggml()
        options.work.mkdir(parents=True, exist_ok=True)
        self.source = options.work / "source.gguf"
        self.ours, self.theirs = options.work / "ours.gguf", options.work / "theirs.gguf"
        self.decoded = options.work / "decoded.gguf"
        self.tokens, self.logits = options.work / "tokens.json", options.work / "logits.npy"
        self.reference = options.work / "reference.npy"

    def run(self, command, *rest, **more):
        return subprocess.run([self.options.binary, command, *map(str, rest)], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more).stdout

    def prepare(self):
        self.run("convert", self.options.model, self.source, "--type", "f32", "--force")
        if self.options.smooth:
            make_smooth(self.ggml, self.source, self.options.seed)
        with open(self.options.text, "rb") as text:
            tokens = json.loads(self.run("tokenize", "--model", self.source, stdin=text))
        self.tokens.write_text(json.dumps(tokens[:self.options.positions]))
        self.evaluate(self.source, self.reference)

    def evaluate(self, model, logits):
        self.run("eval", "--model", model, "--tokens-file", self.tokens, "--logits", logits)

    def quantise_theirs(self, name):
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype = FILE_TYPES[name]
        return llama_cpp.llama_model_quantize(str(self.source).encode(), str(self.theirs).encode(),
                                              ctypes.byref(params)) == 0

    def measure(self, path):
        self.run("convert", path, self.decoded, "--type", "f32", "--force")
        self.evaluate(self.decoded, self.logits)
        return {"bytes": path.stat().st_size, "kl": divergences(self.reference, self.logits),
                "rmse": rounding_errors(tensors_of(self.ggml, self.source), tensors_of(self.ggml, path))}

    def compare(self, name):
        self.run("convert", self.source, self.ours, "--type", name, "--force")
        result = {"type": name, "ours": self.measure(self.ours)}
        if self.quantise_theirs(name):
            result["theirs"] = self.measure(self.theirs)
            types = [{n: t.type for n, t in tensors_of(self.ggml, p).items()} for p in (self.ours, self.theirs)]
            result["same_types"] = types[0] == types[1]
            # How far the two means may differ by the choice of the positions alone.
            difference = result["ours"]["kl"] - result["theirs"]["kl"]
            result["kl_error"] = float(difference.std() / math.sqrt(len(difference)))
        for side in result.keys() & {"ours", "theirs"}:
            result[side]["kl"] = float(result[side]["kl"].mean())
        return result


def show(result):
    ours, theirs = result["ours"], result.get("theirs")
    line = f"| {result['type']} | {ours['bytes'] / 1e6:.1f} MB | {100 * ours['rmse']['all']:.4g} % "
    if not theirs:
        print(line + f"| {ours['kl']:.4g} | not made by llama.cpp | | |", flush=True)
        return
    same = "same types" if result["same_types"] else "other types"
    print(line + f"| {ours['rmse']['all'] / theirs['rmse']['all']:.3f} | {ours['kl']:.4g} "
          f"| {ours['kl'] / theirs['kl']:.2f} ± {result['kl_error'] / theirs['kl']:.2f} "
          f"| {ours['bytes'] - theirs['bytes']:+d} bytes, {same} |", flush=True)


def main():
    options = arguments()
    silence = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silence, ctypes.c_void_p(0))
    comparison = Comparison(options)
    comparison.prepare()
    if not options.json:
        print("| type | size | RMSE | of llama.cpp's | KL | of llama.cpp's | beside llama.cpp's file |\n"
              "|---|---|---|---|---|---|---|", flush=True)
    for name in options.types.split(","):
        result = comparison.compare(name)
        print(json.dumps(result), flush=True) if options.json else show(result)
    for path in [*options.work.glob("*.gguf"), *options.work.glob("*.npy")]:
        path.unlink()


if __name__ == "__main__":
    main()
