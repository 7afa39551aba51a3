"""A client of the rbee worker protocol that reads lines the way rbee's own client does."""
import http.client
import json


def post(worker, path, body, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=60)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
    reply = connection.getresponse()
    return reply.status, reply.read().decode()


def stream_lines(worker, path, headers=None):
    """Strips 'data: ' and skips empty lines; every other line is payload, whatever it is."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=60)
    connection.request("GET", path, headers=headers or {})
    reply = connection.getresponse()
    assert reply.status == 200, reply.read()
    for raw in reply:
        line = raw.decode().rstrip("\r\n")
        if line:
            yield line.removeprefix("data: ")


def run_job(worker, body, path="/v1/jobs"):
    """Returns all events of a job, [DONE] checked and removed."""
    status, text = post(worker, path, body)
    assert status == 200, text
    lines = list(stream_lines(worker, json.loads(text)["sse_url"]))
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def text_of(events):
    return "".join(event["t"] for event in events if event["type"] == "token")
