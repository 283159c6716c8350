"""A reader that sees the questions and choices alone: what it gets right above chance, the questions give away.

python -m training.question_only_baseline --fit out/others.jsonl --samples out/world.jsonl
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import re
import statistics
import sys
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.evaluation.samples import SPLITS, Sample, chance, read_samples
from embodied_r_ros.evaluation.scoring import relative_accuracy

SLOTS = 1 << 14
FOLDS = 5
LEAST_CROSS_FITTED = 5_000  # with fewer questions the readers learn too little to find what they give away
EPOCHS, RATE, DECAY = 8, 0.3, 1e-4

Rate = Callable[[NDArray[np.float64], int], float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, per task, what the reader gets right beside chance; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.question_only_baseline', description='Read questions alone.'
    )
    parser.add_argument('--fit', type=pathlib.Path, help='Fit on this file (default: for each scene, on the others).')
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='Measure on the samples in this file.')
    for name, which in (('--fit-split', '--fit'), ('--split', '--samples')):
        parser.add_argument(name, choices=SPLITS, help=f'Take only the samples of this split of {which}.')
    options = parser.parse_args(arguments)
    try:
        samples = read_samples(options.samples, options.split)
        fit_on = read_samples(options.fit, options.fit_split) if options.fit else None
        if fit_on is None and len(samples) < LEAST_CROSS_FITTED:
            raise InputError(
                f'at least {LEAST_CROSS_FITTED} questions were wanted, to fit readers on a part of them, got '
                f'{len(samples)}; fit on others with --fit'
            )
        right = question_only_right(samples, fit_on)
    except EmbodiedRError as error:
        print(f'training.question_only_baseline: {error}', file=sys.stderr)
        return 2
    guessing = np.array([chance(sample) for sample in samples])
    tasks = np.array([sample['category'] for sample in samples])
    for task in dict.fromkeys(tasks.tolist()):
        of = tasks == task
        print(f'{task:22} {of.sum():5d} question only {right[of].mean():6.1%} chance {guessing[of].mean():6.1%}')
    print(f'{"all":22} {len(samples):5d} question only {right.mean():6.1%} chance {guessing.mean():6.1%}')
    return 0


def question_only_right(
    samples: Sequence[Sample], fit_on: Sequence[Sample] | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """What a question-only reader gets right.

    The reader is a softmax over the choices of each question, linear in hashed features: the choice's words and place,
    alone and together with each word of the question. For a number it says the median of what is right for the same
    question elsewhere, or for its category.

    Args:
        samples: what is read.
        fit_on: other samples that the reader is fitted on. Without them each scene is read by a reader fitted on the
            other scenes, which finds less than chance where the answers are balanced over the whole.
        seed: of the folds and of the order of the steps.

    Returns:
        (n,) in the order of the samples: 1 or 0 for a choice, the mean relative accuracy for a number.
    """
    return _read(samples, fit_on, seed, lambda scores, truth: float(np.argmax(scores) == truth))


def question_only_shares(
    samples: Sequence[Sample], fit_on: Sequence[Sample] | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """How surely the reader of `question_only_right` gives the right answer.

    Returns:
        (n,) in the order of the samples: its probability of the right choice, the mean relative accuracy for a number.
    """
    return _read(samples, fit_on, seed, lambda scores, truth: float(_softmax(scores)[truth]))


def _read(samples: Sequence[Sample], fit_on: Sequence[Sample] | None, seed: int, rate: Rate) -> NDArray[np.float64]:
    """Each sample read by a reader that did not learn from its scene, and rated by the scores of its choices, (n,)."""
    rng = np.random.default_rng(seed)
    if fit_on is not None:
        return _Reader(fit_on, rng).rated(samples, rate)
    scenes = sorted({sample['scene'] for sample in samples})
    fold_of = dict(zip(scenes, rng.permutation(len(scenes)) % FOLDS))
    folds = np.array([fold_of[sample['scene']] for sample in samples])
    rated = np.zeros(len(samples))
    for fold in range(FOLDS):
        reader = _Reader([sample for sample, other in zip(samples, folds) if other != fold], rng)
        rated[folds == fold] = reader.rated([sample for sample, other in zip(samples, folds) if other == fold], rate)
    return rated


class _Reader:
    """Fitted on samples: weights for choices, the usual numbers for numbers."""

    def __init__(self, samples: Sequence[Sample], rng: np.random.Generator) -> None:
        self._weights = _fit([sample for sample in samples if sample['choices']], rng)
        self._numbers: dict[str, list[float]] = collections.defaultdict(list)
        for sample in samples:
            for key in () if sample['choices'] else (_asked(sample), sample['category']):
                self._numbers[key].append(float(sample['answer']))

    def rated(self, samples: Sequence[Sample], rate: Rate) -> NDArray[np.float64]:
        """The ratings of the samples, (n,)."""
        return np.array([self._rating(sample, rate) for sample in samples], np.float64)

    def _rating(self, sample: Sample, rate: Rate) -> float:
        if sample['choices']:
            return rate(self._weights[_features(sample)].sum(axis=1), _truth(sample))
        usual = self._numbers.get(_asked(sample)) or self._numbers.get(sample['category'])
        return relative_accuracy(repr(statistics.median(usual)), sample['answer']) if usual else 0.0


def _asked(sample: Sample) -> str:
    return f'{sample["category"]}|{sample["question"]}'


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def _truth(sample: Sample) -> int:
    return ord(sample['answer']) - ord('A')


def _features(sample: Sample) -> NDArray[np.int64]:
    """The slots of each choice's features, (choices, features of one)."""
    asked = set(re.findall(r'[a-z]+|\d+', sample['question'].lower()))
    task, rows = sample['category'], []
    for place, choice in enumerate(sample['choices']):
        words = ' '.join(re.findall(r'[a-z]+|\d+', choice.lower()))
        names = [f'{task}|{words}', f'{task}|place {place}', *(f'{task}|{words}|{word}' for word in asked)]
        rows.append([zlib.crc32(name.encode()) % SLOTS for name in names])
    return np.array(rows)


def _fit(samples: Sequence[Sample], rng: np.random.Generator) -> NDArray[np.float64]:
    features, truth = [_features(sample) for sample in samples], [_truth(sample) for sample in samples]
    weights = np.zeros(SLOTS)
    for epoch in range(EPOCHS):
        for i in rng.permutation(len(features)):
            slots = features[i]
            wanted = np.arange(len(slots)) == truth[i]
            steps = RATE / (1 + epoch) / slots.shape[1] * (wanted - _softmax(weights[slots].sum(axis=1)))
            weights[slots] += steps[:, None] - DECAY * weights[slots]
    return weights


if __name__ == '__main__':
    sys.exit(main())
