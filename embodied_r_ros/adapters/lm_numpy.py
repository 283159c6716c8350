"""The embedded reasoner: a small Qwen2 language model with a word-level tokenizer, run in numpy in this process."""

from __future__ import annotations

import functools
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from embodied_r_ros.adapters.lm import OnText
from embodied_r_ros.adapters.qwen2_numpy import Array, Qwen2Numpy
from embodied_r_ros.adapters.tokenizer import WordTokenizer
from embodied_r_ros.adapters.worker_thread import WorkerThread, in_this_loop
from embodied_r_ros.core.errors import BackendRefused, SettingsError
from embodied_r_ros.core.records import Completion, Generation

BEGIN = '<s>'
END = '</answer>'


class NumpyLanguageModel:
    """A LanguageModel over a Hugging Face folder: config.json (Qwen2ForCausalLM), model.safetensors, tokenizer.json.

    The prompt is '<s> ' and the content of the last message; the reply is its words joined with spaces, up to
    '</answer>', another stop string, an end token, `max_tokens` or the end of the context. Requests run one after
    another in one worker thread; what a prompt shares with the one before it is not computed again.

    The products are small: measured, a token of a model of 0.84 M parameters takes 0.25 ms with one BLAS thread and no
    less with two. Nothing is set here; OMP_NUM_THREADS=1 in the process leaves the other cores to others.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Read a model folder.

        Raises:
            SettingsError: it is missing or of the wrong kind; the message says what was found and wanted.
        """
        path = pathlib.Path(folder)
        self.name = path.resolve().name
        self._model = Qwen2Numpy(path)
        self._tokenizer = WordTokenizer.from_file(path / 'tokenizer.json')
        if len(self._tokenizer) > self._model.shape.vocabulary:
            raise SettingsError(
                f'the tokenizer in {str(path)!r} must fit the model, found token ids up to '
                f'{len(self._tokenizer) - 1!r} for {self._model.shape.vocabulary!r} embeddings'
            )
        if BEGIN not in self._tokenizer:
            raise SettingsError(f'the vocabulary of {str(path)!r} must hold {BEGIN!r}, which begins each prompt')
        self._thread = WorkerThread('reasoner')

    async def probe(self) -> None:
        """Nothing can be out of reach: the model was read when this was made."""

    async def ping(self) -> None:
        """The model is in this process."""

    async def aclose(self) -> None:
        """Stop a running generation and the thread."""
        self._thread.close()

    async def generate(self, request: Generation, on_text: OnText | None = None) -> Completion:
        """Reply to the last message.

        Cancelling the waiting task stops the model at the next token.

        Args:
            request: greedy at temperature 0, otherwise sampled with its seed.
            on_text: gets each word of the reply as it comes, with the space before it; called in the event loop.

        Raises:
            BackendRefused: the prompt is longer than the model's context, or names options to choose from.
        """
        if request.options:
            raise BackendRefused(
                f'{self.name} answers after a thought alone, it was asked for one of {request.options!r}'
            )
        return await self._thread.run(functools.partial(self._reply, request, in_this_loop(on_text)))

    async def prefill(self, text: str) -> None:
        """Read the beginning of the next prompt's message, so that only the rest is left to read then.

        Raises:
            BackendUnavailable: the model was closed.
        """
        ids = self._tokenizer.encode(f'{BEGIN} {text}')[: self._model.shape.context]
        await self._thread.run(lambda cancelled: self._model.prefill(ids))

    def generate_ids(
        self, prompt: Sequence[int], *, temperature: float = 0.0, seed: int = 0, max_tokens: int = 2048
    ) -> Iterator[int]:
        """Token ids that continue a prompt, end token left out, until the context is full. Not thread-safe.

        Args:
            prompt: token ids, at least one.
            temperature: 0.0 is greedy.
            seed: of the sampling.
            max_tokens: of the continuation.

        Raises:
            BackendRefused: the prompt is empty or longer than the model's context.
        """
        context = self._model.shape.context
        if not 0 < len(prompt) <= context:
            raise BackendRefused(
                f'the prompt must have 1 to {context} tokens, the context of {self.name}; got {len(prompt)!r}; '
                'ask about a shorter window or put fewer observations before it'
            )
        rng = np.random.default_rng(seed)
        self._model.prefill(prompt[:-1])
        token, first = prompt[-1], len(prompt) - 1
        for position in range(first, min(context, first + max_tokens)):
            token = _pick(self._model.step(token, position), temperature, rng)
            if token in self._model.shape.eos_ids:
                return
            yield token

    def _reply(self, request: Generation, on_text: OnText | None, cancelled: Callable[[], bool]) -> Completion:
        begun = time.monotonic()
        prompt = self._tokenizer.encode(f'{BEGIN} {request.messages[-1].content}')
        stops = (*request.stop, END)
        reach = max(map(len, stops))
        text, count, is_cut = '', 0, False
        room = min(request.max_tokens, self._model.shape.context - len(prompt) + 1)
        for token in self.generate_ids(
            prompt, temperature=request.temperature, seed=request.seed, max_tokens=request.max_tokens
        ):
            count += 1
            piece = (' ' if text else '') + self._tokenizer.word(token)
            before, text = text, _cut(text + piece, stops, max(0, len(text) - reach))
            if on_text is not None:
                on_text(text[len(before) :])
            if len(text) < len(before) + len(piece) or text.endswith(stops) or cancelled():
                break
            is_cut = count == room
        return Completion(text=text, tokens=count, latency_s=time.monotonic() - begun, is_cut=is_cut)


def _cut(text: str, stops: Sequence[str], start: int) -> str:
    """The text up to and with the first stop string that begins at `start` or later."""
    found = [at + len(stop) for stop in stops if stop and (at := text.find(stop, start)) >= 0]
    return text[: min(found)] if found else text


def _pick(logits: Array, temperature: float, rng: np.random.Generator) -> int:
    if temperature <= 0.0:
        return int(logits.argmax())
    weights = np.exp((logits.astype(np.float64) - float(logits.max())) / temperature)
    totals = np.cumsum(weights)
    return int(np.searchsorted(totals, rng.random() * totals[-1], side='right').clip(max=len(totals) - 1))
