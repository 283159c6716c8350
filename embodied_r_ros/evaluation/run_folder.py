"""A run of questions on disk: what it was made with, and an answer per line as it came; a killed run goes on."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import embodied_r_ros
from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.records import Answer, ErrorCode, Evidence
from embodied_r_ros.evaluation.samples import Sample

FORMAT = 1
ABOUT_FILE, ANSWERS_FILE = 'run.json', 'answers.jsonl'
# Another time may go better.
TRIED_AGAIN = (
    ErrorCode.NOT_ACTIVE,
    ErrorCode.MODEL_LOADING,
    ErrorCode.BUSY,
    ErrorCode.TIMEOUT,
    ErrorCode.SERVER_DOWN,
    ErrorCode.CANCELLED,
    ErrorCode.INTERNAL,
)
_TOLD = ('answer', 'choice', 'thinking', 'confidence', 'used', 'available', 'timings_s', 'model', 'prompt_id', 'forced')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of a question.

    Attributes:
        about: a hash of the recording that it is about, and of the labels beside it.
        begin_ns: stamp from which the sample's seconds count.
        seen: indices of the key frames that the robot had to answer from.
    """

    sample: Sample
    answer: Answer
    about: str = ''
    begin_ns: int = 0
    seen: tuple[int, ...] = ()


class RunFolder:
    """The folder of a run.

    Args:
        path: of the folder, made where it is missing.
        made_with: names and values of all that decides the answers; another run has others.

    Raises:
        SettingsError: the folder cannot be written, or holds another run.
    """

    def __init__(self, path: pathlib.Path, made_with: Mapping[str, Any]) -> None:
        self._answers = path / ANSWERS_FILE
        about = {'format': FORMAT, 'version': embodied_r_ros.__version__, 'made_with': dict(made_with)}
        file = path / ABOUT_FILE
        try:
            path.mkdir(parents=True, exist_ok=True)
            if file.exists():
                _check_same(file, about)
            _write(file, json.dumps(about, indent=1))
        except OSError as error:
            raise SettingsError(f'{str(path)!r} cannot be written: {error.strerror}; name another folder') from error

    def known(self, samples: Sequence[Sample], about: Mapping[str, str]) -> dict[str, Reply]:
        """The replies to these samples, by id, that need not be asked for again.

        Args:
            about: the hash of each sample's recording as it is now, by id.
        """
        if not self._answers.exists():
            return {}
        by_id = {sample['id']: sample for sample in samples}
        return {
            reply.sample['id']: reply
            for reply in _read_answers(self._answers, may_break_off=True)
            if by_id.get(reply.sample['id']) == reply.sample
            and about[reply.sample['id']] == reply.about
            and reply.answer.error_code not in TRIED_AGAIN
        }

    def begin(self, replies: Sequence[Reply]) -> None:
        """Write what is known, and nothing else."""
        try:
            _write(self._answers, ''.join(map(_line, replies)))
        except OSError as error:
            raise SettingsError(f'{str(self._answers)!r} cannot be written: {error.strerror}') from error

    def add(self, reply: Reply) -> None:
        """Write a reply behind those that are there."""
        try:
            with self._answers.open('a', encoding='utf-8') as file:
                file.write(_line(reply))
        except OSError as error:
            raise SettingsError(f'{str(self._answers)!r} cannot be written: {error.strerror}') from error


def read_run(path: pathlib.Path) -> list[Reply]:
    """The replies of a run, to compare with.

    Raises:
        InputError: there is no run, it is of another format, or it holds no answer.
    """
    file = path / ABOUT_FILE
    try:
        about = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'a run that `evaluate --out` wrote was wanted, got {str(path)!r}: {error}') from error
    found = about.get('format') if isinstance(about, dict) else None
    if found != FORMAT:
        raise InputError(f'{path} is a run of another version (format {found!r}, {FORMAT} was wanted); run it again')
    replies = _read_answers(path / ANSWERS_FILE) if (path / ANSWERS_FILE).exists() else []
    if not replies:
        raise InputError(f'{path} holds no answer to compare with; let that run come to its end first')
    return replies


def _check_same(file: pathlib.Path, about: Mapping[str, Any]) -> None:
    try:
        held = json.loads(file.read_text(encoding='utf-8'))
        differs = [name for name in about if held.get(name) != about[name]]
        if 'made_with' in differs and isinstance(held.get('made_with'), dict):
            made = about['made_with']
            differs = [name for name in made if held['made_with'].get(name) != made[name]] or differs
    except (ValueError, AttributeError):
        differs = [ABOUT_FILE]
    if differs:
        raise SettingsError(
            f'{file.parent} holds a run that was made with another {", ".join(differs)}; name another folder with --out'
        )


def _read_answers(file: pathlib.Path, *, may_break_off: bool = False) -> list[Reply]:
    """The replies in a file; of one that a run may still have been writing, those before the line that breaks off."""
    replies = []
    for number, line in enumerate(file.read_text(encoding='utf-8', errors='replace').split('\n'), start=1):
        if not line:
            continue
        try:
            replies.append(_reply(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if may_break_off:
                break
            raise InputError(f'{file}, line {number} is no answer: {error!r}; let that run come to its end') from error
    return replies


def _line(reply: Reply) -> str:
    answer = reply.answer
    told = {name: getattr(answer, name) for name in _TOLD}
    entry = {
        'sample': reply.sample,
        'about': reply.about,
        'begin_ns': reply.begin_ns,
        'seen': reply.seen,
        'error_code': answer.error_code.name,
        'error_msg': answer.error_msg,
        **told,
        'confidence': None if math.isnan(answer.confidence) else answer.confidence,
        'evidence': [
            {'session': cited.session, 'index': cited.index, 'stamp_ns': cited.stamp_ns, 'text': cited.text}
            for cited in answer.evidence
        ],
    }
    return json.dumps(entry) + '\n'


def _reply(entry: Mapping[str, Any]) -> Reply:
    told = {name: entry[name] for name in _TOLD}
    answer = Answer(
        **{**told, 'confidence': math.nan if told['confidence'] is None else told['confidence']},
        error_code=ErrorCode[entry['error_code']],
        error_msg=entry['error_msg'],
        evidence=tuple(Evidence(**cited) for cited in entry['evidence']),
    )
    return Reply(
        sample=dict(entry['sample']),
        answer=answer,
        about=entry['about'],
        begin_ns=entry['begin_ns'],
        seen=tuple(entry['seen']),
    )


def _write(file: pathlib.Path, text: str) -> None:
    unfinished = file.with_suffix('.part')
    unfinished.write_text(text, encoding='utf-8')
    unfinished.replace(file)
