"""Many streams at once, a third of them cut by the client: the rest is as if alone, and nothing leaks."""
import concurrent.futures
import http.client
import json
import random
import time

from rbee_client import post, run_job, stream_lines, text_of

STREAMS = 32


def request(i):
    rng = random.Random(i)
    prompt = " ".join(rng.choice(["the", "river", "of", "time", "runs", "red", "and", "7"]) for _ in range(rng.randint(3, 400)))
    return {"prompt": prompt, "max_tokens": rng.randint(8, 96), "temperature": 0.8, "seed": i}


def cut_after(worker, body, seconds):
    """Opens the stream and leaves in the middle of it."""
    status, text = post(worker, "/v1/jobs", body)
    assert status == 200
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=60)
    connection.request("GET", json.loads(text)["sse_url"])
    time.sleep(seconds)
    connection.close()


def engine_idle(worker, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if json.loads(worker.get("/info"))["status"] == "ready":
            return True
        time.sleep(0.05)
    return False


def free_pages(worker):
    for line in worker.get("/metrics").splitlines():
        if line.startswith("worker_kv_pages_free "):
            return float(line.split()[1])
    raise AssertionError("no such metric")


def one_round(worker, solo):
    with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
        rng = random.Random(len(solo))
        running = {}
        for i in range(STREAMS):
            if i % 3 == 2:
                pool.submit(cut_after, worker, {**request(i), "max_tokens": 500}, rng.random())
            else:
                running[i] = pool.submit(run_job, worker, request(i))
        for i, future in running.items():
            assert text_of(future.result()) == solo[i], f"stream {i} differs from its solo run"


def test_thirty_two_streams(start_worker):
    # Pages cost memory once they were used: with a small cache the first rounds use them all (and preempt).
    worker = start_worker("--local-mode", "--cache-bytes", "256MB").wait_ready()
    solo = {i: text_of(run_job(worker, request(i))) for i in range(STREAMS) if i % 3 != 2}
    for _ in range(2):
        one_round(worker, solo)
        assert engine_idle(worker)
    settled = worker.resident_mib()
    pages = free_pages(worker)
    for _ in range(2):
        one_round(worker, solo)
        assert engine_idle(worker)
    assert free_pages(worker) == pages
    assert worker.resident_mib() < settled + 24
