"""What perception wrote, on disk: one file for each thing described, named by a hash of all that its words depend on.

A file is there whole or not at all, so a run that was killed goes on where it was, and machines that share a disk share
what they have described.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import embodied_r_ros
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import KeyFrame

# What reads recordings, picks key frames and looks at them.
_ROOT = pathlib.Path(embodied_r_ros.__file__).parent
CODE = (
    *(_ROOT / room for room in ('core', 'adapters', 'app')),
    *(_ROOT / 'evaluation' / file for file in ('observation_json.py', 'perceiver_source.py')),
)


class PairCache:
    """A folder of such files.

    Args:
        folder: made when the first file is written.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Any:
        """What was put there; None where nothing was, or where the disk lost it."""
        try:
            return json.loads(self._file(key).read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        """Write a value that JSON can hold.

        Raises:
            OSError: the disk is full, or the folder cannot be written to; nothing half written is left under the key.
        """
        file = self._file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f'.{os.getpid()}.part')
        unfinished.write_text(json.dumps(value), encoding='utf-8')
        unfinished.replace(file)

    def _file(self, key: str) -> pathlib.Path:
        return self._folder / key[:2] / f'{key}.json'


def key_of(parts: Iterable[str | bytes]) -> str:
    """A hash of texts and bytes, each with its length, so that no two lists share one."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f'{len(data)}:'.encode() + data)
    return digest.hexdigest()


def pair_key(perceiver_key: str, previous: KeyFrame | None, current: KeyFrame, question: str = '') -> str:
    """The key of one description: perceiver, images with calibrations and depth, the motion in full, the question."""
    frames = [current] if previous is None else [previous, current]
    shown = [
        part
        for frame in frames
        for part in (frame.image.data, frame.image.mime, repr(frame.calibration), repr(frame.camera_pose))
    ]
    shown += [frame.depth.data for frame in frames if frame.depth is not None]
    return key_of([perceiver_key, *shown, repr(current.motion), question])


@functools.cache
def code_key(places: tuple[pathlib.Path, ...]) -> str:
    """The key of the code in some files and folders."""
    files = [file for place in places for file in (sorted(place.glob('*.py')) if place.is_dir() else [place])]
    return key_of(file.read_bytes() for file in files)


def file_key(path: str, *rest: str) -> str:
    """The key of what was written of a whole recording: of its files, of the code that picks key frames, of the rest.

    Names, sizes and times of the files stand for their content.

    Raises:
        InputError: there is no such recording.
    """
    place = pathlib.Path(path)
    if not place.exists():
        raise InputError(f'a recording must be a folder or file, got {path!r}, which is none; check the path')
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    told = [f'{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}' for file in files]
    return key_of([path, *told, code_key(CODE), *rest])
