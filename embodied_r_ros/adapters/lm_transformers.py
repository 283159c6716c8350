"""A language model through transformers in this process: for a GPU without a model server (extra `[transformers]`)."""

from __future__ import annotations

import functools
import importlib
import json
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from embodied_r_ros.adapters.lm import OnText
from embodied_r_ros.adapters.repetition import Repetition, endless
from embodied_r_ros.adapters.weights import check_folder
from embodied_r_ros.adapters.worker_thread import WorkerThread, in_this_loop
from embodied_r_ros.core.errors import BackendError, BackendRefused, SettingsError
from embodied_r_ros.core.records import Completion, Generation
from embodied_r_ros.core.replies import answer_end

EXTRA = 'embodied_r_ros[transformers]'


class TransformersLanguageModel:
    """A LanguageModel over any causal model that transformers reads, asked through its tokenizer's chat template.

    Requests run one after another in one worker thread. torch and transformers are imported when this is made, not
    before.
    """

    def __init__(self, folder: str | os.PathLike[str], *, device: str = 'auto', dtype: str = 'auto') -> None:
        """Load a model.

        Args:
            folder: a Hugging Face folder.
            device: 'cuda', 'cpu', ..., or 'auto' for a GPU where there is one.
            dtype: 'float32', 'bfloat16', ..., or 'auto' for the one that the weights were saved in.

        Raises:
            SettingsError: torch or transformers is missing, or the model cannot be loaded or has no chat template.
        """
        self.name = pathlib.Path(folder).name
        check_folder(folder)
        self._torch, transformers = _library('torch'), _library('transformers')
        transformers.utils.logging.disable_progress_bar()  # one for each file of weights
        damaged = _library('safetensors').SafetensorError
        self._device = device if device != 'auto' else 'cuda' if self._torch.cuda.is_available() else 'cpu'
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
        self._thread = WorkerThread('reasoner')

    async def probe(self) -> None:
        """Nothing can be out of reach: the model was loaded when this was made."""

    async def ping(self) -> None:
        """The model is in this process."""

    async def aclose(self) -> None:
        """Stop a running generation and the thread."""
        self._thread.close()

    async def generate(self, request: Generation, on_text: OnText | None = None) -> Completion:
        """Reply to the messages; the greedy reply is the same each time on the same machine.

        Cancelling the waiting task stops the model at the next token.

        Args:
            request: its stop strings end the reply and are kept; so does an answer block behind the thinking.
            on_text: gets the reply piece by piece; called in the event loop.

        Raises:
            BackendRefused: the prompt is longer than the model's context.
            BackendError: the device ran out of memory or failed.
            ReplyError: the model repeats itself without end.
        """
        return await self._thread.run(functools.partial(self._reply, request, in_this_loop(on_text)))

    def _reply(self, request: Generation, on_text: OnText | None, cancelled: Callable[[], bool]) -> Completion:
        begun = time.monotonic()
        turns = [{'role': message.role, 'content': message.content} for message in request.messages]
        inputs = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors='pt', return_dict=True
        ).to(self._device)
        inputs.pop('token_type_ids', None)
        length = int(inputs['input_ids'].shape[1])
        context = getattr(self._model.config, 'max_position_embeddings', None)
        if context is not None and length >= context:
            raise BackendRefused(
                f'the prompt must have fewer than {context} tokens, the context of {self.name}; got {length!r}; '
                'ask about a shorter window or put fewer observations before it'
            )
        room = request.max_tokens if context is None else min(request.max_tokens, context - length)
        watch = _Watch(self._torch, self._tokenizer, self._end_ids, length, request.stop, on_text, cancelled)
        try:
            if request.options:
                watch.text = self._likeliest(inputs['input_ids'], request.options, cancelled)
            else:
                self._generate(inputs, room, request, watch)
        except RuntimeError as error:
            reason = ' '.join(str(error).split())
            raise BackendError(f'{self.name} failed on {self._device!r} at {length} prompt tokens: {reason}') from error
        if watch.repeated:
            raise endless(watch.repeated, watch.text)
        is_cut = not request.options and not watch.has_ended and watch.tokens == room
        return Completion(text=watch.text, tokens=watch.tokens, latency_s=time.monotonic() - begun, is_cut=is_cut)

    def _likeliest(self, prompt: Any, options: Sequence[str], cancelled: Callable[[], bool]) -> str:
        """The option that the model is likeliest to continue the prompt with, of token ids (1, n)."""
        torch = self._torch
        scores: dict[str, float] = {}
        for option in options:
            if cancelled():
                break
            encoded = self._tokenizer(option, add_special_tokens=False, return_tensors='pt')
            ids = torch.cat([prompt, encoded['input_ids'].to(self._device)], dim=1)
            with torch.inference_mode():
                logits = self._model(input_ids=ids).logits[0, prompt.shape[1] - 1 : -1].float()
            chances = logits.log_softmax(-1).gather(1, ids[0, prompt.shape[1] :, None])
            scores[option] = float(chances.sum())
        return max(scores, key=scores.__getitem__, default='')

    def _generate(self, inputs: Any, max_tokens: int, request: Generation, watch: _Watch) -> None:
        torch = self._torch
        options: dict[str, Any] = {'do_sample': False}
        if request.temperature > 0.0:
            options = {'do_sample': True, 'temperature': request.temperature, 'top_k': 0, 'top_p': 1.0}
        pad = self._tokenizer.pad_token_id
        if pad is None:
            pad = self._tokenizer.eos_token_id
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(request.seed)
            self._model.generate(
                **inputs,
                **options,
                max_new_tokens=max_tokens,
                repetition_penalty=1.0,
                pad_token_id=pad,
                stopping_criteria=[watch],
            )


class _Watch:
    """A stopping criterion, called after each token: reads the reply so far, streams what is new, says when to stop."""

    def __init__(
        self,
        torch: Any,
        tokenizer: Any,
        end_ids: Sequence[int],
        prompt_length: int,
        stops: Sequence[str],
        on_text: OnText | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self._torch, self._tokenizer, self._end_ids, self._prompt_length = torch, tokenizer, end_ids, prompt_length
        self._stops, self._on_text, self._cancelled = stops, on_text, cancelled
        self._repetition = Repetition()
        self.text = ''
        self.tokens = 0
        self.repeated = ''
        self.has_ended = False

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
        """A tensor of one truth value: whether the reply ends here."""
        reply = ids[0, self._prompt_length :].tolist()
        text = self._tokenizer.decode(reply, skip_special_tokens=True)
        ends = [at + len(stop) for stop in self._stops if stop and (at := text.find(stop)) >= 0]
        ends += [end] if (end := answer_end(text)) >= 0 else []
        text = text[: min(ends)] if ends else text
        self.tokens = len(reply)
        self.has_ended = bool(ends) or reply[-1] in self._end_ids
        # A character that is still short of bytes decodes to U+FFFD; it is passed on once it is whole.
        if ends or not text.endswith('\ufffd'):
            piece, self.text = text[len(self.text) :], text
            self.repeated = self._repetition.unit(piece)
            if self._on_text is not None and piece:
                self._on_text(piece)
        over = self.has_ended or bool(self.repeated) or self._cancelled()
        return self._torch.tensor([over], device=ids.device)


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
