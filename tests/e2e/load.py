"""Closed-loop load: a number of clients, each asking again as soon as it has its answer."""

import threading
import time

import openai


class Load:
    """Runs clients until told to stop and keeps what came of every request."""

    def __init__(self, host, clients, max_tokens=24, stream=True, prompt="Request {number}: once upon a time"):
        self.host, self.stream, self.max_tokens, self.prompt = host, stream, max_tokens, prompt
        self.failures, self.answers, self.tokens, self.first_token_s = [], 0, 0, []
        self._number, self._lock, self._stopping = 0, threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask_again_and_again, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join(150)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"

    def _ask_again_and_again(self):
        client = self.host.client()
        while not self._stopping.is_set():
            with self._lock:
                self._number += 1
                number = self._number
            started = time.monotonic()
            try:
                first, tokens = self._ask(client, number, started)
                with self._lock:
                    self.answers += 1
                    self.tokens += tokens
                    if first is not None:
                        self.first_token_s.append((started, first))
            except openai.OpenAIError as failure:
                with self._lock:
                    self.failures.append(failure)
                time.sleep(0.05)

    def _ask(self, client, number, started):
        asked = dict(model=self.host.model, prompt=self.prompt.format(number=number), max_tokens=self.max_tokens)
        if not self.stream:
            return None, client.completions.create(**asked).usage.completion_tokens
        first, tokens, finished = None, 0, False
        for chunk in client.completions.create(stream=True, **asked):
            if chunk.choices and chunk.choices[0].text:
                first = first or time.monotonic() - started
                tokens += 1
            finished = finished or bool(chunk.choices and chunk.choices[0].finish_reason)
        assert finished, "a stream ended without a finish reason"
        return first, tokens

    def tokens_per_second(self, seconds):
        """Generated tokens per second over the next `seconds`."""
        before, started = self.tokens, time.monotonic()
        time.sleep(seconds)
        return (self.tokens - before) / (time.monotonic() - started)
