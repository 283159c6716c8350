"""A language model through transformers in this process: for a GPU without a model server (extra `[transformers]`)."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import dataclasses
import importlib
import inspect
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from embodied_r_ros.adapters.lm import OnText
from embodied_r_ros.adapters.repetition import Repetition, endless
from embodied_r_ros.adapters.weights import check_folder
from embodied_r_ros.adapters.worker_thread import WorkerThread, in_this_loop
from embodied_r_ros.core.errors import BackendError, BackendRefused, SettingsError
from embodied_r_ros.core.records import Completion, Generation
from embodied_r_ros.core.replies import answer_end

EXTRA = 'embodied_r_ros[transformers]'
SIDE_BY_SIDE = 16  # replies


class TransformersLanguageModel:
    """A LanguageModel over any causal model that transformers reads, asked through its tokenizer's chat template.

    One worker thread replies to the requests that wait, side by side; to one whose reply is streamed, alone. torch and
    transformers are imported when this is made, not before.
    """

    def __init__(self, folder: str | os.PathLike[str], *, device: str = 'auto', dtype: str = 'auto') -> None:
        """Load a model.

        Args:
            folder: a Hugging Face folder.
            device: 'cuda', 'cpu', ..., or 'auto' for a GPU where there is one.
            dtype: 'float32', 'bfloat16', ..., or 'auto' for the one that the weights were saved in; on a CPU that is
                slower in 16 bits than in 32, for float32.

        Raises:
            SettingsError: torch or transformers is missing, or the model cannot be loaded or has no chat template.
        """
        self.name = pathlib.Path(folder).name
        check_folder(folder)
        self._torch, transformers = _library('torch'), _library('transformers')
        transformers.utils.logging.disable_progress_bar()  # one for each file of weights
        damaged = _library('safetensors').SafetensorError
        self._device = device if device != 'auto' else 'cuda' if self._torch.cuda.is_available() else 'cpu'
        if dtype == 'auto' and self._device == 'cpu' and faster_dtype('cpu') == 'float32':
            dtype = 'float32'
        try:
            self._tokenizer = _tokenizer_class(transformers, pathlib.Path(folder)).from_pretrained(folder)
            loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
            self._model = loaded.to(self._device).eval()
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, damaged) as error:
            reason = ' '.join(str(error).split())
            raise SettingsError(
                f'wanted a causal language model that transformers loads to {self._device!r}, got {str(folder)!r}: '
                f'{reason}'
            ) from error
        if not self._tokenizer.chat_template:
            raise SettingsError(f'the tokenizer of {str(folder)!r} must have a chat template, found none; add one')
        ends = self._model.generation_config.eos_token_id
        self._end_ids = [] if ends is None else [ends] if isinstance(ends, int) else ends
        pad, end = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        self._pad_id = next((known for known in (pad, end) if known is not None), 0)
        has_cache = 'past_key_values' in inspect.signature(self._model.forward).parameters
        self._cache_class = transformers.DynamicCache if has_cache else None
        self._thread = WorkerThread('reasoner')
        self._waiting: collections.deque[_Turn] = collections.deque()
        self._is_closed = False

    async def probe(self) -> None:
        """Nothing can be out of reach: the model was loaded when this was made."""

    async def ping(self) -> None:
        """The model is in this process."""

    async def aclose(self) -> None:
        """Stop a running generation and the thread."""
        self._is_closed = True
        self._thread.close()

    async def generate(self, request: Generation, on_text: OnText | None = None) -> Completion:
        """Reply to the messages; on the same machine the reply, by its seed, is the same each time.

        Beside other requests it may differ where two tokens are as likely but for rounding. Cancelling the waiting
        task stops the reply at the next token.

        Args:
            request: its stop strings end the reply and are kept; so does an answer block behind the thinking.
            on_text: gets the reply piece by piece; called in the event loop.

        Raises:
            BackendRefused: the prompt is longer than the model's context.
            BackendError: the device ran out of memory or failed.
            ReplyError: the model repeats itself without end.
        """
        turn = _Turn(request, in_this_loop(on_text))
        self._waiting.append(turn)
        try:
            await asyncio.sleep(0)  # requests that are made beside this one come along
            return await self._thread.run(lambda _: self._work(turn))
        finally:
            turn.is_given_up = True

    def _work(self, turn: _Turn) -> Completion:
        """Reply to a turn and to those that wait behind it, unless that was done beside an earlier one."""
        if not turn.outcome.done():
            self._reply(self._next_turns())
        return turn.outcome.result(timeout=0)

    def _next_turns(self) -> list[_Turn]:
        """The turns that have waited longest, as many as can be replied to side by side."""
        taken: list[_Turn] = []
        while self._waiting and len(taken) < SIDE_BY_SIDE:
            if taken and (taken[0].is_alone or self._waiting[0].is_alone):
                break
            turn = self._waiting.popleft()
            if not turn.is_given_up:
                taken.append(turn)
        return taken

    def _reply(self, turns: Sequence[_Turn]) -> None:
        begun, rows = time.monotonic(), []
        for turn in turns:
            try:
                rows.append(self._row(turn))
            except BackendRefused as error:
                turn.outcome.set_exception(error)
        try:
            if rows and rows[0].turn.request.options:
                rows[0].text = self._likeliest(rows[0])
            elif rows:
                self._generate(rows)
        except RuntimeError as error:
            if len(rows) > 1:  # together they may be more than the device can hold
                for row in rows:
                    self._reply([row.turn])
                return
            reason = ' '.join(str(error).split())
            told = f'{self.name} failed on {self._device!r} at {len(rows[0].prompt)} prompt tokens: {reason}'
            rows[0].turn.outcome.set_exception(BackendError(told))
            return
        for row in rows:
            row.settle(time.monotonic() - begun)

    def _row(self, turn: _Turn) -> _Row:
        """A turn with its prompt in tokens, and with the room that the context leaves behind it.

        Raises:
            BackendRefused: there is none.
        """
        messages = [{'role': message.role, 'content': message.content} for message in turn.request.messages]
        prompt = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        ids, room = list(prompt['input_ids']), turn.request.max_tokens
        context = getattr(self._model.config, 'max_position_embeddings', None)
        if context is not None and len(ids) >= context:
            raise BackendRefused(
                f'the prompt must have fewer than {context} tokens, the context of {self.name}; got {len(ids)!r}; '
                'ask about a shorter window or put fewer observations before it'
            )
        generator = self._torch.Generator(self._device).manual_seed(turn.request.seed)
        return _Row(turn, ids, room if context is None else min(room, context - len(ids)), generator)

    def _likeliest(self, row: _Row) -> str:
        """The option that the model is likeliest to continue the prompt with."""
        torch, length = self._torch, len(row.prompt)
        scores: dict[str, float] = {}
        for option in row.turn.request.options:
            if self._is_over(row):
                break
            option_ids = self._tokenizer(option, add_special_tokens=False)['input_ids']
            ids = torch.tensor([row.prompt + option_ids], device=self._device)
            with torch.inference_mode():
                logits = self._model(input_ids=ids).logits[0, length - 1 : -1].float()
            chances = logits.log_softmax(-1).gather(1, ids[0, length:, None])
            scores[option] = float(chances.sum())
        return max(scores, key=scores.__getitem__, default='')

    def _generate(self, rows: Sequence[_Row]) -> None:
        """Write the replies of rows side by side; whenever half of them are over, the others go on without those."""
        torch, width = self._torch, max(len(row.prompt) for row in rows)
        pads = [width - len(row.prompt) for row in rows]
        ids = torch.tensor([[self._pad_id] * pad + row.prompt for pad, row in zip(pads, rows)], device=self._device)
        mask = torch.tensor([[0] * pad + [1] * (width - pad) for pad in pads], device=self._device)
        cache = self._cache_class(config=self._model.config) if len(rows) > 1 and self._cache_class else None
        while rows:
            ids = self._write(rows, width, input_ids=ids, attention_mask=mask, past_key_values=cache)
            left = [number for number, row in enumerate(rows) if not self._is_over(row)]
            rows = [rows[number] for number in left]
            if rows:
                kept = torch.tensor(left, device=self._device)
                mask = torch.nn.functional.pad(mask, (0, ids.shape[1] - mask.shape[1]), value=1)[kept]
                ids = ids[kept]
                if cache is not None:
                    cache.batch_select_indices(kept)

    def _write(self, rows: Sequence[_Row], width: int, **inputs: Any) -> Any:
        """Go on with the replies of rows until half of them are over.

        Args:
            rows: at least one.
            width: of the prompts.
            inputs: prompts and replies so far, and what the model has kept of them.

        Returns:
            ids of the prompts and the replies, (rows, length).
        """
        torch = self._torch

        def ends(ids: Any, scores: Any, **_: Any) -> Any:
            for row, reply in zip(rows, ids[:, width:].tolist()):
                if not self._is_over(row):
                    self._read(row, reply)
            over = [self._is_over(row) for row in rows]
            is_half = 2 * sum(over) >= len(over)
            return torch.tensor([is_half or one for one in over], device=ids.device)

        with torch.inference_mode():
            return self._model.generate(
                **inputs,
                do_sample=False,
                logits_processor=[_Sampler(torch, rows)],
                stopping_criteria=[ends],
                max_new_tokens=max(row.room - row.tokens for row in rows),
                repetition_penalty=1.0,
                pad_token_id=self._pad_id,
            )

    def _is_over(self, row: _Row) -> bool:
        return row.is_over or row.turn.is_given_up or self._is_closed

    def _read(self, row: _Row, reply: Sequence[int]) -> None:
        """Read a reply after each of its tokens: pass on what is new, and see whether it is over."""
        text = self._tokenizer.decode(reply, skip_special_tokens=True)
        ends = [at + len(stop) for stop in row.turn.request.stop if stop and (at := text.find(stop)) >= 0]
        ends += [end] if (end := answer_end(text)) >= 0 else []
        row.hear(text[: min(ends)] if ends else text, is_whole=bool(ends))
        row.tokens, row.has_ended = len(reply), bool(ends) or reply[-1] in self._end_ids


@dataclasses.dataclass(eq=False)
class _Turn:
    """A request, and what comes of it."""

    request: Generation
    on_text: OnText | None
    is_given_up: bool = False
    outcome: concurrent.futures.Future[Completion] = dataclasses.field(default_factory=concurrent.futures.Future)

    @property
    def is_alone(self) -> bool:
        """Whether somebody watches the reply as it comes, or it is not written but chosen."""
        return self.on_text is not None or bool(self.request.options)


@dataclasses.dataclass(eq=False)
class _Row:
    """A turn while it is replied to: its prompt, how many tokens there is room for, and the reply so far."""

    turn: _Turn
    prompt: list[int]
    room: int
    generator: Any
    text: str = ''
    tokens: int = 0
    has_ended: bool = False
    repeated: str = ''
    repetition: Repetition = dataclasses.field(default_factory=Repetition)

    @property
    def is_over(self) -> bool:
        return self.has_ended or bool(self.repeated) or self.tokens >= self.room

    def hear(self, text: str, *, is_whole: bool) -> None:
        """Take the reply so far; a character still short of bytes, U+FFFD at its end, is passed on once it is whole."""
        if not is_whole and text.endswith('\ufffd'):
            return
        piece, self.text = text[len(self.text) :], text
        self.repeated = self.repetition.unit(piece)
        if self.turn.on_text is not None and piece:
            self.turn.on_text(piece)

    def settle(self, latency_s: float) -> None:
        """Give the turn what has come of it."""
        if self.repeated:
            self.turn.outcome.set_exception(endless(self.repeated, self.text))
            return
        is_cut = not self.turn.request.options and not self.has_ended and self.tokens == self.room
        told = Completion(text=self.text, tokens=self.tokens, latency_s=latency_s, is_cut=is_cut)
        self.turn.outcome.set_result(told)


class _Sampler:
    """A logits processor that draws the next token of each row by the row's own seed, whatever rows are beside it.

    The greatest of logits / temperature + Gumbel noise is a draw from their softmax.
    """

    def __init__(self, torch: Any, rows: Sequence[_Row]) -> None:
        self._torch, self._rows = torch, rows

    def __call__(self, ids: Any, scores: Any) -> Any:
        """Scores (B, V) whose maxima are the tokens that are drawn."""
        for number, row in enumerate(self._rows):
            if row.turn.request.temperature > 0.0:
                noise = self._torch.empty_like(scores[number]).exponential_(generator=row.generator)
                scores[number] = scores[number] / row.turn.request.temperature - noise.log()
        return scores


def faster_dtype(device: str) -> str:
    """The type in which a linear layer is faster on a kind of device: bfloat16 needs hardware that knows it."""
    torch = _library('torch')

    def seconds(dtype: Any) -> float:
        inputs, weights = (torch.ones(size, 512, dtype=dtype, device=device) for size in (256, 1024))
        taken = []
        for _ in range(6):
            begun = time.perf_counter()
            torch.nn.functional.linear(inputs, weights).sum().item()
            taken.append(time.perf_counter() - begun)
        return min(taken)

    if device == 'cuda':
        return 'bfloat16' if torch.cuda.is_bf16_supported() else 'float32'
    return 'bfloat16' if seconds(torch.bfloat16) < seconds(torch.float32) else 'float32'


def _tokenizer_class(transformers: Any, folder: pathlib.Path) -> Any:
    """The class that reads a folder's tokenizer.json as it stands, where the folder asks for that; else the automatic.

    For the model type qwen2, AutoTokenizer of transformers 5 builds the byte-level tokenizer of the Qwen2 family
    whatever tokenizer.json holds, and so would read another vocabulary into nonsense.
    """
    try:
        settings = json.loads((folder / 'tokenizer_config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return transformers.AutoTokenizer
    generic = settings.get('tokenizer_class') in ('TokenizersBackend', 'PreTrainedTokenizerFast')
    return transformers.PreTrainedTokenizerFast if generic else transformers.AutoTokenizer


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SettingsError(
            f'reasoner backend transformers needs {name}, which cannot be imported ({error}); install {EXTRA!r}, or '
            'take reasoner backend numpy or openai'
        ) from error
