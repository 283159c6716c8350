"""What it costs to choose key frames, and whether they are those of the paper's extractor.

CPU milliseconds per sampled 1280x720 frame with one thread, from pixels, against ORB at full resolution on the same
frames (`benchmarks._reference`). Beside it: the slowest frame, the share of a core at 30 Hz input, and the share of key
frames that have a partner within one sampled frame, on the sample bags and on the pans; for the bags also that of the
baseline with itself, when noise of one grey level is added.

    python -m benchmarks.key_frames [--frames N]
"""

from __future__ import annotations

import argparse
import pathlib
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks._figure import percentile, tell, times
from benchmarks._pictures import jpeg, pan
from benchmarks._reference import ReferenceKeyFrames, key_frames
from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.bags import read_recording
from embodied_r_ros.core.frames import NS_PER_S, Frame, ImageItem
from embodied_r_ros.core.keyframes import KeyFrameSelector, KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.share import share_path

WIDTH, HEIGHT = 1280, 720
# Share of the width by which the view moves from one sampled frame to the next.
PAN_STEPS = (0.03, 0.07, 0.12, 0.17)
CAMERA_HZ = 30
BAGS = ('seed1', 'seed2', 'seed3')
Picture = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.key_frames', description='Cost of key frames.')
    parser.add_argument('--frames', type=int, default=30, help='sampled frames per pan (default 30)')
    frames = parser.parse_args(arguments).frames
    cv2.setNumThreads(1)
    pans = [pan(frames, share * WIDTH, WIDTH, HEIGHT, seed) for seed, share in enumerate(PAN_STEPS)]
    bags = [_bag_pictures(share_path(f'data/bags/{name}')) for name in BAGS]
    _ours(pans[0][:5]), key_frames(pans[0][:2])
    spent = [_ours(pictures) for pictures in pans]
    baseline = [_timed(ReferenceKeyFrames().push, pictures) for pictures in pans]
    ours_ms = [span for _, spans in spent for span in spans]
    places_on_bags = [key_frames(pictures) for pictures in bags]
    figure = times(
        ours_ms,
        [span for _, spans in baseline for span in spans],
        'CPU ms per sampled 1280x720 frame',
        worst_ms=round(max(ours_ms), 2),
        core_at_30_hz_raw=_share_of_core(pans[0], compressed=False),
        core_at_30_hz_jpeg=_share_of_core(pans[0], compressed=True),
        same_on_pans=_same([(_places(run), _places(other)) for run, other in zip(spent, baseline)]),
        same_on_bags=_same(list(zip(map(_places, map(_ours, bags)), places_on_bags))),
        baseline_with_itself_on_bags=_same(list(zip(map(key_frames, map(_noisy, bags)), places_on_bags))),
        p99_ms=percentile(ours_ms, 99),
    )
    return tell(key_frames=figure)


def _bag_pictures(path: pathlib.Path) -> list[Picture]:
    """What camera_node would look at of a recording."""
    items = read_recording(path, sample_hz=KeyFrameSettings().sample_hz)
    return [codec.decode_frame(item.frame) for item in items if isinstance(item, ImageItem)]


def _noisy(pictures: Sequence[Picture]) -> list[Picture]:
    """The same pictures with noise of one grey level."""
    rng = np.random.default_rng(0)
    return [np.clip(picture + rng.normal(0, 1, picture.shape), 0, 255).astype(np.uint8) for picture in pictures]


def _ours(pictures: Sequence[Picture]) -> tuple[list[bool], list[float]]:
    selector = KeyFrameSelector(KeyFrameSettings())
    stamps = iter(range(NS_PER_S, 10**6 * NS_PER_S, NS_PER_S // 4))

    def push(picture: Picture) -> bool:
        stamp_ns = next(stamps)
        frame = Frame(stamp_ns=stamp_ns, pixels=picture, width=picture.shape[1], height=picture.shape[0])
        return selector.push(codec.small_grey(frame), stamp_ns) is not None

    return _timed(push, pictures)


def _timed(push: Callable[[Picture], bool], pictures: Sequence[Picture]) -> tuple[list[bool], list[float]]:
    """Whether each picture is a key frame, and the CPU milliseconds that it took to tell."""
    chosen, spans_ms = [], []
    for picture in pictures:
        begun_s = time.thread_time()
        chosen.append(push(picture))
        spans_ms.append(1e3 * (time.thread_time() - begun_s))
    return chosen, spans_ms


def _share_of_core(pictures: Sequence[Picture], compressed: bool) -> float:
    """CPU seconds per second of a 30 Hz camera that moves from one picture to the next at the sampling rate."""
    framer = KeyFramer(KeyFrameSettings(), codec.small_grey, codec.encode_frame)
    period = CAMERA_HZ / KeyFrameSettings().sample_hz
    data = [jpeg(picture) for picture in pictures] if compressed else []
    count = round(len(pictures) * period)
    begun_s = time.thread_time()
    for number in range(count):
        stamp_ns, place = NS_PER_S + number * NS_PER_S // CAMERA_HZ, int(number / period)
        if compressed:
            framer.push(codec.frame_from_compressed(stamp_ns, '', data[place]))
        else:
            framer.push(codec.frame_from_pixels(stamp_ns, '', pictures[place]))
    return round((time.thread_time() - begun_s) / (count / CAMERA_HZ), 4)


def _places(run: tuple[list[bool], list[float]]) -> list[int]:
    return [place for place, is_key in enumerate(run[0]) if is_key]


def _same(runs: Sequence[tuple[list[int], list[int]]]) -> float:
    """Share of all key frames, both extractors' together, that have a partner of the other's within one frame."""
    near = [
        any(abs(place - other) <= 1 for other in others)
        for ours, theirs in runs
        for places, others in ((ours, theirs), (theirs, ours))
        for place in places
    ]
    return round(float(np.mean(near)), 3)


if __name__ == '__main__':
    raise SystemExit(main())
