"""The rbee worker protocol, all generations, through a line parser."""
import json
import re
import subprocess
import urllib.error

import pytest

from rbee_client import post, run_job, stream_lines, text_of

TAGGED = {
    "operation": "infer", "hive_id": "h", "model": "any", "prompt": "The capital of France is",
    "max_tokens": 12, "temperature": 0.0, "stream": True,
}
FLAT = {"prompt": "The capital of France is", "max_tokens": 12, "temperature": 0.0}


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/inference"])
@pytest.mark.parametrize("body", [TAGGED, FLAT], ids=["tagged", "flat"])
def test_both_bodies_on_both_paths(worker, path, body):
    events = run_job(worker, body, path)
    assert [e["type"] for e in events[:2]] == ["started", "token"]
    assert events[-1]["type"] == "end"
    assert events[-1]["tokens_out"] == 12 and events[-1]["stop_reason"] == "MAX_TOKENS"
    assert [e["i"] for e in events if e["type"] == "token"] == list(range(len(events) - 2))
    assert text_of(events).startswith(" Paris")


def test_reply_and_stream_bytes(worker):
    status, text = post(worker, "/v1/jobs", TAGGED)
    reply = json.loads(text)
    assert status == 200 and list(reply) == ["job_id", "sse_url"]
    assert re.fullmatch(r"job-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", reply["job_id"])
    assert reply["sse_url"] == f"/v1/jobs/{reply['job_id']}/stream"
    lines = list(stream_lines(worker, reply["sse_url"]))
    started = json.loads(lines[0])
    assert list(started) == ["type", "job_id", "model", "started_at"]
    assert started["started_at"].isdigit() and started["model"] == "smollm2:135m"
    for line in lines[1:-2]:
        assert re.fullmatch(r'\{"type":"token","t":".*","i":\d+\}', line)
    assert list(json.loads(lines[-2]))[:4] == ["type", "tokens_out", "decode_time_ms", "stop_reason"]
    assert lines[-1] == "[DONE]"


def test_curl_sees_plain_data_lines(worker):
    _, text = post(worker, "/v1/jobs", TAGGED)
    done = subprocess.run(
        ["curl", "-sN", "-i", worker.base + json.loads(text)["sse_url"]], capture_output=True, timeout=60
    )
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    assert "200 OK" in head and re.search(r"(?im)^content-type: text/event-stream\r?$", head)
    assert "\r" not in body and all(line == "" or line.startswith("data: ") for line in body.split("\n"))
    assert body.endswith("data: [DONE]\n\n")


def test_stop_sequence_and_seed(worker):
    events = run_job(worker, {**FLAT, "max_tokens": 64, "stop": ["Paris"]})
    assert events[-1]["stop_reason"] == "STOP_SEQUENCE" and events[-1]["stop_sequence_matched"] == "Paris"
    assert "Paris" not in text_of(events)
    sampled = {**FLAT, "temperature": 1.0, "seed": 7, "max_tokens": 24}
    assert text_of(run_job(worker, sampled)) == text_of(run_job(worker, sampled))
    assert text_of(run_job(worker, sampled)) != text_of(run_job(worker, {**sampled, "seed": 8}))


def test_second_reader_and_unknown_job(worker):
    _, text = post(worker, "/v1/jobs", TAGGED)
    url = json.loads(text)["sse_url"]
    list(stream_lines(worker, url))
    with pytest.raises(urllib.error.HTTPError) as refused:
        worker.get(url)
    assert refused.value.code in (404, 500)
    with pytest.raises(urllib.error.HTTPError) as unknown:
        worker.get("/v1/jobs/job-00000000-0000-4000-8000-000000000000/stream")
    assert unknown.value.code == 404


def test_violations_are_listed(worker):
    status, text = post(worker, "/v1/inference", {"prompt": "", "max_tokens": 0, "temperature": 3.0, "top_p": 2})
    assert status == 400
    errors = json.loads(text)["errors"]
    assert [e["field"] for e in errors] == ["prompt", "max_tokens", "temperature", "top_p"]


def test_health_ready_info(worker):
    assert json.loads(worker.get("/health"))["status"] == "healthy"
    ready = json.loads(worker.get("/v1/ready"))
    assert ready["ready"] is True and ready["state"] in ("idle", "busy") and ready["model_loaded"] is True
    info = json.loads(worker.get("/info"))
    assert {"id", "model_id", "device", "port", "status", "implementation", "version"} <= set(info)
