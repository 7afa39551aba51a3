"""Converts every fixture and runs the files in llama.cpp and here, along the golden prompt and answer.

`decoded`: llama.cpp first decodes the file to F32, so that neither engine rounds activations: how many most likely
tokens are those of this worker's ref backend, and the greatest difference of a logit.
`as is`: llama.cpp's kernels for the file's types, which round activations. How many most likely tokens are those of
ref; and of those where ref's best token leads by more than twice the greatest error that the rounding of activations
causes in this worker's own cpu backend.
Started by scripts/check_round_trips.sh, which provides llama.cpp.
"""
import argparse
import contextlib
import ctypes
import json
import multiprocessing
import pathlib
import subprocess
import tempfile

import llama_cpp
import numpy as np


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="scripts/check_round_trips.sh")
    parser.add_argument("fixtures", nargs="*", help="names; default: all of tests/data/fixtures")
    parser.add_argument("--types", default="f32,f16,bf16,q8_0,q4_k_m", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each file")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = pathlib.Path("tests/data/fixtures")
    options.fixtures = options.fixtures or sorted(p.name for p in options.folder.iterdir() if p.is_dir())
    return options


def worker(options, *arguments):
    done = subprocess.run([options.binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def worker_logits(options, model, tokens, device):
    path = model.with_suffix(".npy")
    worker(options, "eval", "--model", model, "--device", device, "--tokens", ",".join(map(str, tokens)),
           "--logits", path)
    return np.load(path)


def peer_logits(model, tokens):
    peer = llama_cpp.Llama(str(model), n_ctx=len(tokens) + 8, n_batch=len(tokens) + 8, logits_all=True, n_threads=2,
                           type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, verbose=False)
    with contextlib.closing(peer):
        peer.eval(tokens)
        return np.array(peer.scores[:len(tokens)])


def peer_decodes(model):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = llama_cpp.LLAMA_FTYPE_ALL_F32, True
    decoded = model.with_suffix(".decoded.gguf")
    if llama_cpp.llama_model_quantize(str(model).encode(), str(decoded).encode(), ctypes.byref(params)):
        raise RuntimeError("llama.cpp cannot decode the file")
    return decoded


def agreement(ours, theirs):
    return ours.argmax(1) == theirs.argmax(1)


def measure(options, fixture, kind, folder):
    golden = json.loads((options.folder / fixture / "golden.json").read_text())
    tokens = golden["prompt"] + golden["greedy"]["tokens"][:-1]
    # The file's general.name is the folder's, and llama.cpp expects tokens of a model whose name has "phi3".
    source, model = pathlib.Path(folder) / "fixture", pathlib.Path(folder) / "model.gguf"
    source.symlink_to((options.folder / fixture).resolve())
    worker(options, "convert", source, model, "--type", kind)
    reference = worker_logits(options, model, tokens, "ref")
    rounding = float(np.abs(worker_logits(options, model, tokens, "cpu") - reference).max())
    ordered = np.sort(reference, 1)
    certain = ordered[:, -1] - ordered[:, -2] > 2 * rounding
    same = agreement(peer_logits(model, tokens), reference)
    decoded = peer_logits(peer_decodes(model), tokens)
    return {"positions": len(tokens), "decoded": int(agreement(decoded, reference).sum()),
            "decoded_error": float(np.abs(decoded - reference).max()), "as_is": int(same.sum()),
            "rounding": rounding, "certain": int(certain.sum()), "certain_same": int(same[certain].sum())}


def measure_to(pipe, *job):
    """In a process of its own: a file that llama.cpp does not take may abort it."""
    lines = []
    log = llama_cpp.llama_log_callback(lambda level, text, data: lines.append(text.decode(errors="replace").strip()))
    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    try:
        with tempfile.TemporaryDirectory() as folder:
            pipe.send(measure(*job, folder))
    except Exception as error:
        mark = "error loading model: "
        said = [line.split(mark, 1)[1] for line in lines if mark in line]
        pipe.send({"error": said[0] if said else str(error)})


def result_of(*job):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=measure_to, args=(sender, *job))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return {"error": "llama.cpp aborted"}
    finally:
        process.join()


def show(result):
    print(f"| {result['fixture']} | {result['type']} ", end="")
    if "error" in result:
        print(f"| {result['error']} | |", flush=True)
        return
    n = result["positions"]
    print(f"| {result['decoded']} of {n} ({result['decoded_error']:.2g}) | {result['as_is']} of {n}, "
          f"{result['certain_same']} of {result['certain']} |", flush=True)


def main():
    options = arguments()
    if not options.json:
        print("| fixture | type | decoded: same top token (greatest difference) | as is: same, same where certain |\n"
              "|---|---|---|---|", flush=True)
    for fixture in options.fixtures:
        for kind in options.types.split(","):
            result = {"fixture": fixture, "type": kind, **result_of(options, fixture, kind)}
            print(json.dumps(result), flush=True) if options.json else show(result)


if __name__ == "__main__":
    main()
