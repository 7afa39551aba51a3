"""Speed of every family: the small models of tests/data/fixtures on `cpu` and on `ref`, as a Markdown table.

A step of so small a model is mostly what is not arithmetic, so the figures say what a family's path costs, not how fast
released models are. Usage: python3 bench/families.py [--threads N]
"""
import argparse
import json
import re
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/data/fixtures"
BINARY = ROOT / "build/release/bin/llm-worker-rbee"
REPORTS = ROOT / "build/release/conformance"
PROMPT, GENERATE = 32, 16


def speed(model, device, threads):
    """(prefill, decode) in tokens a second, medians."""
    command = [BINARY, "bench", "--model", model, "--device", device, "--threads", str(threads), "--log-level", "error",
               "-p", str(PROMPT), "-n", str(GENERATE), "-r", "5" if device == "cpu" else "2", "--json"]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return report["prefill"]["median"], report["decode"]["median"]


def worst_error(fixture, device):
    """Largest distance from the golden logits in the conformance report, None where there is none."""
    report = REPORTS / f"{fixture}.json"
    if not report.exists():
        return None
    errors = [float(case["worst"]) for suite in json.loads(report.read_text())["testsuites"] for case in suite["testsuite"]
              if "worst" in case and re.search(rf"{device}\w*_\w+$", case["name"])]
    return max(errors, default=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    print("| fixture | prefill: `ref` | `cpu` | decode: `ref` | `cpu` | worst logit: `ref` | `cpu` |\n|---|---|---|---|---|---|---|")
    gains = []
    for folder in sorted(path for path in FIXTURES.iterdir() if path.is_dir()):
        ref, cpu = speed(folder, "ref", threads), speed(folder, "cpu", threads)
        gains.append(cpu[0] / ref[0])
        errors = [worst_error(folder.name, device) for device in ["ref", "cpu"]]
        errors = ["–" if error is None else f"{error:.1e}" for error in errors]
        print(f"| {folder.name} | {ref[0]:.0f} | {cpu[0]:.0f} | {ref[1]:.0f} | {cpu[1]:.0f} | {errors[0]} | {errors[1]} |",
              flush=True)
    print(f"\nPrefill on `cpu` beside `ref`: {statistics.median(gains):.1f} times in the median.")


if __name__ == "__main__":
    main()
