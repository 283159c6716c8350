"""Reads mutated recordings one by one and says how each ended; a process of its own, since a library may take it down.

`python test/mutations.py FOLDER FIRST LAST`: writes the originals into FOLDER where they are missing, then a line for
each number: 'NUMBER OUTCOME', the outcome being 'read', 'told' (something was left out), 'refused', or a fault.
"""

from __future__ import annotations

import logging
import random
import resource
import shutil
import sys
import traceback
from pathlib import Path

import cv2
import numpy as np
from builders import (
    ROOM_CAMERA,
    jpeg,
    pan,
    pose,
    recorded_camera_info,
    recorded_image,
    recorded_jpeg,
    recorded_odometry,
    write_bag,
)

from embodied_r_ros.adapters.bags import read_messages
from embodied_r_ros.app import offline
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.keyframes import KeyFrameSettings

MEMORY_BYTES = 6 * 2**30
BAGS = {
    'mcap': (True, True, ''),
    'mcap_raw': (True, False, ''),
    'mcap_zstd': (True, True, 'STORAGE'),
    'mcap_messages': (True, True, 'MESSAGE'),
    'sqlite3': (False, True, ''),
    'sqlite3_raw': (False, False, ''),
}
VIDEOS = {'video.mp4': 'mp4v', 'video.avi': 'MJPG', 'xvid.avi': 'XVID'}


def write_originals(folder: Path) -> list[Path]:
    """Two seconds of a drive, as a bag of each kind and as videos."""
    views = pan(20, 0.05, width=160, height=96)
    for name, (mcap, compressed, packed) in BAGS.items():
        if not (folder / name).exists():
            messages = [recorded_camera_info(ROOM_CAMERA.calibration, 100.0)]
            for step, view in enumerate(views):
                stamp_s = 100.0 + step / 10
                image = recorded_jpeg(jpeg(view).data, stamp_s) if compressed else recorded_image(view, stamp_s)
                messages += [image, recorded_odometry(pose(x_m=step / 10), stamp_s)]
            write_bag(folder / name, messages, mcap, packed)
    for name, code in VIDEOS.items():
        if not (folder / name).exists():
            writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter_fourcc(*code), 10.0, (160, 96))
            for view in views:
                writer.write(view)
            writer.release()
    return [folder / name for name in (*BAGS, *VIDEOS)]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """The data with bytes flipped, cut off, doubled, zeroed or in another place."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        start = chance.randrange(len(changed))
        length = min(chance.choice((1, 4, 64, 1000, 20000)), len(changed) - start)
        kind = chance.choice(('flip', 'flip', 'flip', 'cut', 'double', 'zero', 'remove'))
        if kind == 'flip':
            for _ in range(chance.choice((1, 5, 50))):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
        elif kind == 'cut':
            del changed[max(start, 1) :]
        elif kind == 'double':
            changed[start:start] = changed[start : start + length]
        elif kind == 'zero':
            changed[start : start + length] = bytes(length)
        elif len(changed) > length:
            del changed[start : start + length]
    return bytes(changed)


def mutated(original: Path, number: int, place: Path) -> Path:
    """A recording with one of its files mutated, by the number alone."""
    chance = random.Random(number)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if original.is_file():
        copy = place / original.name
        copy.write_bytes(mutate(original.read_bytes(), chance))
        return copy
    copy = Path(shutil.copytree(original, place / original.name))
    files = sorted(copy.iterdir(), key=lambda file: file.suffix == '.yaml')
    victim = files[-1] if chance.random() < 0.1 else files[0]
    victim.write_bytes(mutate(victim.read_bytes(), chance))
    if victim.suffix != '.yaml' and chance.random() < 0.5:
        return victim
    return copy


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def outcome(path: Path, told: _Told) -> str:
    """How reading ends."""
    told.count = 0
    try:
        recording = offline.scan(path, KeyFrameSettings(), keep_last=True)
        assert all(frame.image.data for frame in recording.key_frames)
        if path.is_dir() or path.suffix in offline.BAG_SUFFIXES:
            sum(len(message.data) for message in read_messages(path))
    except InputError as error:
        return 'refused' if str(error) else 'fault: an error without a word'
    except BaseException:
        return f'fault: {traceback.format_exc()!r}'
    return 'told' if told.count else 'read'


def main() -> None:
    """See above."""
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    np.seterr(all='ignore')
    originals = write_originals(folder)
    told = _Told()
    logging.getLogger().addHandler(told)
    for number in range(first, last):
        path = mutated(originals[number % len(originals)], number, folder / f'mutated_{first}')
        print(number, outcome(path, told), flush=True)


if __name__ == '__main__':
    main()
