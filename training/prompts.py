"""Samples put into the words of a prompt format, as the robot would ask them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.formats import Prompt, PromptFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, choose
from embodied_r_ros.core.records import Question
from embodied_r_ros.evaluation.samples import Sample, to_observations

TOO_LONG = 'too long'


@dataclasses.dataclass(frozen=True)
class Asked:
    """Questions ready for a trainer.

    Attributes:
        rows: prompt (chat turns), id, question, choices and answer of each sample that can be asked.
        prompts: the prompt of each id, with the reader of its replies.
        longest: tokens of the longest prompt.
        left_out: how many samples cannot be asked, by reason.
    """

    rows: list[dict[str, Any]]
    prompts: dict[str, Prompt]
    longest: int
    left_out: collections.Counter[str]


def ask_sample(
    sample: Sample, prompt_format: PromptFormat, max_observations: int = ReasoningSettings().max_observations
) -> Prompt:
    """The prompt in which the robot would ask a sample's question.

    Args:
        sample: with observations.
        prompt_format: of the reasoner.
        max_observations: put before the reasoner at most.

    Raises:
        InputError: the format cannot ask it, or the sample has no observations.
    """
    question = Question(text=sample['question'], choices=tuple(sample['choices']))
    return prompt_format.ask(question, choose(question, to_observations(sample), max_observations))


def ask_all(
    samples: Sequence[Sample],
    prompt_format: PromptFormat,
    count_tokens: Callable[[list[dict[str, str]]], int],
    most: int,
) -> Asked:
    """Ask every sample that the format can ask in at most so many tokens.

    Args:
        samples: with observations.
        prompt_format: of the reasoner.
        count_tokens: the length of some chat turns.
        most: tokens of a prompt.

    Raises:
        InputError: none is left; the message says why the first one cannot be asked.
    """
    asked = Asked([], {}, 0, collections.Counter())
    longest, first_reason = 0, 'there is no sample'
    for sample in samples:
        try:
            prompt = ask_sample(sample, prompt_format)
        except InputError as error:
            reason, told = type(error).__name__, str(error)
        else:
            turns = [{'role': message.role, 'content': message.content} for message in prompt.messages]
            length = count_tokens(turns)
            if length <= most:
                longest = max(longest, length)
                asked.prompts[sample['id']] = prompt
                columns = {name: sample[name] for name in ('id', 'question', 'choices', 'answer')}
                asked.rows.append({'prompt': turns, **columns})
                continue
            reason, told = TOO_LONG, f'its prompt has {length} tokens, and at most {most} are allowed'
        first_reason = first_reason if asked.left_out else f'sample {sample["id"]!r}: {told}'
        asked.left_out[reason] += 1
    if not asked.rows:
        raise InputError(
            f'samples to train on were wanted, none of {len(samples)} is left; the first reason: {first_reason}'
        )
    return dataclasses.replace(asked, longest=longest)
