"""The files of a recording: cut, split, compressed."""

from __future__ import annotations

import functools
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from builders import Recorded, jpeg, pose, recorded_jpeg, recorded_odometry, write_bag

from embodied_r_ros.adapters.bags import read_messages, read_recording, read_topics
from embodied_r_ros.adapters.cut_mcap import CutMcap
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, ImageItem

pytestmark = pytest.mark.system

SECONDS = 12.0


@functools.cache
def noise(seed: int) -> bytes:
    return jpeg(np.random.default_rng(seed).integers(0, 255, (240, 320, 3), np.uint8)).data


def drive(start_s: float = 100.0, seconds: float = SECONDS) -> list[Recorded]:
    """Images at 5 Hz, 6 MB in 12 s, and odometry at 10 Hz."""
    messages = [recorded_jpeg(noise(step), start_s + step / 5) for step in range(round(5 * seconds))]
    messages += [recorded_odometry(pose(x_m=step / 10), start_s + step / 10) for step in range(round(10 * seconds))]
    return sorted(messages, key=lambda item: item.stamp_ns)


def unchunked(path: Path) -> Path:
    """The same file with its messages on their own, as rosbag2's preset fastwrite writes them."""
    data, at, out = path.read_bytes(), 8, [path.read_bytes()[:8]]
    while data[at] not in (0x0F, 0x02):
        kind, length = struct.unpack_from('<BQ', data, at)
        if kind == 0x06:
            (name,) = struct.unpack_from('<I', data, at + 9 + 28)
            out.append(data[at + 9 + 40 + name : at + 9 + length])
        elif kind == 0x01:
            out.append(data[at : at + 9 + length])
        at += 9 + length
    footer = struct.pack('<BQQQI', 0x02, 20, 0, 0, 0)
    path.write_bytes(b''.join(out) + struct.pack('<BQI', 0x0F, 4, 0) + footer + data[:8])
    return path


@pytest.fixture(scope='module')
def kept_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('bags')
    write_bag(folder / 'plain', drive())
    write_bag(folder / 'zstd', drive(), compressed='STORAGE')
    shutil.copytree(folder / 'plain', folder / 'loose')
    unchunked(folder / 'loose' / 'plain.mcap').rename(folder / 'loose' / 'loose.mcap')
    return folder


def cut(kept_at: Path, tmp_path: Path, kind: str, share: float) -> Path:
    path = tmp_path / f'{kind}.mcap'
    data = (kept_at / kind / f'{kind}.mcap').read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    return path


def stamps_s(path: Path) -> list[float]:
    return [item.stamp_ns / NS_PER_S for item in read_recording(path) if isinstance(item, ImageItem)]


@pytest.mark.parametrize('share', [0.1, 0.5, 0.95, 0.9999])
@pytest.mark.parametrize('kind', ['plain', 'zstd', 'loose'])
def test_a_recording_that_is_cut_is_read_up_to_the_cut(
    kept_at: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, share: float
) -> None:
    path = cut(kept_at, tmp_path, kind, share)
    found, whole = stamps_s(path), stamps_s(kept_at / kind / f'{kind}.mcap')
    assert found == whole[: len(found)]
    # zstd gives its data back in blocks of 128 kB, one or two of these images.
    assert len(found) >= share * len(whole) - 4
    warnings = [record.message for record in caplog.records if 'has no end' in record.message]
    assert len(warnings) == 1
    assert f'{str(path)!r} has no end, as after a crash or on a full disk: it is read up to the cut, ' in warnings[0]
    assert warnings[0].endswith('`mcap recover` makes a whole file of it')


def test_a_cut_is_told_with_how_far_it_goes(kept_at: Path, tmp_path: Path) -> None:
    path = cut(kept_at, tmp_path, 'plain', 0.5)
    messages = list(read_messages(path))
    seconds = (messages[-1].stamp_ns - messages[0].stamp_ns) / NS_PER_S
    assert f'the cut, {seconds:.1f} s with {len(messages)} messages;' in CutMcap(path).sentence
    assert sum(count for _, count in read_topics(path).values()) == len(messages)
    assert 4.0 < seconds < 7.0


@pytest.mark.parametrize('with_metadata', [True, False])
def test_a_folder_whose_file_is_cut_is_read_too(kept_at: Path, tmp_path: Path, with_metadata: bool) -> None:
    folder = shutil.copytree(kept_at / 'plain', tmp_path / 'bag')
    cut(kept_at, folder, 'plain', 0.5)
    if not with_metadata:
        (folder / 'metadata.yaml').unlink()
    assert 20 < len(stamps_s(folder)) < 40


@pytest.mark.parametrize(
    'data', [b'', b'\x89MCAP0\r\n', b'\x89MCAP0\r\n' + bytes(1000)], ids=['empty', 'magic', 'zeros']
)
def test_a_file_without_a_whole_message_is_named_with_what_may_help(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / 'bag.mcap'
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"in one piece, got '.*bag\.mcap': .*; try `mcap recover`"):
        read_recording(path)


# Several files.


@pytest.mark.parametrize('mcap', [True, False], ids=['mcap', 'sqlite3'])
def test_a_split_recording_without_metadata_is_read_in_the_order_of_time(tmp_path: Path, mcap: bool) -> None:
    ending = '.mcap' if mcap else '.db3'
    folder = tmp_path / 'bag'
    folder.mkdir()
    # As Lyrical names them: 10 sorts before 2.
    for split in range(12):
        part = write_bag(tmp_path / f'part{split}', drive(100.0 + split, 1.0), mcap)
        next(part.glob(f'*{ending}')).rename(folder / f'{split}_bag_2026{ending}')
    found = stamps_s(folder)
    assert len(found) == 60
    assert found == sorted(found)


def test_a_split_recording_whose_last_file_is_cut_is_read(tmp_path: Path) -> None:
    folder = tmp_path / 'bag'
    folder.mkdir()
    for split in range(2):
        part = write_bag(tmp_path / f'part{split}', drive(100.0 + 4 * split, 4.0))
        next(part.glob('*.mcap')).rename(folder / f'bag_{split}.mcap')
    last = folder / 'bag_1.mcap'
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    assert 26 <= len(stamps_s(folder)) < 36


def test_files_of_two_kinds_are_not_taken_together(tmp_path: Path) -> None:
    for mcap in (True, False):
        part = write_bag(tmp_path / f'part{mcap}', drive(100.0, 1.0), mcap)
        next(file for file in part.iterdir() if file.suffix != '.yaml').rename(
            tmp_path / f'bag{".mcap" if mcap else ".db3"}'
        )
    with pytest.raises(InputError, match=r'no metadata\.yaml, and 2 storage files of two kinds'):
        read_recording(tmp_path)


# Compressed.


@pytest.mark.parametrize('mcap', [True, False], ids=['mcap', 'sqlite3'])
@pytest.mark.parametrize('compressed', ['FILE', 'MESSAGE'])
def test_a_compressed_recording_is_read(tmp_path: Path, mcap: bool, compressed: str) -> None:
    assert len(stamps_s(write_bag(tmp_path / 'bag', drive(100.0, 2.0), mcap, compressed))) == 10


def test_compressed_messages_are_read_without_the_metadata_that_say_so(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / 'bag', drive(100.0, 2.0), True, 'MESSAGE')
    (folder / 'metadata.yaml').unlink()
    assert len(stamps_s(folder)) == 10


def test_a_file_compressed_as_a_whole_gets_the_command(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / 'bag', drive(100.0, 1.0), True, 'FILE')
    with pytest.raises(
        InputError, match=r'it is compressed as a whole; run `zstd -d bag\.mcap\.zstd` and give that file'
    ):
        read_recording(folder / 'bag.mcap.zstd')
    (folder / 'metadata.yaml').unlink()
    with pytest.raises(InputError, match=r'no metadata\.yaml, and its files are compressed; run `zstd -d` on each'):
        read_recording(folder)
