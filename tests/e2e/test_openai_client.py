"""The official OpenAI client against the real engine: every kind of answer, whole and streamed."""

import json
import threading
import urllib.request

import openai
import pytest
from host import wait_for


def test_models_lists_what_the_engine_serves(shared):
    models = shared.client().models.list().data
    assert [model.id for model in models] == [shared.model]


def test_a_completion_comes_with_text_and_usage(shared):
    answer = shared.client().completions.create(model=shared.model, prompt="The capital of France is", max_tokens=8, temperature=0)
    assert answer.choices[0].text.strip() and answer.usage.completion_tokens == 8


def test_a_chat_completion_comes_with_a_message(shared):
    answer = shared.client().chat.completions.create(
        model=shared.model, messages=[{"role": "user", "content": "Say hello."}], max_tokens=8)
    assert answer.choices[0].message.role == "assistant" and answer.usage.prompt_tokens > 0


def test_streams_arrive_in_pieces_and_end(shared):
    client = shared.client()
    stream = client.completions.create(model=shared.model, prompt="One, two, three,", max_tokens=12, stream=True)
    pieces = [choice for chunk in stream for choice in chunk.choices]
    assert len(pieces) >= 12 and pieces[-1].finish_reason == "length"
    stream = client.chat.completions.create(
        model=shared.model, messages=[{"role": "user", "content": "Count."}], max_tokens=12, stream=True,
        stream_options={"include_usage": True})
    chunks = list(stream)
    assert chunks[-1].usage.completion_tokens > 0


def test_answers_carry_where_they_came_from(shared):
    raw = shared.client().completions.with_raw_response.create(model=shared.model, prompt="Headers", max_tokens=2)
    headers = raw.headers
    assert headers["x-perfhost-request-id"] and headers["x-perfhost-provider"] == "local"
    assert headers["x-perfhost-strategy"].startswith("balanced@") and headers["x-perfhost-cache"] in ("miss", "bypass")
    assert "plan;dur=" in headers["server-timing"] and "connect;dur=" in headers["server-timing"]


def test_errors_of_perfhost_and_of_the_engine_reach_the_client(shared):
    client = shared.client()
    with pytest.raises(openai.BadRequestError) as wrong:
        client.completions.create(model="", prompt=None, max_tokens=2, extra_body={"stream": "yes"})
    assert "stream" in str(wrong.value) or "model" in str(wrong.value)
    # The engine serves no embeddings with this model; its own words come through.
    with pytest.raises(openai.APIStatusError) as refused:
        client.embeddings.create(model=shared.model, input="text")
    assert refused.value.status_code >= 400 and refused.value.response.headers["x-perfhost-provider"] == "local"


def test_the_same_question_is_answered_from_the_cache_in_both_forms(shared):
    client = shared.client()
    asked = dict(model=shared.model, prompt="The first month of the year is", max_tokens=8, temperature=0)
    first = client.completions.with_raw_response.create(**asked)
    again = client.completions.with_raw_response.create(**asked)
    assert (first.headers["x-perfhost-cache"], again.headers["x-perfhost-cache"]) == ("miss", "hit")
    assert first.text == again.text
    streamed = client.completions.with_raw_response.create(stream=True, **asked)
    text = "".join(choice.text for chunk in streamed.parse() for choice in chunk.choices)
    assert streamed.headers["x-perfhost-cache"] == "hit" and text == first.parse().choices[0].text


def test_equal_questions_at_once_are_generated_once(shared):
    asked = dict(model=shared.model, prompt="Equal questions at once", max_tokens=48, temperature=0)
    seen, lock = [], threading.Lock()

    def ask():
        raw = shared.client().completions.with_raw_response.create(**asked)
        with lock:
            seen.append((raw.headers["x-perfhost-cache"], raw.parse().choices[0].text))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted({how for how, _ in seen} - {"hit"}) == ["miss", "shared"] and len({text for _, text in seen}) == 1
    assert [how for how, _ in seen].count("miss") == 1


def test_a_client_that_hangs_up_stops_the_engine(shared):
    before = shared.engine()["metrics"]["tokens_predicted_total"]
    stream = shared.client().completions.create(
        model=shared.model, prompt="A very long story:", max_tokens=1500, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    wait_for("no slot busy", lambda: shared.engine()["metrics"]["slots_busy"] == 0, seconds=10)
    assert shared.engine()["metrics"]["tokens_predicted_total"] - before < 1000
    wait_for("nothing in flight", lambda: shared.api("/api/system/status")["admission"]["in_flight"] == 0, seconds=10)


def test_thirty_two_clients_at_once_all_get_their_answers(shared):
    answers, lock = [], threading.Lock()

    def ask(number):
        chunks = list(shared.client().completions.create(
            model=shared.model, prompt=f"Client {number} says", max_tokens=16, stream=True, extra_body={"ignore_eos": True}))
        with lock:
            answers.append((chunks[-1].choices[0].finish_reason, sum(1 for chunk in chunks if chunk.choices)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 32 and all(reason == "length" and count >= 16 for reason, count in answers)


def test_unknown_fields_reach_the_engine_and_its_answer_is_untouched(shared):
    # `timings_per_token` and `n_probs` are llama.cpp's own: only an untouched body makes them work.
    body = json.dumps({"model": shared.model, "prompt": "Bytes", "max_tokens": 4, "n_probs": 2, "unknown": {"a": [1, None]}}).encode()
    request = urllib.request.Request(shared.url + "/v1/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        value = json.load(answer)
    assert value["timings"]["predicted_n"] == 4 and value["choices"][0]["logprobs"]
