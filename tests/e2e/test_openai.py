"""The OpenAI routes through the official Python client."""
import openai
import pytest

QUESTION = [{"role": "user", "content": "What is 2+2?"}]


@pytest.fixture(scope="module")
def client(worker):
    return openai.OpenAI(base_url=worker.base + "/v1", api_key="none", max_retries=0)


def test_models(client):
    models = client.models.list().data
    assert [m.object for m in models] == ["model"]
    assert client.models.retrieve(models[0].id).id == models[0].id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_chat(client):
    reply = client.chat.completions.create(model="smollm2:135m", messages=QUESTION, max_tokens=40, temperature=0)
    assert reply.choices[0].message.content == "The answer to this classic math problem is 4."
    assert reply.object == "chat.completion" and reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_chat_streamed_equals_whole(client):
    arguments = dict(model="smollm2:135m", messages=QUESTION, max_tokens=40, temperature=0)
    whole = client.chat.completions.create(**arguments)
    chunks = list(client.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert len({c.id for c in chunks}) == 1


def test_system_and_parts(client):
    messages = [
        {"role": "developer", "content": "You are terse."},
        {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "2+2?"}]},
    ]
    reply = client.chat.completions.create(model="smollm2:135m", messages=messages, max_tokens=20, temperature=0)
    assert reply.choices[0].message.content


def test_stop_length_seed_n(client):
    arguments = dict(model="smollm2:135m", messages=QUESTION, temperature=1, seed=3, max_tokens=16)
    a = client.chat.completions.create(**arguments)
    b = client.chat.completions.create(**arguments)
    assert a.choices[0].message.content == b.choices[0].message.content
    cut = client.chat.completions.create(model="smollm2:135m", messages=QUESTION, temperature=0, stop="problem")
    assert cut.choices[0].finish_reason == "stop" and "problem" not in cut.choices[0].message.content
    short = client.chat.completions.create(model="smollm2:135m", messages=QUESTION, temperature=0, max_completion_tokens=2)
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 2
    several = client.chat.completions.create(**{**arguments, "n": 3})
    assert [c.index for c in several.choices] == [0, 1, 2]


def test_logprobs(client):
    reply = client.chat.completions.create(
        model="smollm2:135m", messages=QUESTION, temperature=0, max_tokens=4, logprobs=True, top_logprobs=3
    )
    content = reply.choices[0].logprobs.content
    assert len(content) == 4
    for token in content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == token.logprob  # greedy picks the best


def test_completions(client):
    reply = client.completions.create(model="smollm2:135m", prompt="The capital of France is", max_tokens=8, temperature=0)
    assert reply.object == "text_completion" and reply.choices[0].text.startswith(" Paris")
    streamed = client.completions.create(
        model="smollm2:135m", prompt="The capital of France is", max_tokens=8, temperature=0, stream=True
    )
    assert "".join(c.choices[0].text for c in streamed if c.choices) == reply.choices[0].text


@pytest.mark.parametrize(
    "change, error",
    [
        ({"temperature": -1}, openai.BadRequestError),
        ({"max_tokens": -5}, openai.BadRequestError),
        ({"messages": []}, openai.BadRequestError),
        ({"messages": [{"role": "king", "content": "x"}]}, openai.BadRequestError),
        ({"model": "gpt-4"}, openai.NotFoundError),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, openai.BadRequestError),
    ],
)
def test_errors(client, change, error):
    with pytest.raises(error) as caught:
        client.chat.completions.create(**{"model": "smollm2:135m", "messages": QUESTION, "max_tokens": 4, **change})
    assert caught.value.body["message"] and caught.value.body["type"]
