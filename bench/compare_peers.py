"""Speed of llama.cpp and of this worker on the same model files, measured in turns.

A machine's speed drifts, so each round runs both engines one after the other, and the ratio is taken round by round.
Started by scripts/compare_peers.sh, which provides llama.cpp and the files.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path


def numbers(text):
    return [int(part) for part in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="scripts/compare_peers.sh")
    parser.add_argument("--model", action="append", help="GGUF file, once or more; default: that of the quick start")
    parser.add_argument("--threads", type=numbers, default=[2], help="thread counts, by commas (default: 2)")
    parser.add_argument("-p", "--prompt", type=int, default=256, help="tokens of prefill (default: %(default)s)")
    parser.add_argument("-n", "--generate", type=int, default=64, help="tokens to decode (default: %(default)s)")
    parser.add_argument("-b", "--batch", type=numbers, default=[1], help="sequences at once, by commas (default: 1)")
    parser.add_argument("-d", "--depth", type=numbers, default=[0], help="tokens before, by commas (default: 0)")
    parser.add_argument("-r", "--rounds", type=int, default=5, help="runs of both engines (default: %(default)s)")
    parser.add_argument("--cpu-isa", default="", help="instruction set of this worker (llama.cpp's is that of its build)")
    parser.add_argument("--start", action="store_true", help="measure the time from start to first token instead")
    parser.add_argument("--busy", action="store_true", help="measure with another process busy on the last core")
    parser.add_argument("--json", action="store_true", help="print a JSON report")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--peer-run", help=argparse.SUPPRESS)  # a case as JSON; measures llama.cpp once
    return parser.parse_args()


class Peer:
    """llama.cpp by its C interface: the classes of llama-cpp-python copy logits after each step."""

    def __init__(self, case):
        import llama_cpp as api

        self.api, self.batch = api, case["batch"]
        self.silence = api.llama_log_callback(lambda level, text, data: None)
        api.llama_log_set(self.silence, None)
        api.llama_backend_init()
        self.model = api.llama_model_load_from_file(case["model"].encode(), api.llama_model_default_params())
        params = api.llama_context_default_params()
        length = case["depth"] + max(case["prompt"], case["generate"]) + 64
        params.n_ctx = (length + 255) // 256 * 256 * self.batch
        params.n_batch, params.n_ubatch, params.n_seq_max = max(512, self.batch), 512, self.batch
        params.n_threads = params.n_threads_batch = case["threads"]
        self.context = api.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit("llama.cpp has no memory for this")
        self.vocab_size = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))
        self.picks = random.Random(1)
        self.space = api.llama_batch_init(params.n_batch, 0, 1)
        self.lengths = [0] * self.batch

    def step(self, sequences, n):
        """n tokens for each of the sequences; logits of the last one."""
        at = 0
        for sequence in sequences:
            for i in range(n):
                self.space.token[at] = self.picks.randrange(self.vocab_size)
                self.space.pos[at] = self.lengths[sequence] + i
                self.space.n_seq_id[at] = 1
                self.space.seq_id[at][0] = sequence
                self.space.logits[at] = i + 1 == n
                at += 1
            self.lengths[sequence] += n
        self.space.n_tokens = at
        if self.api.llama_decode(self.context, self.space) != 0:
            sys.exit("llama.cpp failed to decode")

    def prefill(self, n):
        for sequence in range(self.batch):
            for begin in range(0, n, 512):
                self.step([sequence], min(512, n - begin))

    def rewind(self, depth):
        memory = self.api.llama_get_memory(self.context)
        for sequence in range(self.batch):
            self.api.llama_memory_seq_rm(memory, sequence, depth, -1)
            self.lengths[sequence] = depth


def run_peer(case):
    """Prefill and decode once, in a process of their own as the worker's; prints JSON."""
    start = time.perf_counter()
    peer = Peer(case)
    if case["start"]:
        peer.step([0], 1)
        print(json.dumps({"start": time.perf_counter() - start}))
        return

    def rate(n, work):
        begin = time.perf_counter()
        work()
        return n * case["batch"] / (time.perf_counter() - begin)

    depth, everyone = case["depth"], range(case["batch"])
    peer.prefill(depth)
    peer.prefill(case["prompt"])  # warms caches and threads
    peer.rewind(depth)
    report = {"prefill": rate(case["prompt"], lambda: peer.prefill(case["prompt"]))}
    peer.rewind(depth)
    report["decode"] = rate(case["generate"], lambda: [peer.step(everyone, 1) for _ in range(case["generate"])])
    print(json.dumps(report))


def output_of(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_peer(options, case):
    return output_of([sys.executable, __file__, "--binary", "", "--peer-run", json.dumps(case)])


def measure_worker(options, case):
    common = ["--model", case["model"], "--threads", str(case["threads"]), "--log-level", "error"]
    if options.cpu_isa:
        common += ["--cpu-isa", options.cpu_isa]
    if case["start"]:
        begin = time.perf_counter()
        with subprocess.Popen([options.binary, "eval", *common, "--tokens", "1", "--last"], stdout=subprocess.PIPE) as worker:
            json.loads(worker.stdout.readline())
            seconds = time.perf_counter() - begin  # giving the memory back is not counted, here and for the peer
        if worker.returncode != 0:
            raise subprocess.CalledProcessError(worker.returncode, worker.args)
        return {"start": seconds}
    report = output_of([options.binary, "bench", *common, "-p", str(case["prompt"]), "-n", str(case["generate"]), "--depth",
                        str(case["depth"]), "--batch", str(case["batch"]), "--repetitions", "1", "--json"])
    return {"prefill": report["prefill"]["median"], "decode": report["decode"]["median"],
            "read_gb_s": report["read_gb_s"], "bytes_per_step": report["decode"]["bytes_per_step"]}


def compare(options, case):
    peer, worker = [], []
    for _ in range(options.rounds):
        peer.append(measure_peer(options, case))
        worker.append(measure_worker(options, case))
    result = dict(case)
    for phase in ["start"] if case["start"] else ["prefill", "decode"]:
        ratios = sorted(w[phase] / p[phase] for p, w in zip(peer, worker))
        result[phase] = {
            "llama_cpp": statistics.median(p[phase] for p in peer),
            "worker": statistics.median(w[phase] for w in worker),
            "ratio": statistics.median(ratios), "least_ratio": ratios[0], "most_ratio": ratios[-1],
        }
    if not case["start"]:  # of each round, as the bandwidth drifts too
        shares = [w["decode"] / case["batch"] * w["bytes_per_step"] / 1e9 / w["read_gb_s"] for w in worker]
        result["share_of_read_bandwidth"] = statistics.median(shares)
        result["read_gb_s"] = statistics.median(w["read_gb_s"] for w in worker)
    return result


def show(result):
    what = Path(result["model"]).stem
    for phase in ("start", "prefill", "decode"):
        if phase not in result or not isinstance(result[phase], dict):
            continue
        r = result[phase]
        unit, digits = ("s", 2) if phase == "start" else ("tok/s", 1)
        end = ""
        if phase == "decode" and result["batch"] == 1:
            end = f"{100 * result['share_of_read_bandwidth']:.0f} % of {result['read_gb_s']:.1f} GB/s"
        print(f"| {what} | {result['threads']} | {result['batch']} | {result['depth']} | {phase} {unit} "
              f"| {r['llama_cpp']:.{digits}f} | {r['worker']:.{digits}f} "
              f"| {r['ratio']:.2f} ({r['least_ratio']:.2f}–{r['most_ratio']:.2f}) | {end} |", flush=True)


@contextmanager
def busy_neighbour(wanted):
    if not wanted:
        yield
        return
    core = max(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", spin])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main():
    options = arguments()
    if options.peer_run:
        return run_peer(json.loads(options.peer_run))
    results = []
    if not options.json:
        print("| model | threads | batch | depth | | llama.cpp | this worker | ratio (spread) | of read bandwidth |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with busy_neighbour(options.busy):
        for model in options.model:
            for threads in options.threads:
                for batch in options.batch:
                    for depth in options.depth:
                        case = {"model": model, "threads": threads, "batch": batch, "depth": depth,
                                "prompt": options.prompt, "generate": options.generate, "start": options.start}
                        results.append(compare(options, case))
                        if not options.json:
                            show(results[-1])
    if options.json:
        print(json.dumps({"rounds": options.rounds, "busy": options.busy, "results": results}))


if __name__ == "__main__":
    main()
