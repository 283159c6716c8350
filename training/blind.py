"""A reader that sees the questions and choices alone: what it gets right above chance, the questions give away.

python -m training.blind --fit out/others.jsonl --samples out/world.jsonl
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.errors import EmbodiedRError
from training.samples import Sample, read_samples

SLOTS = 1 << 14
FOLDS = 5
EPOCHS, RATE, DECAY = 8, 0.3, 1e-4


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, per task, what the reader gets right beside chance; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m training.blind', description='Read questions alone.')
    parser.add_argument('--fit', type=pathlib.Path, required=True, help='samples that the reader is fitted on')
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='samples that it is measured on')
    options = parser.parse_args(arguments)
    try:
        samples = read_samples(options.samples)
        right = blind_right(samples, read_samples(options.fit))
    except EmbodiedRError as error:
        print(f'training.blind: {error}', file=sys.stderr)
        return 2
    chance = np.array([1.0 / len(sample['choices']) for sample in samples])
    tasks = np.array([sample['category'] for sample in samples])
    for task in dict.fromkeys(tasks.tolist()):
        of = tasks == task
        print(f'{task:22} {of.sum():5d} blind {right[of].mean():6.1%} chance {chance[of].mean():6.1%}')
    return 0


def blind_right(samples: Sequence[Sample], fit_on: Sequence[Sample] | None = None, seed: int = 0) -> NDArray[np.bool_]:
    """Which samples a question-only reader gets right.

    The reader is a softmax over the choices of each question, linear in hashed features: the choice's words and place,
    alone and together with each word of the question.

    Args:
        samples: what is read.
        fit_on: other samples that the reader is fitted on. Without them each scene is read by a reader fitted on the
            other scenes, which finds less than chance where the answers are balanced over the whole.
        seed: of the folds and of the order of the steps.

    Returns:
        (n,) booleans, in the order of the samples.
    """
    rng = np.random.default_rng(seed)
    if fit_on is not None:
        return _read(samples, _fit(fit_on, rng))
    scenes = sorted({sample['scene'] for sample in samples})
    fold_of = dict(zip(scenes, rng.permutation(len(scenes)) % FOLDS))
    folds = np.array([fold_of[sample['scene']] for sample in samples])
    right = np.zeros(len(samples), bool)
    for fold in range(FOLDS):
        weights = _fit([sample for sample, other in zip(samples, folds) if other != fold], rng)
        right[folds == fold] = _read([sample for sample, other in zip(samples, folds) if other == fold], weights)
    return right


def _read(samples: Sequence[Sample], weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which samples the weights choose rightly, (n,)."""
    chosen = [int(np.argmax([weights[slots].sum() for slots in _all_features(sample)])) for sample in samples]
    return np.array([choice == _truth(sample) for choice, sample in zip(chosen, samples)], bool)


def _truth(sample: Sample) -> int:
    return ord(sample['answer']) - ord('A')


def _all_features(sample: Sample) -> list[NDArray[np.int64]]:
    return [_features(sample, choice) for choice in range(len(sample['choices']))]


def _features(sample: Sample, choice: int) -> NDArray[np.int64]:
    asked = set(re.findall(r'[a-z]+|\d+', sample['question'].lower()))
    words = ' '.join(re.findall(r'[a-z]+|\d+', sample['choices'][choice].lower()))
    task = sample['category']
    names = [f'{task}|{words}', f'{task}|place {choice}', *(f'{task}|{words}|{word}' for word in asked)]
    return np.array([zlib.crc32(name.encode()) % SLOTS for name in names])


def _fit(samples: Sequence[Sample], rng: np.random.Generator) -> NDArray[np.float64]:
    features, truth = [_all_features(sample) for sample in samples], [_truth(sample) for sample in samples]
    weights = np.zeros(SLOTS)
    for epoch in range(EPOCHS):
        for i in rng.permutation(len(features)):
            scores = np.array([weights[slots].sum() for slots in features[i]])
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            for choice, slots in enumerate(features[i]):
                step = RATE / (1 + epoch) / len(slots) * ((choice == truth[i]) - shares[choice])
                weights[slots] += step - DECAY * weights[slots]
    return weights


if __name__ == '__main__':
    sys.exit(main())
