"""Judges of consistency: which choice a thought leads to, told from question, choices and thinking alone.

A judge is asked in the words of the reasoner's own prompt format, and may only say one of the candidates: the letters
of the choices in the paper's format, the answers in its own language in the compact one. The choices are shuffled
before they are lettered, so that a letter in the thinking tells the judge nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import pathlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from embodied_r_ros.adapters.openai_http import LM_KEY, OpenAIClient
from embodied_r_ros.core.answers import MAX_CHOICES, letter, match_choice
from embodied_r_ros.core.compact import NOWHERE, UNKNOWN, CompactPrompt, vocabulary
from embodied_r_ros.core.errors import BackendError, ReplyError, SettingsError
from embodied_r_ros.core.formats import Prompt, Thought
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PaperPrompt
from embodied_r_ros.core.records import Message, Question
from training.packing import Tokens, next_scores, prepare

logger = logging.getLogger(__name__)

# The judgement on a thought that leads to none of the choices.
NO_CHOICE = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A thought to judge.

    Attributes:
        question, choices: as they were asked.
        thinking: in the reasoner's own words, without its answer block.
        asked: the prompt that the reasoner answered; a compact one is judged in the compact language, any other one
            (and None) in the paper's words.
    """

    question: str
    choices: tuple[str, ...]
    thinking: str
    asked: Prompt | None = None


class Judge(Protocol):
    """Whoever says where thoughts lead; equal cases are judged once."""

    def judge(self, cases: Sequence[Case]) -> list[int | None]:
        """The index of the choice that each thinking leads to, NO_CHOICE for none; None where the judge failed.

        Raises:
            SettingsError: the judge cannot read or write the language that the cases are in.
        """


@dataclasses.dataclass(frozen=True)
class Posed:
    """A case put into words: the chat turns, and the choice that each permitted reply means."""

    messages: tuple[Message, ...]
    candidates: Mapping[str, int]


def pose(case: Case, seed: int) -> Posed | None:
    """Ask where a thought leads; the order in which the choices are shown is drawn from seed and case.

    None where nothing is left of the thought without its conclusion: it leads to no choice.
    """
    if isinstance(case.asked, CompactPrompt):
        return _pose_compact(case, case.asked)
    order = list(range(len(case.choices)))
    random.Random(f'{seed} {case.question} {case.thinking}').shuffle(order)
    question = Question(text=case.question, choices=tuple(case.choices[index] for index in order))
    prompt = PaperPrompt((), 0, question).check(Thought(thinking=case.thinking, answer=''))
    if prompt is None:
        return None
    return Posed(prompt.messages, {letter(place): index for place, index in enumerate(order)})


def _pose_all(cases: Iterable[Case], seed: int) -> dict[Case, Posed]:
    """Each case that there is something to ask about."""
    posed = {case: pose(case, seed) for case in dict.fromkeys(cases)}
    return {case: asked for case, asked in posed.items() if asked is not None}


def _pose_compact(case: Case, asked: CompactPrompt) -> Posed | None:
    """The compact check names no choice, so there is none to shuffle; the reply goes on behind the opened answer."""
    prompt = asked.check(Thought(thinking='', answer='', raw_thinking=case.thinking))
    if prompt is None:
        return None
    last = prompt.messages[-1]
    opened = dataclasses.replace(last, content=f'{last.content} <answer>')
    return Posed((*prompt.messages[:-1], opened), _meanings(asked, case.choices))


@functools.lru_cache(maxsize=1024)  # a group of completions has one prompt
def _meanings(asked: CompactPrompt, choices: tuple[str, ...]) -> Mapping[str, int]:
    """The answers in the compact language that mean a choice, and the verdict that the thought leads to none."""
    meant = {written: match_choice(words, choices) for written, words in asked.answers().items()}
    return {written: index for written, index in meant.items() if index is not None} | {NOWHERE: NO_CHOICE}


class InProcessJudge:
    """A causal language model in this process, asked in batches; implements `Judge`.

    At each token the model chooses among those with which a candidate goes on, as constrained greedy decoding does. A
    candidate of one token so takes one forward pass, and is the one of the highest log-probability.

    Args:
        model: of transformers, for the judge alone: its weights stay, its attention is exchanged (`packing.prepare`).
        tokenizer: its own, with a chat template.
        batch_tokens: of a forward pass, padding included; a GPU is busier with more.
        seed: of the order in which choices are shown.

    Raises:
        SettingsError: the tokenizer has no chat template.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_tokens: int = 2048, seed: int = 0) -> None:
        if not tokenizer.chat_template:
            raise SettingsError('a judge whose tokenizer has a chat template was wanted, found none; add one')
        self._model, self._tokenizer = model.eval(), tokenizer
        prepare(self._model)
        self._batch_tokens, self._seed = batch_tokens, seed
        self._longest = getattr(model.config, 'max_position_embeddings', 0)
        self._languages: set[bool] = set()

    @classmethod
    def load(
        cls, folder: pathlib.Path | str, device: str = 'cpu', dtype: str = 'float32', seed: int = 0
    ) -> InProcessJudge:
        """Load a Hugging Face folder; a tokenizer in its sub-folder `tokenizer` goes before the one beside the model.

        Raises:
            SettingsError: there is no such folder, or no model in it.
        """
        import torch

        from training.model_folder import load_model, load_tokenizer

        path = pathlib.Path(folder)
        try:
            tokenizer, model = load_tokenizer(path), load_model(path, getattr(torch, dtype))
        except SettingsError as error:
            raise SettingsError(f'a judge was wanted in {str(folder)!r}, it cannot be loaded: {error}') from error
        return cls(model.to(device), tokenizer, seed=seed)

    def judge(self, cases: Sequence[Case]) -> list[int | None]:
        """As `Judge` says; a case too long for the model, or without candidates, has no judgement."""
        for case in cases:
            self._know(isinstance(case.asked, CompactPrompt))
        posed = _pose_all(cases, self._seed)
        prompts = self._ids(self._texts(posed.values()))
        words = list(dict.fromkeys(word for asked in posed.values() for word in asked.candidates))
        spelt = dict(zip(words, self._ids(words)))
        candidates = [self._fitting(asked, prompt, spelt) for asked, prompt in zip(posed.values(), prompts)]
        forks = {prompt + said for prompt, left in zip(prompts, candidates) for said in _forks(left)}
        scores = next_scores(self._model, forks, self._batch_tokens)
        told = dict(zip(posed, (_decide(prompt, left, scores) for prompt, left in zip(prompts, candidates))))
        failed = list(told.values()).count(None)
        if failed:
            logger.warning('%d of %d thoughts were not judged: too long, or no candidate', failed, len(told))
        return [told.get(case, NO_CHOICE) for case in cases]

    def _texts(self, posed: Iterable[Posed]) -> list[str]:
        """The prompts as the model reads them."""
        turns = [[{'role': turn.role, 'content': turn.content} for turn in asked.messages] for asked in posed]
        if not turns:
            return []
        texts: list[str] = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        return texts

    def _ids(self, texts: Sequence[str]) -> list[Tokens]:
        ids = self._tokenizer(list(texts), add_special_tokens=False)['input_ids'] if texts else []
        return [tuple(tokens) for tokens in ids]

    def _fitting(self, posed: Posed, prompt: Tokens, spelt: Mapping[str, Tokens]) -> dict[Tokens, int]:
        """The candidates as tokens; none where prompt and reply are more than the model reads."""
        candidates = {spelt[candidate]: choice for candidate, choice in posed.candidates.items()}
        longest = len(prompt) + max(map(len, candidates), default=0)
        return {} if self._longest and longest > self._longest else candidates

    def _know(self, compact: bool) -> None:
        """Hold the tokenizer, once, against the language that cases are in. Raises SettingsError."""
        if compact in self._languages:
            return
        words = vocabulary() if compact else [letter(index) for index in range(MAX_CHOICES)]
        unknown = {None, getattr(self._tokenizer, 'unk_token_id', None)}
        for word, ids in zip(words, self._ids(words)):
            if len(ids) != 1 or (ids[0] in unknown and word != UNKNOWN):
                what = 'words of the compact language' if compact else 'letters A to Z'
                raise SettingsError(
                    f'a judge whose tokenizer has each of the {what} as one token was wanted, this one reads {word!r} '
                    f'as {self._tokenizer.convert_ids_to_tokens(ids)!r}; take the model that training starts from'
                )
        self._languages.add(compact)


def _forks(candidates: Mapping[Tokens, int]) -> set[Tokens]:
    """The beginnings with which candidates go on differently."""
    ways: dict[Tokens, set[int]] = {}
    for said in candidates:
        for place, token in enumerate(said):
            ways.setdefault(said[:place], set()).add(token)
    return {said for said, tokens in ways.items() if len(tokens) > 1}


def _decide(prompt: Tokens, candidates: Mapping[Tokens, int], scores: Mapping[Tokens, Any]) -> int | None:
    """Follow the token of the highest score at each fork; the first of equal ones."""
    left, place = list(candidates), 0
    while len(left) > 1:
        ways = dict.fromkeys(said[place] for said in left)
        if len(ways) > 1:
            told = scores[prompt + left[0][:place]]
            best = max(ways, key=lambda token: float(told[token]))
            left = [said for said in left if said[place] == best]
        place += 1
    return candidates[left[0]] if left else None


class HttpJudge:
    """A model behind an OpenAI-compatible server that constrains replies (vLLM); implements `Judge`.

    At most `max_concurrent_requests` of the settings are under way at once, each for at most their `timeout_s`.

    Args:
        settings: where the server is, and which model on it.
        key_variable: environment variable that holds the server's key.
        seed: of the order in which choices are shown.

    Raises:
        BackendError: no such server answers, or it does not serve the model.
    """

    def __init__(self, settings: ServerSettings, key_variable: str = LM_KEY, seed: int = 0) -> None:
        self._seed, self._loop = seed, asyncio.new_event_loop()
        self._client = OpenAIClient(settings, key_variable)
        # The client's own wait counts against timeout_s.
        self._free = asyncio.Semaphore(settings.max_concurrent_requests)
        try:
            self._loop.run_until_complete(self._client.probe())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()

    def judge(self, cases: Sequence[Case]) -> list[int | None]:
        """As `Judge` says; a case that the server did not answer, or not with a candidate, has no judgement."""
        posed = _pose_all(cases, self._seed)
        told = dict(zip(posed, self._loop.run_until_complete(self._judge_all(list(posed.values())))))
        reasons = [reason for _, reason in told.values() if reason]
        if reasons:
            logger.warning(
                '%d of %d thoughts were not judged, the first because %s', len(reasons), len(told), reasons[0]
            )
        return [told[case][0] if case in told else NO_CHOICE for case in cases]

    async def _judge_all(self, asked: Sequence[Posed]) -> list[tuple[int | None, str]]:
        return await asyncio.gather(*map(self._judge, asked))

    async def _judge(self, posed: Posed) -> tuple[int | None, str]:
        """The judgement, and why there is none.

        The server matches characters, token by token, and no token of the compact language holds a space; so the
        candidates are told, and the reply is read, without white space.
        """
        candidates = {_packed(candidate): choice for candidate, choice in posed.candidates.items()}
        if not candidates:
            return None, 'no answer of the language means one of the choices'
        longest = max(len(candidate.split()) for candidate in posed.candidates)
        turns = [{'role': message.role, 'content': message.content} for message in posed.messages]
        only = {'choice': list(candidates)}
        try:
            async with self._free:
                reply = await self._client.chat(turns, temperature=0.0, max_tokens=longest, structured_outputs=only)
        except (BackendError, ReplyError) as error:
            return None, str(error)
        choice = candidates.get(_packed(reply.text))
        return choice, '' if choice is not None else f'{reply.text!r} is none of {", ".join(candidates)}'


def _packed(text: str) -> str:
    return ''.join(text.split())
