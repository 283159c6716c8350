"""How answers are scored and what the scores come to: by task, with intervals, and one run against another."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.answers import LETTERS, same_words
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Answer, ErrorCode
from embodied_r_ros.evaluation.intervals import difference_interval, interval, macro_interval
from embodied_r_ros.evaluation.samples import Sample, chance, is_number

_NUMBER = re.compile(r'(?<![\w.])[-+]?(?:\d+(?:\.\d+)?|\.\d+)')
# Mean relative accuracy (VSI-Bench).
_CONFIDENCES = tuple(percent / 100 for percent in range(50, 100, 5))

Scores = NDArray[np.float64]


def score(sample: Sample, answer: Answer) -> float:
    """What an answer counts: 1 for the true choice, else 0; the mean relative accuracy for a number.

    For an open question in words 1 where the words are the true ones; others are for people to read and count 0.
    """
    if answer.error_code is not ErrorCode.OK:
        return 0.0
    if sample['choices']:
        return float(answer.choice == LETTERS.index(sample['answer']))
    if is_number(sample['answer']):
        return relative_accuracy(answer.answer, sample['answer'])
    return float(same_words(answer.answer) == same_words(sample['answer']))


def relative_accuracy(answer: str, truth: str) -> float:
    """The share of the confidences 0.50, 0.55, ..., 0.95 that a number in words meets: off by at most 1 - confidence.

    Raises:
        InputError: the truth is no number.
    """
    try:
        wanted = float(truth)
    except ValueError as error:
        raise InputError(
            f'without choices, the true answer should be a number, got {truth!r}; mend the sample'
        ) from error
    told = _NUMBER.findall(answer.replace(',', ''))
    if len(told) != 1:
        return 0.0
    off = abs(float(told[0]) - wanted)
    error_share = off / abs(wanted) if wanted else math.inf if off else 0.0
    return sum(error_share < 1.0 - confidence + 1e-9 for confidence in _CONFIDENCES) / len(_CONFIDENCES)


def summary(
    samples: Sequence[Sample], scores: Scores, columns: Mapping[str, Scores | None] | None = None
) -> dict[str, Any]:
    """Accuracy with its 95 % interval over scenes, beside chance, in all and per task.

    Args:
        samples: at least one.
        scores: of the answers, in the order of the samples.
        columns: further numbers of each sample by name, whose means are told wherever the accuracy is; None stays
            None.
    """
    scenes, tasks = column(samples, 'scene'), column(samples, 'category')
    told: dict[str, Scores | None] = {'chance': np.array([chance(sample) for sample in samples]), **(columns or {})}
    per_task = {}
    for task in dict.fromkeys(tasks.tolist()):
        of = tasks == task
        per_task[task] = {
            'questions': int(of.sum()),
            'accuracy': mean(scores[of]),
            'interval': interval(scores[of], scenes[of]),
            **{name: None if values is None else mean(values[of]) for name, values in told.items()},
        }
    return {
        'questions': len(samples),
        'scenes': len(set(scenes.tolist())),
        'accuracy': mean(scores),
        'interval': interval(scores, scenes),
        'macro': round(float(np.mean([entry['accuracy'] for entry in per_task.values()])), 4),
        'macro_interval': macro_interval(scores, scenes, tasks),
        **{name: None if values is None else mean(values) for name, values in told.items()},
        'per_task': per_task,
    }


def paired(samples: Sequence[Sample], scores: Scores, others: Scores) -> dict[str, Any]:
    """The first run's accuracy less the second's, question by question, with the interval over scenes.

    Args:
        samples: that both answered, at least one.
        scores, others: of the first and the second run, in the order of the samples.
    """
    scenes, tasks = column(samples, 'scene'), column(samples, 'category')
    per_task = {
        task: {
            'difference': mean((scores - others)[tasks == task]),
            'interval': difference_interval((scores - others)[tasks == task], scenes[tasks == task]),
        }
        for task in dict.fromkeys(tasks.tolist())
    }
    return {
        'accuracy': mean(others),
        'difference': mean(scores - others),
        'interval': difference_interval(scores - others, scenes),
        'better': int((scores > others).sum()),
        'worse': int((scores < others).sum()),
        'per_task': per_task,
    }


def counts(values: Sequence[str]) -> dict[str, int]:
    """How often each value comes, in the order of the first of each."""
    return {value: values.count(value) for value in dict.fromkeys(values)}


def column(samples: Sequence[Sample], name: str) -> NDArray[np.str_]:
    """A field of each sample."""
    return np.array([sample[name] for sample in samples])


def mean(values: NDArray[Any]) -> float:
    """The mean, as reports tell it."""
    return round(float(np.mean(values)), 4)
