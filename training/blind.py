"""A reader that sees the questions and choices alone: what it gets right above chance, the questions give away."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.samples import Sample

SLOTS = 1 << 14
FOLDS = 5
EPOCHS, RATE, DECAY = 8, 0.3, 1e-4


def blind_right(samples: Sequence[Sample], seed: int = 0) -> NDArray[np.bool_]:
    """Which samples a question-only reader gets right, each read by a model fitted on the other scenes.

    The reader is a softmax over the choices of each question, linear in hashed features: the choice's words and place,
    alone and together with each word of the question.

    Returns:
        (n,) booleans, in the order of the samples.
    """
    rng = np.random.default_rng(seed)
    scenes = sorted({sample['scene'] for sample in samples})
    fold_of = dict(zip(scenes, rng.permutation(len(scenes)) % FOLDS))
    folds = np.array([fold_of[sample['scene']] for sample in samples])
    features = [[_features(sample, choice) for choice in range(len(sample['choices']))] for sample in samples]
    truth = [ord(sample['answer']) - ord('A') for sample in samples]
    right = np.zeros(len(samples), bool)
    for fold in range(FOLDS):
        weights = _fit(
            [features[i] for i in np.flatnonzero(folds != fold)], [truth[i] for i in np.flatnonzero(folds != fold)], rng
        )
        for i in np.flatnonzero(folds == fold):
            right[i] = int(np.argmax([weights[slots].sum() for slots in features[i]])) == truth[i]
    return right


def _features(sample: Sample, choice: int) -> NDArray[np.int64]:
    asked = set(re.findall(r'[a-z]+|\d+', sample['question'].lower()))
    words = ' '.join(re.findall(r'[a-z]+|\d+', sample['choices'][choice].lower()))
    task = sample['category']
    names = [f'{task}|{words}', f'{task}|place {choice}', *(f'{task}|{words}|{word}' for word in asked)]
    return np.array([zlib.crc32(name.encode()) % SLOTS for name in names])


def _fit(
    features: Sequence[Sequence[NDArray[np.int64]]], truth: Sequence[int], rng: np.random.Generator
) -> NDArray[np.float64]:
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
