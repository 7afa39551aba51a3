"""Start, readiness, authentication, shutdown, exit codes."""
import json
import time
import urllib.error
import urllib.request

import pytest

from conftest import FIXTURES
from rbee_client import post, stream_lines

TINY = FIXTURES / "smollm/model.gguf"


def test_listens_before_it_is_ready_and_then_is(start_worker):
    worker = start_worker("--local-mode")
    worker.wait_ready()
    assert json.loads(worker.get("/v1/ready"))["ready"] is True


def test_sigterm_ends_within_two_seconds_with_streams_open(start_worker):
    worker = start_worker("--local-mode").wait_ready()
    _, text = post(worker, "/v1/jobs", {"prompt": "Once", "max_tokens": 2000, "temperature": 0})
    lines = stream_lines(worker, json.loads(text)["sse_url"])
    next(lines), next(lines)
    start = time.monotonic()
    worker.process.terminate()
    rest = list(lines)
    assert worker.process.wait(30) == 0
    assert time.monotonic() - start < 2
    assert rest[-1] == "[DONE]"


def test_token_guards_everything_but_health(start_worker):
    worker = start_worker(model=TINY, env={"LLORCH_API_TOKEN": "secret"})
    worker.wait_ready()
    for path in ("/v1/models", "/v1/ready", "/info", "/nothing"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            worker.get(path)
        assert refused.value.code == 401
        assert json.loads(refused.value.read())["error"]["code"] in ("MISSING_API_KEY", "invalid_api_key")
    request = urllib.request.Request(worker.base + "/v1/models", headers={"Authorization": "Bearer secret"})
    assert urllib.request.urlopen(request, timeout=30).status == 200


@pytest.mark.parametrize(
    "flags, env, code",
    [
        (("--local-mode",), {"LLORCH_API_TOKEN": "x"}, 1),  # the two contradict each other
        (("--bind", "0.0.0.0"), {}, 1),  # a tokenless worker must not leave the machine
        (("--no-such-flag",), {}, 2),
    ],
)
def test_refuses_to_start(start_worker, flags, env, code):
    worker = start_worker(*flags, model=TINY, env={"LLORCH_API_TOKEN": "", **env})
    assert worker.process.wait(30) == code
    assert worker.process.stderr.read().strip()


def test_a_missing_or_broken_model_ends_with_a_message(start_worker, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(TINY.read_bytes()[:5000])
    for model in (tmp_path / "none.gguf", broken):
        worker = start_worker("--local-mode", model=model)
        assert worker.process.wait(30) == 1
        assert model.name in worker.process.stderr.read()


def test_flags_of_the_original_worker(start_worker):
    flags = ("--model-ref", "hf:x", "--backend", "cpu", "--device", "0", "--hive-url", "http://localhost:9999", "--local-mode")
    start_worker(*flags, model=TINY, env={"LLORCH_API_TOKEN": ""}).wait_ready()
