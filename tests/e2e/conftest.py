"""Fixtures for the end-to-end tests: the real binary, the real default model, real clients."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("RBEE_BINARY", ROOT / "build/release/bin/llm-worker-rbee"))
MODEL = "smollm2:135m"
FIXTURES = ROOT / "tests/data/fixtures"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Worker:
    """A running worker process and what tests ask of it."""

    def __init__(self, *flags, model=MODEL, env=None):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        command = [str(BINARY), "--worker-id", "e2e", "--model", str(model), "--port", str(self.port), *flags]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )

    def get(self, path, timeout=30):
        with urllib.request.urlopen(self.base + path, timeout=timeout) as reply:
            return reply.read().decode()

    def wait_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"worker ended: {self.process.stderr.read()}"
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                self.get("/health")
                return self
            time.sleep(0.05)
        raise AssertionError("worker not ready in time")

    def resident_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode


@pytest.fixture(scope="session")
def worker():
    running = Worker("--local-mode").wait_ready()
    yield running
    assert running.stop() == 0


@pytest.fixture
def start_worker():
    """Starts workers with flags of the test's choice and stops them afterwards."""
    started = []

    def start(*flags, **kwargs):
        started.append(Worker(*flags, **kwargs))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def cli():
    def run(*args, stdin="", code=0, timeout=300):
        done = subprocess.run(
            [str(BINARY), *map(str, args)], input=stdin, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
        return done

    return run
