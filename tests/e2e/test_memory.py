"""What does not fit into memory is refused at once, with numbers."""
import json
import os
import re
import subprocess
import time

import pytest

import sparse
from conftest import BINARY, free_port


@pytest.fixture(scope="module")
def deepseek_r1(tmp_path_factory):
    return sparse.write("DeepSeek-R1", tmp_path_factory.mktemp("deepseek-r1"))


def run(*args):
    """Exit code, standard error, seconds, and the most memory held, in MiB, page cache of the mapped header included."""
    start = time.monotonic()
    process = subprocess.Popen([str(BINARY), *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, error, time.monotonic() - start, usage.ru_maxrss / 1024


def test_inspect_plans_a_model_of_671_billion(cli, deepseek_r1):
    report = json.loads(cli("inspect", deepseek_r1, "--json").stdout)
    assert report["family"] == "deepseek" and report["parameters"] == 671026419200
    assert not report["memory"]["fits"] and report["memory"]["weights_bytes"] > 671e9
    assert "does not fit" in cli("inspect", deepseek_r1).stdout


@pytest.mark.parametrize("command", [
    ("serve", "--local-mode", "--port", free_port(), "--model"), ("run", "--max-tokens", 1), ("eval", "--tokens", "1", "--model")])
def test_what_does_not_fit_is_refused_with_numbers(deepseek_r1, command):
    code, error, seconds, mib = run(*command, deepseek_r1)
    assert code == 1
    numbers = re.search(r"memory: expected ([\d.]+) GiB \(([\d.]+) for weights, ([\d.]+) for the state of (\d+) tokens, "
                        r"([\d.]+) for activations\), found ([\d.]+) GiB available; ", error)
    assert numbers, error
    total, weights, state, _, activations, available = map(float, numbers.groups())
    assert total == pytest.approx(weights + state + activations, abs=0.03) and weights > 600 and available < total
    assert seconds < 20 and mib < 1024
