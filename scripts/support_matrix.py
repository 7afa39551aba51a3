#!/usr/bin/env python3
"""Writes docs/model-support.md from the reports that the conformance tests leave in build/release/conformance.

--check: compares instead, and fails when the document says anything else. Measured figures, which differ from machine
to machine, are left out of the comparison; what passed, and which models and formats there are, is not.
"""
import argparse
import collections
import json
import math
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/data/fixtures"
REPORTS = ROOT / "build/release/conformance"
BINARY = ROOT / "build/release/bin/llm-worker-rbee"
DOCUMENT = ROOT / "docs/model-support.md"
HEAD = """# What runs

Made by `scripts/support_matrix.py` from the results of the conformance tests; do not edit. Every row is a small model of
that family with random weights and the goldens of Hugging Face transformers beside it (tests/data/fixtures), run from
both formats on the `ref` and `cpu` backends. How many parameters released models have, and that each is recognised and
planned as it should be, is tested with files of their true shapes.

A tick says that all tests of that column passed:

- **safetensors**, **GGUF**: loads, and the logits of the whole prompt are those of transformers, within the golden's
  tolerance, with the prompt in chunks of 1, 3 and all tokens, on `ref` and on `cpu` with every instruction set. A dash:
  llama.cpp has no such file format for it, so that there is no reference file.
- **generate**: greedy decoding gives the same tokens, wherever the golden's margin exceeds the tolerance.
- **stream**: the engine gives tokens one by one, the same in a batch of eight mixed requests, with preemption and some of
  them cut, as alone, bit for bit.
- **reset**: nothing of one sequence is left in the cache for the next, bit for bit.
- **EOS**: the answer ends before an end token.
- **Q4, Q5, Q8**: the matrices of the safetensors are quantised while they are loaded (`--quantize`, Q4_0 and Q4_K_M, Q5_0 and
  Q5_K_M, Q8_0); `ref` then computes what the type leaves of the model, and `cpu`, with every instruction set, what `ref` does.
  Quantised files of a fixture are within the tolerance of their own goldens. A dash: blocks of 32 weights fill no row of
  this fixture; another of the same model has such rows.
"""


def read_reports():
    """{fixture folder: {test name: [test cases of gtest's report]}}"""
    reports = {}
    for path in sorted(REPORTS.glob("*.json")):
        tests = collections.defaultdict(list)
        for suite in json.loads(path.read_text())["testsuites"]:
            for case in suite["testsuite"]:
                test, _, parameter = case["name"].partition("/")
                case["parameter"] = parameter
                tests[test].append(case)
        reports[path.stem] = tests
    return reports


def verdict(cases):
    if not cases:
        return "–"
    return "✗" if any("failures" in case or case["result"] != "COMPLETED" for case in cases) else "✓"


def of_format(cases, folder, gguf):
    return [case for case in cases if case["parameter"].startswith(f"{folder}_safetensors") != gguf]


def worst(cases, device, figure="worst"):
    figures = [float(case[figure]) for case in cases if f"_{device}" in case["parameter"] and figure in case]
    return f"{max(figures):.1e}" if figures else "–"


def divergence(p, q):
    """KL(p || q) of the distributions that two lists of logits stand for."""
    def log_softmax(logits):
        total = math.log(math.fsum(math.exp(logit - max(logits)) for logit in logits)) + max(logits)
        return [logit - total for logit in logits]
    return math.fsum(math.exp(a) * (a - b) for a, b in zip(log_softmax(p), log_softmax(q)))


def quantised_rows(folder, tests):
    """One for each quantised file of a fixture."""
    def last_logits(name):
        return json.loads((FIXTURES / folder / name).read_text())["last_logits"]
    for golden in sorted((FIXTURES / folder).glob("golden-*.json")):
        kind = golden.stem.removeprefix("golden-")
        cases = [case for case in tests["PromptLogits"] if case["parameter"].startswith(f"{folder}_{kind}_")]
        yield [folder, kind, worst(cases, "ref"), worst(cases, "cpu"), worst(cases, "cpu", "divergence"),
               f"{divergence(last_logits('golden.json'), last_logits(golden.name)):.1e}"]


ON_LOAD = ["q4_0", "q5_0", "q8_0", "q4_k_m", "q5_k_m", "q6_k"]


def on_load_row(folder, tests):
    """The divergence that each mixture costs, given on load, and the largest one of cpu from ref with these weights."""
    cases = {case["parameter"].partition("__")[2]: case for case in tests["QuantisedOnLoad"]}
    if any("unchanged" in case for case in cases.values()):
        return None
    return [folder, *(f"{float(cases[mixture]['kl']):.1e}" for mixture in ON_LOAD),
            f"{max(float(case['divergence']) for case in cases.values()):.1e}"]


def measure(folder):
    """(state bytes per token, state bytes per sequence, tokens/s, peak MiB) of the small model, as a smoke figure."""
    model = str(FIXTURES / folder)
    plan = json.loads(subprocess.run([BINARY, "inspect", model, "--json"], check=True, capture_output=True).stdout)
    command = [str(BINARY), "bench", "--model", model, "-p", "32", "-n", "32", "-r", "3", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        report = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    memory = plan["memory"]
    over = usage.ru_maxrss / 1024 - memory["weights_bytes"] / 2**20
    return memory["state_bytes_per_token"], memory["state_bytes_per_sequence"], report["decode"]["median"], over


def check_row(model, folder, tests):
    prompts, serving = tests["PromptLogits"], tests["StreamsTheAnswerAndBeginsAnew"]
    columns = [verdict(of_format(prompts, folder, gguf=False)), verdict(of_format(prompts, folder, gguf=True)),
               verdict(tests["GreedyTokens"]), verdict(serving + tests["OthersAndPreemptionChangeNoBit"]),
               verdict(tests["FormerOwnersOfAPageDoNotMatter"] + serving), verdict(tests["EndsBeforeAnEndToken"])]
    for bits in "458":
        columns.append(verdict([case for case in prompts if case["parameter"].startswith(f"{folder}_Q{bits}")] +
                               [case for case in tests["QuantisedOnLoad"]
                                if f"__q{bits}" in case["parameter"] and "unchanged" not in case]))
    return [model, folder, *columns]


def figure_row(folder, tests, measured):
    prompts = tests["PromptLogits"]
    per_token, per_sequence, speed, over = measure(folder) if measured else (0, 0, 0, 0)
    return [folder, worst(prompts, "ref"), worst(prompts, "cpu"),
            f"{per_token:.0f}", f"{per_sequence:.0f}", f"{over:.0f}", f"{speed:.0f}"]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def render(reports, measured):
    families = json.loads((ROOT / "tests/data/families.json").read_text())
    pairs = [(entry["model"], folder) for entry in families for folder in entry["fixtures"]]
    listed, present = {folder for _, folder in pairs}, {path.name for path in FIXTURES.iterdir() if path.is_dir()}
    if listed != present:
        sys.exit(f"error: tests/data/families.json and tests/data/fixtures differ: {sorted(listed ^ present)}")
    missing = present - reports.keys()
    if missing:
        sys.exit(f"error: no report of {sorted(missing)}; run the tests: ctest --preset release -R conformance")
    checks = [check_row(model, folder, reports[folder]) for model, folder in pairs]
    figures = [figure_row(folder, reports[folder], measured) for _, folder in pairs]
    return "\n".join([
        HEAD,
        table(["model", "fixture", "safetensors", "GGUF", "generate", "stream", "reset", "EOS", "Q4", "Q5", "Q8"], checks),
        "## Figures\n",
        "Largest distance of a logit from the golden's (`cpu`: of all instruction sets; weights in bf16, activations\n"
        "rounded where AVX-512 multiplies bf16 pairs), bytes of state per token and per sequence, peak memory of the\n"
        "process over weights in MiB, and tokens per second of the small model, which says only that it runs.\n",
        table(["fixture", "ref", "cpu", "state/token", "state/sequence", "MiB", "tok/s"], figures),
        "## Quantised files\n",
        "Files as llama.cpp's tools write them. Largest distance of a logit from the golden of the same, dequantised weights:\n"
        "`ref` computes in float32, `cpu` rounds activations to 8 bits. KL: how far the distribution that `cpu` computes after\n"
        "the prompt is from the golden's, and how far the golden's is from that of the weights before quantisation.\n",
        table(["fixture", "type", "ref", "cpu", "KL of cpu", "KL of the type"],
              [row for _, folder in pairs for row in quantised_rows(folder, reports[folder])]),
        "## Quantised on load\n",
        "KL of `ref` with the matrices in that type from `ref` with those of the file, the median over the prompt's positions\n"
        "(with experts, of which rounding may choose others, the lower quartile), and the largest such KL of `cpu` from `ref`,\n"
        "both with the same quantised matrices. Most of these models have rows of 64, which the blocks of K types do not fill:\n"
        "they get types with blocks of 32 in their place.\n",
        table(["fixture", *ON_LOAD, "of cpu"],
              filter(None, (on_load_row(folder, reports[folder]) for _, folder in pairs)))])


def comparable(text):
    return re.sub(r"\d+(\.\d+)?(e[-+]\d+)?", "#", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the document instead of writing it")
    check = parser.parse_args().check
    text = render(read_reports(), measured=not check)
    if "✗" in text:
        sys.exit("error: tests of the matrix failed\n" + "\n".join(line for line in text.splitlines() if "✗" in line))
    if not check:
        DOCUMENT.write_text(text)
    elif comparable(text) != comparable(DOCUMENT.read_text()):
        sys.exit("error: docs/model-support.md is stale: run scripts/support_matrix.py")


if __name__ == "__main__":
    main()
