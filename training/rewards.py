"""The three rewards of Embodied-R and their staged sum (paper, section on training): plain functions, lists in and out.

Rewards lie in [0, 1]. A reply that cannot be read earns 0. A completion whose judge failed has None: it is left out,
for a 0 would punish a right answer. Only the answer block speaks, and only choices that the question has count.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embodied_r_ros.core.answers import letter, match_choice
from embodied_r_ros.core.conclusions import has_words
from embodied_r_ros.core.errors import InputError, ReplyError, SettingsError
from embodied_r_ros.core.formats import Prompt, Thought
from embodied_r_ros.core.prompts import PaperPrompt
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.evaluation.scoring import relative_accuracy
from training.judge import NO_CHOICE, Case, Judge

# The whole reply: one thought, then one answer, with no other tag of the four anywhere.
_TAG = r'</?(?:think|answer)>'
_BLOCK = rf'((?:(?!{_TAG}).)+)'
_WHOLE = re.compile(rf'\s*<think>{_BLOCK}</think>\s*<answer>{_BLOCK}</answer>\s*', re.DOTALL)
_PAPER = PaperPrompt((), 0, Question(text=''))

Reply = str | Sequence[Mapping[str, Any]]


def text_of(completion: Reply) -> str:
    """The words of a completion, which TRL gives as text or as chat turns."""
    if isinstance(completion, str):
        return completion
    return ''.join(str(turn['content'] or '') for turn in completion)


def read(completion: Reply, asked: Prompt | None) -> Thought | None:
    """A completion as the robot's own reader takes it (None: the paper's); None where it is unreadable."""
    try:
        return (asked or _PAPER).read(Completion(text=text_of(completion)))
    except ReplyError:
        return None


def format_reward(completions: Sequence[Reply], **columns: Any) -> list[float | None]:
    """1 for a reply that is a think block and then an answer block, each once and with words, and nothing else."""
    found = [_WHOLE.fullmatch(text_of(completion)) for completion in completions]
    return [float(blocks is not None and all(map(has_words, blocks.groups()))) for blocks in found]


def accuracy_reward(
    completions: Sequence[Reply],
    answer: Sequence[str],
    choices: Sequence[Sequence[str]],
    asked: Sequence[Prompt | None] | None = None,
    **columns: Any,
) -> list[float | None]:
    """Whether the answer block means the true choice; for a number, its mean relative accuracy.

    Args:
        completions: the replies.
        answer: the letter of the true choice; without choices, a number in words.
        choices: of each question, in the order in which they were asked; none for a number.
        asked: the prompt of each completion, whose reader is used; the paper's form where there is none.
        columns: what else TRL tells.

    Raises:
        InputError: a true answer is no letter of its choices, or no number.
    """
    return [
        _accuracy(thought, truth, options)
        for thought, truth, options in zip(_read_all(completions, asked), answer, choices)
    ]


def consistency_reward(
    completions: Sequence[Reply],
    question: Sequence[str],
    choices: Sequence[Sequence[str]],
    answer: Sequence[str],
    judge: Judge,
    asked: Sequence[Prompt | None] | None = None,
    **columns: Any,
) -> list[float | None]:
    """Whether the answer is right and a judge, who reads question, choices and thinking only, comes to it too.

    The judge is asked about right answers that have a thought; the others earn 0 without it. None where the judge
    failed, and for a number, which leaves nothing to choose from.
    """
    cases = cases_to_judge(completions, question, choices, answer, asked)
    rewards: list[float | None] = [0.0 if options else None for options in choices]
    for index, choice in zip(cases, judge.judge(list(cases.values())) if cases else []):
        rewards[index] = None if choice is None else float(choice != NO_CHOICE and letter(choice) == answer[index])
    return rewards


def cases_to_judge(
    completions: Sequence[Reply],
    question: Sequence[str],
    choices: Sequence[Sequence[str]],
    answer: Sequence[str],
    asked: Sequence[Prompt | None] | None = None,
) -> dict[int, Case]:
    """What a judge is asked about which completion: the thoughts behind right answers to questions with choices."""
    cases: dict[int, Case] = {}
    thoughts = _read_all(completions, asked)
    for index, (thought, options, truth) in enumerate(zip(thoughts, choices, answer)):
        if options and thought and has_words(thought.thinking) and _accuracy(thought, truth, options):
            cases[index] = Case(
                question=question[index],
                choices=tuple(options),
                thinking=thought.raw_thinking or thought.thinking,
                asked=asked[index] if asked else None,
            )
    return cases


def _read_all(completions: Sequence[Reply], asked: Sequence[Prompt | None] | None) -> list[Thought | None]:
    return [read(completion, prompt) for completion, prompt in zip(completions, asked or [None] * len(completions))]


def _accuracy(thought: Thought | None, truth: str, choices: Sequence[str]) -> float:
    if not choices:
        return relative_accuracy(thought.answer if thought else '', truth)
    if truth not in [letter(index) for index in range(len(choices))]:
        raise InputError(
            f'the true answer should be the letter of one of the {len(choices)} choices, got {truth!r}; mend the sample'
        )
    chosen = match_choice(thought.answer, choices) if thought and not thought.astray else None
    return float(chosen is not None and letter(chosen) == truth)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """What each reward counts for; given in any proportion, kept with the sum 1."""

    format: float
    accuracy: float
    consistency: float

    def __post_init__(self) -> None:
        parts = dataclasses.asdict(self)
        total = sum(parts.values())
        if min(parts.values()) < 0 or not 0 < total < math.inf:
            raise SettingsError(f'weights should be at least 0 and one of them above, got {parts!r}; set them anew')
        for name, value in parts.items():
            object.__setattr__(self, name, value / total)


# Stages of the training: the share of all epochs that each takes, and its weights (paper: 2, 2 and 8 of 12 epochs).
STAGES = (
    (2 / 12, Weights(format=7, accuracy=3, consistency=0)),
    (2 / 12, Weights(format=3, accuracy=7, consistency=0)),
    (8 / 12, Weights(format=1, accuracy=7, consistency=2)),
)


def weights_at(epoch: float, epochs: float) -> Weights:
    """The weights of the stage that an epoch, counted with its fraction from 0, belongs to."""
    begun = 0.0
    for share, weights in STAGES:
        begun += share
        if epoch < begun * epochs - 1e-9:
            return weights
    return STAGES[-1][1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """The rewards of one call of `StagedReward`, completion by completion.

    Attributes:
        weights: that they were added up with.
        format, accuracy: of each completion.
        consistency: of each completion; None where the judge failed or there was nothing to choose from, and empty
            while it weighs nothing.
        unreadable: how many replies could not be read.
        judge_failures: how many completions were left out for it.
    """

    weights: Weights
    format: tuple[float, ...]
    accuracy: tuple[float, ...]
    consistency: tuple[float | None, ...]
    unreadable: int
    judge_failures: int

    @property
    def consistency_ratio(self) -> float:
        """The share of the right answers judged that their thoughts lead to (paper: r''' / r''); NaN for none."""
        judged = [told for told, right in zip(self.consistency, self.accuracy) if right and told is not None]
        return sum(judged) / len(judged) if judged else math.nan

    def metrics(self) -> dict[str, float]:
        """Means and shares by name, for logging; what is not known is left out."""
        count = len(self.format)
        figures = {
            'rewards/format': sum(self.format) / count,
            'rewards/accuracy': sum(self.accuracy) / count,
            'unreadable': self.unreadable / count,
        }
        if self.consistency:
            told = [value for value in self.consistency if value is not None]
            figures['rewards/consistency'] = sum(told) / len(told) if told else math.nan
            figures['consistency_ratio'] = self.consistency_ratio
            figures['judge_failures'] = self.judge_failures / count
        return {name: value for name, value in figures.items() if not math.isnan(value)}


class StagedReward:
    """The one reward that TRL gets: format, accuracy and consistency, weighed by the epoch.

    Args:
        asked: the prompt of each sample id, whose reader is the robot's own.
        epochs: of the whole training.
        judge: of consistency; None where it never weighs anything.
        weights: what the parts count for at an epoch of so many.

    Attributes:
        parts: of the last call; None before the first.

    Raises:
        SettingsError: consistency will count for something, and there is no judge.
    """

    def __init__(
        self,
        asked: Mapping[str, Prompt],
        epochs: float,
        judge: Judge | None,
        weights: Callable[[float, float], Weights] = weights_at,
    ) -> None:
        self.parts: Parts | None = None
        self._asked, self._epochs, self._judge, self._weights = asked, epochs, judge, weights
        for epoch in (0.0, *range(1, math.ceil(epochs)), epochs):
            if judge is None and weights(epoch, epochs).consistency:
                raise SettingsError(
                    f'a judge is wanted, consistency counts from epoch {epoch:g} of {epochs:g} on and there is none; '
                    'name one, or set the weight of consistency to 0'
                )

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Reply],
        *,
        id: Sequence[str],  # noqa: A002 - the column's name in a sample
        question: Sequence[str],
        choices: Sequence[Sequence[str]],
        answer: Sequence[str],
        trainer_state: Any,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """The reward of each completion in [0, 1]; None where the judge failed.

        Args:
            prompts: of each completion, as the trainer put them; not looked at.
            completions: the replies.
            id, question, choices, answer: the columns of the samples, one entry per completion.
            trainer_state: its `epoch` sets the weights.
            log_metric: gets each figure of `Parts.metrics`.
            columns: what else TRL tells.
        """
        weights = self._weights(float(trainer_state.epoch or 0.0), self._epochs)
        asked = [self._asked[name] for name in id]
        forms = [float(value or 0.0) for value in format_reward(completions)]
        right = [float(value or 0.0) for value in accuracy_reward(completions, answer, choices, asked)]
        follows: list[float | None] = []
        if weights.consistency and self._judge is not None:
            follows = consistency_reward(completions, question, choices, answer, self._judge, asked)
        pairs = list(zip(follows, choices))
        self.parts = Parts(
            weights=weights,
            format=tuple(forms),
            accuracy=tuple(right),
            consistency=tuple(follows),
            unreadable=_read_all(completions, asked).count(None),
            judge_failures=sum(told is None and bool(options) for told, options in pairs),
        )
        if log_metric:
            for name, value in self.parts.metrics().items():
                log_metric(name, value)
        told = follows or [0.0] * len(completions)
        return [_weigh(weights, *parts) for parts in zip(forms, right, told, choices)]


def _weigh(weights: Weights, form: float, right: float, follows: float | None, choices: Sequence[str]) -> float | None:
    """The sum; a number, which cannot be judged, is weighed by the other two rewards alone."""
    if follows is None and choices:
        return None
    if not choices:
        weights = Weights(format=weights.format, accuracy=weights.accuracy, consistency=0.0)
    return weights.format * form + weights.accuracy * right + weights.consistency * (follows or 0.0)
