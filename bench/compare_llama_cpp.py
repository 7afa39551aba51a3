"""Speed of llama.cpp and of this worker on one model file, measured in turns.

A machine's speed drifts, so each round runs both engines one after the other, and the ratio is taken round by round.
Started by scripts/compare_llama_cpp.sh, which provides llama.cpp.
"""
import argparse
import ctypes
import json
import random
import statistics
import subprocess
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="scripts/compare_llama_cpp.sh")
    parser.add_argument("--model", help="GGUF file; default: the model of the quick start")
    parser.add_argument("--threads", default="1,2", help="thread counts, separated by commas (default: %(default)s)")
    parser.add_argument("-p", "--prompt", type=int, default=512, help="tokens of prefill (default: %(default)s)")
    parser.add_argument("-n", "--generate", type=int, default=128, help="tokens to decode (default: %(default)s)")
    parser.add_argument("-r", "--rounds", type=int, default=5, help="runs of both engines (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print a JSON report")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--default-model", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--peer-run", type=int, help=argparse.SUPPRESS)  # threads; measures llama.cpp once
    options = parser.parse_args()
    options.model = options.model or options.default_model
    return options


def run_peer(options):
    """One prefill and one decode of llama.cpp, in a process of their own as the worker's; prints JSON."""
    import llama_cpp

    silence = llama_cpp.llama_log_callback(lambda level, text, data: None)  # must outlive the model
    llama_cpp.llama_log_set(silence, ctypes.c_void_p(0))
    threads = options.peer_run
    model = llama_cpp.Llama(
        options.model, n_ctx=options.prompt + options.generate + 64, n_batch=512, n_ubatch=512,
        n_threads=threads, n_threads_batch=threads, verbose=False,
    )
    picks = random.Random(1)
    tokens = [picks.randrange(10, model.n_vocab() - 10) for _ in range(options.prompt + options.generate)]

    def rate(n, work):
        start = time.perf_counter()
        work()
        return n / (time.perf_counter() - start)

    def decode():
        for token in tokens[options.prompt:]:
            model.eval([token])

    model.eval(tokens[:options.prompt])  # warms caches and threads
    model.reset()
    prefill = rate(options.prompt, lambda: model.eval(tokens[:options.prompt]))
    model.reset()
    model.eval(tokens[:1])
    print(json.dumps({"prefill": prefill, "decode": rate(options.generate, decode)}))


def measure_peer(options, threads):
    command = [sys.executable, __file__, *sys.argv[1:], "--peer-run", str(threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_worker(options, threads):
    command = [options.binary, "bench", "--model", options.model, "--threads", str(threads), "--prompt",
               str(options.prompt), "--generate", str(options.generate), "--repetitions", "1", "--json",
               "--log-level", "error"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"prefill": report["prefill"]["median"], "decode": report["decode"]["median"],
            "read_gb_s": report["read_gb_s"], "bytes_per_step": report["decode"]["bytes_per_step"]}


def compare(options, threads):
    peer, worker = [], []
    for _ in range(options.rounds):
        peer.append(measure_peer(options, threads))
        worker.append(measure_worker(options, threads))
    result = {"threads": threads}
    for phase in ("prefill", "decode"):
        ratios = sorted(w[phase] / p[phase] for p, w in zip(peer, worker))
        result[phase] = {
            "llama_cpp_tok_s": statistics.median(p[phase] for p in peer),
            "worker_tok_s": statistics.median(w[phase] for w in worker),
            "ratio": statistics.median(ratios), "least_ratio": ratios[0], "most_ratio": ratios[-1],
        }
    read_gb_s = max(w["read_gb_s"] for w in worker)
    bytes_per_step = worker[0]["bytes_per_step"]
    result["read_gb_s"] = read_gb_s
    for engine in ("llama_cpp", "worker"):
        gb_s = bytes_per_step * result["decode"][f"{engine}_tok_s"] / 1e9
        result[f"{engine}_share_of_read_bandwidth"] = gb_s / read_gb_s
    return result


def show(result, rounds):
    for phase in ("prefill", "decode"):
        r = result[phase]
        print(f"{result['threads']:>7} {phase:>8} {r['llama_cpp_tok_s']:>12.1f} {r['worker_tok_s']:>12.1f} "
              f"{r['ratio']:>7.2f}  ({r['least_ratio']:.2f} to {r['most_ratio']:.2f} in {rounds} rounds)")
    print(f"{'':>16} decoding reaches {100 * result['worker_share_of_read_bandwidth']:.0f} % of the "
          f"{result['read_gb_s']:.1f} GB/s this machine reads "
          f"(llama.cpp {100 * result['llama_cpp_share_of_read_bandwidth']:.0f} %)", flush=True)


def main():
    options = arguments()
    if options.peer_run:
        return run_peer(options)
    results = []
    if not options.json:
        print(f"{options.model}\n{options.prompt} tokens of prefill, {options.generate} of decoding, tokens/s")
        print(f"{'threads':>7} {'':>8} {'llama.cpp':>12} {'this worker':>12} {'ratio':>7}", flush=True)
    for threads in map(int, options.threads.split(",")):
        results.append(compare(options, threads))
        if not options.json:
            show(results[-1], options.rounds)
    if options.json:
        print(json.dumps({"model": options.model, "results": results}))


if __name__ == "__main__":
    main()
