"""The subcommands as a user types them."""
import json
import os
import pty
import select
import signal
import struct
import subprocess
import time

import pytest

from conftest import BINARY, FIXTURES, MODEL, ROOT


def test_help_version_and_usage(cli):
    assert "serve" in cli("--help").stdout
    assert cli("--version").stdout.startswith("llm-worker-rbee ")
    assert "llm-worker-rbee" in cli("--build-info").stdout
    for command in ("serve", "run", "inspect", "eval", "tokenize", "perplexity", "bench", "imatrix"):
        assert "--model" in cli(command, "--help").stdout or "MODEL" in cli(command, "--help").stdout
    cli("no-such-command", code=2)
    cli("eval", "--model", MODEL, code=2)
    cli("eval", "--model", "/no/such/file.gguf", "--tokens", "1", code=1)


def test_eval_writes_logits(cli, tmp_path):
    out = tmp_path / "logits.npy"
    model = FIXTURES / "llama3"
    golden = json.loads((model / "golden.json").read_text())
    report = json.loads(
        cli("eval", "--model", model, "--tokens-file", model / "golden.json", "--device", "ref", "--chunk", 3,
            "--greedy", 16, "--logits", out).stdout
    )
    assert report["tokens"] == golden["prompt"]
    assert [p["pos"] for p in report["positions"]] == list(range(len(golden["prompt"])))
    assert report["greedy"] == golden["greedy"]["tokens"]
    data = out.read_bytes()
    header = 10 + struct.unpack("<H", data[8:10])[0]
    assert header % 64 == 0 and f"({len(golden['prompt'])}, 304)".encode() in data[:header]
    last = struct.unpack("<304f", data[-304 * 4:])
    assert max(abs(a - b) for a, b in zip(last, golden["last_logits"])) < golden["tolerance"]["f32"]


def test_tokenize_both_ways(cli):
    text = "Hello, wörld! 123 \U0001f600\n"
    ids = json.loads(cli("tokenize", "--model", MODEL, stdin=text).stdout)
    assert cli("tokenize", "--model", MODEL, "--decode", stdin=json.dumps(ids)).stdout == text
    lines = cli("tokenize", "--model", MODEL, "--jsonl", stdin='"a b"\n"c"\n').stdout.splitlines()
    back = cli("tokenize", "--model", MODEL, "--jsonl", "--decode", stdin="\n".join(lines)).stdout.splitlines()
    assert [json.loads(line) for line in back] == ["a b", "c"]
    cli("tokenize", "--model", MODEL, "--jsonl", stdin="not json\n", code=2)
    for bad in ("", "not json", '{"a": 1}', '["x"]'):
        assert "token ids" in cli("tokenize", "--model", MODEL, "--decode", stdin=bad, code=2).stderr


def test_inspect(cli):
    report = json.loads(cli("inspect", MODEL, "--json").stdout)
    assert report["family"] == "llama" and report["format"] == "gguf"
    assert report["parameters"] == 134515008 and report["context"] == 8192
    assert "Q4_1" in report["types"] and report["tokenizer"]["vocab_size"] == 49152
    assert "context" in cli("inspect", FIXTURES / "yi").stdout


def test_inspect_counts_what_serving_takes(cli):
    memory = json.loads(cli("inspect", MODEL, "--json").stdout)["memory"]
    bench = json.loads(cli("bench", "--model", MODEL, "-p", 0, "-n", 1, "-r", 1, "--json").stdout)
    assert memory["weights_bytes"] == bench["weights_bytes"]
    # 30 layers, 3 heads of 64, keys and values of two bytes each: the weights are quantised
    assert memory["state_bytes_per_token"] == 30 * 3 * 64 * 2 * 2
    assert memory["total_bytes"] == memory["weights_bytes"] + 8192 * memory["state_bytes_per_token"]


def test_run_answers_a_piped_prompt(cli):
    done = cli("run", MODEL, "--temperature", 0, "-n", 40, stdin="What is 2+2?")
    assert "is 4." in done.stdout and "tokens/s" in done.stderr
    report = json.loads(cli("run", MODEL, "What is 2+2?", "--temperature", 0, "-n", 10, "--json").stdout)
    assert report["completion_tokens"] <= 10 and report["text"]


def test_a_draft_model_changes_no_answer(cli):
    args = ("run", MODEL, "Name three primary colors.", "--temperature", 0, "-n", 40, "--json")
    plain = json.loads(cli(*args, "--speculate", "never").stdout)
    drafted = json.loads(cli(*args, "--speculate", "always", "--draft-model", MODEL).stdout)
    assert drafted["text"] == plain["text"]
    assert plain["guessed_tokens"] == 0 and drafted["drafts_kept"] > 10
    refused = cli(*args, "--draft-model", FIXTURES / "llama3", code=1)
    assert "draft model" in refused.stderr and "49152 tokens" in refused.stderr


def test_weights_may_stay_in_the_file(cli):
    args = ("run", MODEL, "Name three primary colors.", "--temperature", 0, "-n", 20, "--json")
    packed, in_place = cli(*args), cli(*args, "--no-repack")
    assert json.loads(in_place.stdout)["text"] == json.loads(packed.stdout)["text"]


def read_until(fd, wanted, seconds=30):
    seen = b""
    deadline = time.monotonic() + seconds
    while wanted not in seen:
        left = deadline - time.monotonic()
        assert left > 0, f"waited for {wanted!r}, saw {seen[-500:]!r}"
        if select.select([fd], [], [], left)[0]:
            seen += os.read(fd, 65536)
    return seen


def test_run_on_a_terminal_survives_ctrl_c(tmp_path):
    master, slave = pty.openpty()
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm"}
    # Counting on has no end of its own: only Ctrl-C ends this answer.
    command = [str(BINARY), "run", MODEL, "--raw", "--temperature", "0"]
    chat = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
    try:
        read_until(master, b">>> ")
        os.write(master, b"Count from one: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,\n")
        read_until(master, b" 20,")
        os.kill(chat.pid, signal.SIGINT)
        if b">>> " not in read_until(master, b"tokens/s").partition(b"tokens/s")[2]:
            read_until(master, b">>> ")
        os.write(master, b"half a line")
        read_until(master, b"half a line")
        os.kill(chat.pid, signal.SIGINT)  # drops the line
        read_until(master, b">>> ")
        os.write(master, b"/bye\n")
        assert chat.wait(30) == 0
        assert "Count from one" in (tmp_path / "llm-worker-rbee/history").read_text().replace("\\040", " ")
    finally:
        chat.kill()
        os.close(master), os.close(slave)


def test_bench_reports(cli):
    report = json.loads(cli("bench", "--model", FIXTURES / "llama3/model.gguf", "-p", 32, "-n", 8, "-r", 2, "--json").stdout)
    assert report["prefill"]["n"] == 32 and len(report["decode"]["tok_s"]) == 2
    assert report["decode"]["median"] > 0 and report["read_gb_s"] > 0


def test_perplexity_is_within_one_percent_of_llama_cpp(cli):
    """The reference value is llama.cpp's for the same file, model and context (tests/data/text/README.md)."""
    text = ROOT / "tests/data/text/us_founding_documents.txt"
    report = json.loads(cli("perplexity", "--model", MODEL, "--file", text, "--ctx", 512, "--json").stdout)
    reference = json.loads((ROOT / "tests/data/text/perplexity.json").read_text())["smollm2:135m"]
    assert report["perplexity"] == pytest.approx(reference, rel=0.01)


def test_convert(cli, tmp_path):
    small = tmp_path / "small.gguf"
    report = json.loads(cli("convert", MODEL, small, "--type", "q4_0", "--json").stdout)
    assert report["files"] == [str(small)] and report["bytes"] == small.stat().st_size
    assert report["architecture"] == "llama" and report["types"]["Q4_0"]["tensors"] > 200
    text = "The capital of France is"
    assert cli("tokenize", "--model", small, stdin=text).stdout == cli("tokenize", "--model", MODEL, stdin=text).stdout
    best = json.loads(cli("eval", "--model", small, "--text", text, "--last").stdout)["positions"][0]["top"]
    assert json.loads(cli("tokenize", "--model", small, stdin=" Paris").stdout) in [[token] for token, _ in best]
    assert "--force" in cli("convert", MODEL, small, code=1).stderr
    assert "q4_k_m" in cli("convert", MODEL, small, "--type", "q9", "--force", code=1).stderr
    cli("convert", MODEL, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["small.gguf"]
