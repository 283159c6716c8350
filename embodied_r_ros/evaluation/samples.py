"""Samples: a question with its answer, and what was observed, one JSON object per line.

A sample has id, source, scene, category, question, choices, answer (a letter), and either `media` (path, start_s,
end_s; null is the end; odometry, false where it must not be looked at) or `observations`, as
`evaluation.observation_json` has them, or each with stamp_ns, action and text in words. It may name the `split` that
its scene belongs to. A question for a number has no choices, and the number in words as its answer ('3.2').
"""

from __future__ import annotations

import collections
import hashlib
import json
import math
import pathlib
import re
import string
from collections.abc import Iterable, Sequence
from typing import Any

from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.evaluation.observation_json import from_entry, to_entry

Sample = dict[str, Any]
SPLITS = ('train', 'validation', 'test')
_NEEDED = ('id', 'source', 'scene', 'category', 'question', 'choices', 'answer')
_FOLD = re.compile(r'([1-9]\d*)/([1-9]\d*)')


def read_samples(
    path: pathlib.Path, split: str | None = None, fold: str | None = None, without: str | None = None, seed: int = 0
) -> list[Sample]:
    """The samples of a file.

    Args:
        path: of the file.
        split: only the samples of this one of SPLITS.
        fold: 'I/K', only the scenes of the I-th of K folds, 1 being the first.
        without: 'I/K', all scenes but those of that fold.
        seed: of the folds; another one deals the scenes anew.

    Raises:
        InputError: the file cannot be read, a line is no sample (the message names it), or none is in the split.
        SettingsError: there is no such split or fold.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding='utf-8').split('\n')
    except OSError as error:
        raise InputError(f'samples cannot be read from {str(path)!r}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'samples cannot be read from {str(path)!r}: {error}') from error
    numbered = [(line, f'{path}, line {number}') for number, line in enumerate(lines, start=1) if line.strip()]
    samples = [read_sample(line, where) for line, where in numbered]
    ids = [sample['id'] for sample in samples]
    if len(set(ids)) != len(ids):
        twice = next(value for value in ids if ids.count(value) > 1)
        raise InputError(f'{path} holds the id {twice!r} more than once; ids must differ')
    if split is not None:
        samples = _in_split(samples, split, path)
    if fold is not None:
        samples = [sample for sample in samples if _in_fold(sample['scene'], fold, seed)]
    if without is not None:
        samples = [sample for sample in samples if not _in_fold(sample['scene'], without, seed)]
    return samples


def split_of(scene: str, seed: int, shares: tuple[float, float, float] = (0.75, 0.05, 0.20)) -> str:
    """The split that a scene belongs to, whatever else is in the file.

    Args:
        scene: all of whose questions go the same way.
        seed: another one deals the scenes anew.
        shares: of the scenes in each of SPLITS; they sum to 1. The default is that of the paper's code.

    Raises:
        SettingsError: the shares are no shares.
    """
    if min(shares) < 0.0 or not math.isclose(sum(shares), 1.0):
        raise SettingsError(f'shares of {", ".join(SPLITS)} that sum to 1 were wanted, got {shares!r}')
    place = _place(f'split {seed} {scene}')
    if place < shares[0]:
        return 'train'
    return 'validation' if place < shares[0] + shares[1] else 'test'


def split_counts(samples: Iterable[Sample]) -> str:
    """How many samples each of SPLITS holds: '75 train, 5 validation, 20 test'."""
    counts = collections.Counter(sample['split'] for sample in samples)
    return ', '.join(f'{counts[split]} {split}' for split in SPLITS)


def _in_split(samples: list[Sample], split: str, path: pathlib.Path) -> list[Sample]:
    if split not in SPLITS:
        raise SettingsError(f'one of the splits {", ".join(SPLITS)} was wanted, got {split!r}')
    found = [sample for sample in samples if sample.get('split') == split]
    if not found:
        named = sum('split' in sample for sample in samples)
        raise InputError(
            f'{path} holds no sample of the split {split!r}: {named} of its {len(samples)} name a split; '
            'ask for another one, or for all'
        )
    return found


def _in_fold(scene: str, fold: str, seed: int) -> bool:
    match = _FOLD.fullmatch(fold)
    if match is None or int(match[1]) > int(match[2]):
        raise SettingsError(f"a fold 'I/K' with I from 1 to K was wanted, got {fold!r}; 1/5 is the first of five")
    return int(_place(f'fold {seed} {scene}') * int(match[2])) == int(match[1]) - 1


def _place(text: str) -> float:
    """A number in [0, 1) that the text alone decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], 'big') / 2**48


def read_sample(line: str, where: str) -> Sample:
    """A sample from its line; `where` is how an error names the line.

    Raises:
        InputError: it is none.
    """
    try:
        sample = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{where} is no JSON: {error}') from error
    missing = [name for name in _NEEDED if name not in sample] if isinstance(sample, dict) else list(_NEEDED)
    if missing:
        raise InputError(f'{where} lacks {", ".join(missing)}; a sample has {", ".join(_NEEDED)}')
    choices = sample['choices']
    in_words = isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)
    if not in_words or len(choices) == 1 or len(choices) > 26:
        raise InputError(f'{where}: 2 to 26 choices in words, or none for a number, are wanted, got {choices!r}')
    letters = string.ascii_uppercase[: len(choices)]
    if choices and sample['answer'] not in list(letters):
        raise InputError(
            f'{where}: the answer {sample["answer"]!r} is none of the letters {letters!r} of its {len(letters)} choices'
        )
    if not choices and not is_number(sample['answer']):
        raise InputError(
            f'{where}: a number in words (as "3.2") is wanted where there are no choices, got {sample["answer"]!r}'
        )
    if not isinstance(sample['id'], str):
        raise InputError(f'{where}: an id in words is wanted, got {sample["id"]!r}')
    if sample.get('split') not in (None, *SPLITS):
        raise InputError(f'{where}: one of the splits {", ".join(SPLITS)} is wanted, got {sample["split"]!r}')
    return dict(sample)


def is_number(answer: object) -> bool:
    """Whether an answer is a finite number written as text."""
    try:
        return isinstance(answer, str) and math.isfinite(float(answer))
    except ValueError:
        return False


def chance(sample: Sample) -> float:
    """The share that guessing gets right: of the choices there are; 0 where a number is asked for."""
    return 1.0 / len(sample['choices']) if sample['choices'] else 0.0


def write_samples(path: pathlib.Path, samples: Iterable[Sample]) -> int:
    """Write samples, by way of a temporary file so that nothing is ever half written; returns their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(path.suffix + '.part')
    count = 0
    with unfinished.open('w', encoding='utf-8') as file:
        for sample in samples:
            file.write(json.dumps(sample) + '\n')
            count += 1
    unfinished.replace(path)
    return count


def from_observations(observations: Sequence[Observation]) -> list[dict[str, Any]]:
    """Observations as a sample holds them."""
    return list(map(to_entry, observations))


def to_observations(sample: Sample) -> list[Observation]:
    """The observations of a sample.

    Raises:
        InputError: it has none yet, which `training.perceive` writes, or one of them cannot be read.
    """
    if 'observations' not in sample:
        raise InputError(f'sample {sample["id"]!r} has no observations; write them with python -m training.perceive')
    try:
        return [from_entry(entry, session=0, index=index) for index, entry in enumerate(sample['observations'])]
    except InputError as error:
        raise InputError(f'sample {sample["id"]!r}: {error}') from error
