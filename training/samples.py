"""Samples: a question with its answer, and what was observed, one JSON object per line.

A sample has id, source, scene, category, question, choices, answer (a letter), and either `media` (path, start_s,
end_s; null is the end) or `observations` (stamp_ns, action, text of each).
"""

from __future__ import annotations

import json
import pathlib
import string
from collections.abc import Iterable, Sequence
from typing import Any

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Observation

Sample = dict[str, Any]
_NEEDED = ('id', 'source', 'scene', 'category', 'question', 'choices', 'answer')


def read_samples(path: pathlib.Path) -> list[Sample]:
    """All samples of a file.

    Raises:
        InputError: the file cannot be read, or a line is no sample; the message names the line.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise InputError(f'samples cannot be read from {str(path)!r}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'samples cannot be read from {str(path)!r}: {error}') from error
    samples = [_sample(line, f'{path}, line {number}') for number, line in enumerate(lines, start=1) if line.strip()]
    ids = [sample['id'] for sample in samples]
    if len(set(ids)) != len(ids):
        twice = next(value for value in ids if ids.count(value) > 1)
        raise InputError(f'{path} holds the id {twice!r} more than once; ids must differ')
    return samples


def _sample(line: str, where: str) -> Sample:
    try:
        sample = json.loads(line)
    except ValueError as error:
        raise InputError(f'{where} is no JSON: {error}') from error
    missing = [name for name in _NEEDED if name not in sample] if isinstance(sample, dict) else list(_NEEDED)
    if missing:
        raise InputError(f'{where} lacks {", ".join(missing)}; a sample has {", ".join(_NEEDED)}')
    choices = sample['choices']
    if not isinstance(choices, list) or not 2 <= len(choices) <= 26 or not all(isinstance(c, str) for c in choices):
        raise InputError(f'{where}: 2 to 26 choices in words are wanted, got {choices!r}')
    letters = string.ascii_uppercase[: len(choices)]
    if sample['answer'] not in list(letters):
        raise InputError(
            f'{where}: the answer {sample["answer"]!r} is none of the letters {letters!r} of its {len(letters)} choices'
        )
    if not isinstance(sample['id'], str):
        raise InputError(f'{where}: an id in words is wanted, got {sample["id"]!r}')
    return dict(sample)


def write_samples(path: pathlib.Path, samples: Iterable[Sample]) -> int:
    """Write samples, by way of a temporary file so that nothing is ever half written; returns their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(path.suffix + '.part')
    count = 0
    with unfinished.open('w') as file:
        for sample in samples:
            file.write(json.dumps(sample) + '\n')
            count += 1
    unfinished.replace(path)
    return count


def from_observations(observations: Sequence[Observation]) -> list[dict[str, Any]]:
    """Observations as a sample holds them."""
    return [{'stamp_ns': o.stamp_ns, 'action': o.action, 'text': o.text} for o in observations]


def to_observations(sample: Sample) -> list[Observation]:
    """The observations of a sample.

    Raises:
        InputError: it has none yet; `training.perceive` writes them.
    """
    if 'observations' not in sample:
        raise InputError(f'sample {sample["id"]!r} has no observations; write them with python -m training.perceive')
    return [
        Observation(session=0, index=index, stamp_ns=entry['stamp_ns'], action=entry['action'], text=entry['text'])
        for index, entry in enumerate(sample['observations'])
    ]
