"""Questions to evaluate with: a YAML list that people write, or JSON lines of samples.

    - question: Which way is the charging dock?
      choices: [to the left, to the right]     # none for an open question
      answer: to the left                      # or its letter; a number or words where there are no choices
      second: 12.5                             # asked so long after the first image; else at the end
      media: morning                           # the recording's name, needed where several are given
      category: landmark position              # by which results are told
      evidence_s: [[3, 6.5]]                   # when the recording shows what the answer rests on

What cannot be asked is left out with a sentence; the rest of the file counts.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import string
from collections.abc import Mapping, Sequence
from typing import Any

from embodied_r_ros.core.answers import validate_question
from embodied_r_ros.core.errors import InputError, SettingsError, UnsupportedQuestion
from embodied_r_ros.core.questions import read_question
from embodied_r_ros.core.records import Question
from embodied_r_ros.core.yaml_file import read_yaml
from embodied_r_ros.evaluation.samples import Sample, read_sample
from embodied_r_ros.share import share_dir

BY_HAND = ('question', 'choices', 'answer', 'second', 'media', 'category', 'evidence_s')
OTHER_TASKS = 'other'


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A question that was not asked: where it stands, and why."""

    where: str
    reason: str


@dataclasses.dataclass(frozen=True)
class QuestionFile:
    """Samples with what they are about: `media` with path, start_s, end_s and odometry, or observations."""

    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]


def read_questions(path: pathlib.Path, media: Sequence[pathlib.Path] = ()) -> QuestionFile:
    """Read a file of questions.

    Args:
        path: YAML where the name ends in .yaml or .yml, else JSON lines.
        media: recordings, or folders that hold some; a question names its own by path, name or stem. Without them the
            paths in the file count, seen from here, from the file's folder or from the package's share folder.

    Raises:
        InputError: the file cannot be read, or holds no question.
    """
    by_hand = path.suffix.lower() in ('.yaml', '.yml')
    entries = _yaml_entries(path) if by_hand else _lines(path)
    if not entries:
        raise InputError(f'{path} holds no question; write a list of questions, or JSON lines')
    places = _Places(path, media)
    samples: dict[str, Sample] = {}
    left_out: list[LeftOut] = []
    for where, entry in entries:
        try:
            sample = _by_hand(entry, where, path.stem) if by_hand else read_sample(entry, where)
            if sample['id'] in samples:
                raise InputError(f'{where} has the id {sample["id"]!r} of an earlier one; ids must differ')
            sample = _normal(sample, where, places)
            validate_question(Question(text=sample['question'], choices=tuple(sample['choices'])))
            samples[sample['id']] = sample
        except InputError as error:
            left_out.append(LeftOut(where, str(error).removeprefix(f'{where} ').removeprefix(f'{where}: ')))
    return QuestionFile(tuple(samples.values()), tuple(left_out))


def _lines(path: pathlib.Path) -> list[tuple[str, Any]]:
    try:
        text = path.read_text(encoding='utf-8')
    except OSError as error:
        raise InputError(f'questions cannot be read from {str(path)!r}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'questions must be text in UTF-8, got {str(path)!r}: {error}') from error
    return [(f'line {number}', line) for number, line in enumerate(text.split('\n'), start=1) if line.strip()]


def _yaml_entries(path: pathlib.Path) -> list[tuple[str, Any]]:
    try:
        entries = read_yaml(path)
    except SettingsError as error:
        raise InputError(f'a YAML list of questions was wanted, {str(path)!r} is none: {error}') from error
    entries = [] if entries is None else entries
    if not isinstance(entries, list):
        raise InputError(f'{path} must hold a YAML list of questions, got {type(entries).__name__}')
    return [(f'question {number}', entry) for number, entry in enumerate(entries, start=1)]


def _by_hand(entry: Any, where: str, stem: str) -> Sample:
    """A sample from an entry that a person wrote.

    Raises:
        InputError: a column is missing or unknown, or its value is of another kind.
    """
    if not isinstance(entry, dict) or 'question' not in entry:
        raise InputError(f'{where} must have a question, and may have {", ".join(BY_HAND[1:])}; got {entry!r}')
    unknown = [name for name in entry if name not in BY_HAND]
    if unknown:
        raise InputError(f'{where} has the column {unknown[0]!r}, which is unknown; known are {", ".join(BY_HAND)}')
    choices = entry.get('choices') or []
    if not isinstance(choices, list):
        raise InputError(f'{where} needs its choices as a list, got {choices!r}')
    choices, question = [_words(choice) for choice in choices], str(entry['question'])
    answer = entry.get('answer')
    return {
        'id': f'{stem}-{where.rpartition(" ")[2]}',
        'source': 'by hand',
        'scene': None,
        'category': str(entry.get('category') or _category(question, choices)),
        'question': question,
        'choices': choices,
        'answer': None if answer is None else truth_of(_words(answer), choices, where),
        'media': {'path': entry.get('media'), 'end_s': entry.get('second')},
        'evidence_s': entry.get('evidence_s'),
    }


def truth_of(answer: str, choices: Sequence[str], where: str) -> str:
    """The answer as samples have it: the letter of a choice, or what was written where there are none.

    Raises:
        InputError: it is no choice.
    """
    if not choices:
        return answer
    letters = string.ascii_uppercase[: len(choices)]
    if choices.count(answer) == 1:
        return letters[choices.index(answer)]
    if answer in list(letters):
        return answer
    raise InputError(f'{where} needs as its answer one of {choices!r} or its letter, got {answer!r}')


def _words(value: Any) -> str:
    """A value as it was written: YAML reads yes and no as other than words."""
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)


def _category(text: str, choices: Sequence[str]) -> str:
    try:
        return read_question(text, choices).task
    except UnsupportedQuestion:
        return OTHER_TASKS


def _normal(sample: Sample, where: str, places: _Places) -> Sample:
    """The sample with its times checked and its recording found.

    Raises:
        InputError: there is no such recording, or a time is none.
    """
    for name in ('source', 'category', 'question'):
        if not isinstance(sample[name], str):
            raise InputError(f'{where} needs its {name} in words, got {sample[name]!r}')
    evidence_s = _intervals(sample.get('evidence_s'), where)
    if 'observations' in sample:
        return {**sample, 'scene': str(sample['scene']), 'evidence_s': evidence_s}
    media = sample.get('media')
    if not isinstance(media, Mapping):
        raise InputError(f'{where} must name its media, or hold observations, got {media!r}')
    start_s, end_s = media.get('start_s') or 0.0, media.get('end_s')
    if not _is_second(start_s) or not (end_s is None or _is_second(end_s)):
        told = start_s if not _is_second(start_s) else end_s
        raise InputError(f'{where} must be asked at a second from 0 on, or at the end, got {told!r}')
    if end_s is not None and end_s < start_s:
        raise InputError(f'{where} must not end before it starts, got {start_s!r} s to {end_s!r} s; swap them')
    path = places.find(media.get('path'), where)
    held = {
        'path': str(path),
        'start_s': float(start_s),
        'end_s': None if end_s is None else float(end_s),
        'odometry': bool(media.get('odometry', True)),
    }
    return {**sample, 'scene': str(sample['scene'] or path.resolve().stem), 'media': held, 'evidence_s': evidence_s}


def _is_second(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value < math.inf


def _intervals(given: Any, where: str) -> list[list[float]]:
    """Annotated intervals, in seconds; a single one may stand without its own brackets."""
    if given is None:
        return []
    spans = [given] if isinstance(given, list) and given and not isinstance(given[0], list) else given
    right = isinstance(spans, list) and all(
        isinstance(span, list) and len(span) == 2 and all(map(_is_second, span)) and span[0] <= span[1]
        for span in spans
    )
    if not right:
        raise InputError(f'{where} needs evidence_s as a list of [start, end] in seconds, got {given!r}')
    return [[float(first), float(last)] for first, last in spans]


class _Places:
    """Where recordings are found."""

    def __init__(self, questions: pathlib.Path, media: Sequence[pathlib.Path]) -> None:
        for path in media:
            if not path.exists():
                raise InputError(f'media must be a recording, or a folder of some, got {str(path)!r}, which is none')
        self._media = media
        self._folders = (pathlib.Path(), questions.resolve().parent, share_dir())

    def find(self, named: Any, where: str) -> pathlib.Path:
        """The recording that a question names.

        Raises:
            InputError: there is none, or it names none and several are given.
        """
        if named is None and len(self._media) == 1:
            return self._media[0]
        if not isinstance(named, str) or not named.strip():
            raise InputError(f'{where} must name one of {len(self._media)} media, got {named!r}')
        found = list(self._of_those_given(named) if self._media else self._as_written(named))
        if not found:
            known = ', '.join(map(str, self._media)) or 'here, beside the questions or in the share folder'
            raise InputError(f'{where} is about {named!r}, which is not among the media ({known})')
        return found[0]

    def _of_those_given(self, named: str) -> list[pathlib.Path]:
        """Exact paths first, then names, then what lies in a folder that was given."""
        name = pathlib.PurePath(named).name
        alike = [path for path in self._media if path == pathlib.Path(named)]
        alike += [path for path in self._media if name in (path.name, path.stem, path.resolve().name)]
        inside = [path / part for path in self._media for part in (named, name) if _is_below(path, path / part)]
        inside += [
            file for path in self._media if path.is_dir() for file in sorted(path.iterdir()) if file.stem == name
        ]
        return alike + [path for path in inside if path.exists()]

    def _as_written(self, named: str) -> list[pathlib.Path]:
        return [folder / named for folder in self._folders if (folder / named).exists()]


def _is_below(folder: pathlib.Path, path: pathlib.Path) -> bool:
    """Whether a name that a file gives stays in the folder."""
    return folder.is_dir() and folder.resolve() in path.resolve().parents
