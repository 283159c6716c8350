"""What it costs to choose key frames, and whether they are those of the paper's extractor.

CPU milliseconds per sampled 1280x720 frame with one thread, from pixels, against ORB at full resolution on the same
frames (`benchmarks._reference`). Beside it: the ratio of the means, the slowest frame, also on the sample bags, and the
share of a core at 30 Hz input, with odometry and without.

Two shares say how far both agree, on the sample bags (or recordings of one's own) and on the pans:

- `same`: of all key frames, both extractors' together, those that have a partner of the other's within one frame. Once
  they differ, both go on from different frames.
- `same_step`: of the steps from one key frame of the baseline to the next, those that ours takes too, within one frame,
  when it begins at the same one.

On the recordings each comes with the baseline's own, when noise of one grey level is added (mean of three draws).
Apart from these, what the baseline cannot have, since it never asks how much of the later frame the earlier one showed:
`by_symmetry_on_bags` counts our key frames that it takes only with both frames swapped, `moving_away` those of ours and
its own of a camera that moves backward.

    python -m benchmarks.key_frames [--frames N] [--bags BAG...]
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks._figure import tell, times
from benchmarks._pictures import jpeg, pan, strip
from benchmarks._reference import ReferenceKeyFrames, key_frames
from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.bags import read_recording
from embodied_r_ros.core.frames import NS_PER_S, ImageItem
from embodied_r_ros.core.keyframes import KeyFrameSelector, KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.core.poses import ORIGIN
from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.share import share_path

WIDTH, HEIGHT = 1280, 720
# Share of the width by which the view moves from one sampled frame to the next.
PAN_STEPS = (0.03, 0.07, 0.12, 0.17)
# How much more each picture of a camera that moves backward shows.
AWAY_STEP = 1.1
CAMERA_HZ = 30
BAGS = ('seed1', 'seed2', 'seed3')
NOISES = 3
Picture = NDArray[np.uint8]
# Whether the next sampled picture is a key frame.
Push = Callable[[Picture], bool]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.key_frames', description='Cost of key frames.')
    parser.add_argument('--frames', type=int, default=30, help='sampled frames per pan (default 30)')
    samples = [share_path(f'data/bags/{name}') for name in BAGS]
    parser.add_argument('--bags', type=pathlib.Path, nargs='+', default=samples, help='recordings (default: samples)')
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    pans = [pan(given.frames, share * WIDTH, WIDTH, HEIGHT, seed) for seed, share in enumerate(PAN_STEPS)]
    _timed(fresh_picker(), pans[0][:5]), key_frames(pans[0][:2])
    spent = [_timed(fresh_picker(), pictures) for pictures in pans]
    baseline = [_timed(ReferenceKeyFrames().push, pictures) for pictures in pans]
    ours_ms, baseline_ms = ([span for _, spans in runs for span in spans] for runs in (spent, baseline))
    on_pans = list(zip(pans, (places for places, _ in spent), (places for places, _ in baseline)))
    figure = times(
        ours_ms,
        baseline_ms,
        'CPU ms per sampled 1280x720 frame',
        mean_ratio=round(float(np.mean(baseline_ms) / np.mean(ours_ms)), 2),
        worst_ms=round(max(ours_ms), 2),
        p99_ms=percentile(ours_ms, 99),
        core_at_30_hz_raw=_share_of_core(pans[0], compressed=False),
        core_at_30_hz_jpeg=_share_of_core(pans[0], compressed=True),
        core_without_odometry=_share_of_core(pans[0], compressed=True, odometry=False),
        same_on_pans=same([(ours, theirs) for _, ours, theirs in on_pans]),
        same_step_on_pans=same_step(fresh_picker, [(pictures, theirs) for pictures, _, theirs in on_pans]),
        moving_away=[len(_timed(push, _moving_away())[0]) for push in (fresh_picker(), ReferenceKeyFrames().push)],
        **_on_bags([bag_pictures(path) for path in given.bags]),
    )
    return tell(key_frames=figure)


def _on_bags(bags: Sequence[Sequence[Picture]]) -> dict[str, float]:
    runs = [_timed(fresh_picker(), pictures) for pictures in bags]
    ours = [places for places, _ in runs]
    theirs = [key_frames(pictures) for pictures in bags]
    noisy = [[_noisy(pictures, seed) for pictures in bags] for seed in range(NOISES)]
    itself = [same(list(zip(map(key_frames, run), theirs))) for run in noisy]
    steps = [same_step(lambda: ReferenceKeyFrames().push, list(zip(run, theirs))) for run in noisy]
    return {
        'worst_on_bags_ms': round(max(span for _, spans in runs for span in spans), 2),
        'key_frames_on_bags': sum(map(len, ours)),
        'baseline_key_frames_on_bags': sum(map(len, theirs)),
        'by_symmetry_on_bags': sum(
            not _new_view(pictures[old], pictures[new]) and _new_view(pictures[new], pictures[old])
            for pictures, places in zip(bags, ours)
            for old, new in itertools.pairwise(places)
        ),
        'same_on_bags': same(list(zip(ours, theirs))),
        'baseline_with_itself_on_bags': round(float(np.mean(itself)), 3),
        'same_step_on_bags': same_step(fresh_picker, list(zip(bags, theirs))),
        'baseline_step_with_itself_on_bags': round(float(np.mean(steps)), 3),
    }


def bag_pictures(path: pathlib.Path) -> list[Picture]:
    """What camera_node would look at of a recording."""
    items = read_recording(path, sample_hz=KeyFrameSettings().sample_hz)
    return [codec.decode_frame(item.frame) for item in items if isinstance(item, ImageItem)]


def _noisy(pictures: Sequence[Picture], seed: int) -> list[Picture]:
    """The same pictures with noise of one grey level."""
    rng = np.random.default_rng(seed)
    return [np.clip(picture + rng.normal(0, 1, picture.shape), 0, 255).astype(np.uint8) for picture in pictures]


def _moving_away() -> list[Picture]:
    """A wall that shows more of itself from picture to picture, until all of it is seen."""
    height, width = HEIGHT // 2, WIDTH // 2
    wall = strip(4 * width, 4 * height, seed=0)
    pictures = []
    for step in range(int(np.log(4) / np.log(AWAY_STEP)) + 1):
        wide, high = round(width * AWAY_STEP**step), round(height * AWAY_STEP**step)
        left, top = (4 * width - wide) // 2, (4 * height - high) // 2
        seen = cv2.resize(wall[top : top + high, left : left + wide], (width, height), interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(seen, np.uint8))
    return pictures


def _new_view(before: Picture, after: Picture) -> bool:
    """Whether the baseline takes a picture after another one."""
    extractor = ReferenceKeyFrames()
    extractor.push(before)
    return extractor.push(after)


def fresh_picker() -> Push:
    """A fresh picker of ours, from pixels."""
    selector = KeyFrameSelector(KeyFrameSettings())
    stamps = itertools.count(NS_PER_S, NS_PER_S // 4)

    def push(picture: Picture) -> bool:
        stamp_ns = next(stamps)
        return selector.push(codec.small_grey(codec.frame_from_pixels(stamp_ns, '', picture)), stamp_ns) is not None

    return push


def _timed(push: Push, pictures: Sequence[Picture]) -> tuple[list[int], list[float]]:
    """The places of the key frames, and the CPU milliseconds that it took to look at each picture."""
    places, spans_ms = [], []
    for place, picture in enumerate(pictures):
        begun_s = time.thread_time()
        if push(picture):
            places.append(place)
        spans_ms.append(1e3 * (time.thread_time() - begun_s))
    return places, spans_ms


def _share_of_core(pictures: Sequence[Picture], compressed: bool, odometry: bool = True) -> float:
    """CPU seconds per second of a 30 Hz camera that moves from one picture to the next at the sampling rate.

    Without odometry, motion is tracked in the images as well.
    """
    framer = KeyFramer(KeyFrameSettings(), codec.small_grey, codec.encode_frame)
    period = CAMERA_HZ / KeyFrameSettings().sample_hz
    data = [jpeg(picture) for picture in pictures] if compressed else []
    count = round(len(pictures) * period)
    begun_s = time.thread_time()
    for number in range(count):
        stamp_ns, place = NS_PER_S + number * NS_PER_S // CAMERA_HZ, int(number / period)
        if odometry:
            framer.push_pose(stamp_ns, ORIGIN)
        if compressed:
            framer.push(codec.frame_from_compressed(stamp_ns, '', data[place]))
        else:
            framer.push(codec.frame_from_pixels(stamp_ns, '', pictures[place]))
    return round((time.thread_time() - begun_s) / (count / CAMERA_HZ), 4)


def same(runs: Sequence[tuple[list[int], list[int]]]) -> float:
    """Share of all key frames, both extractors' together, that have a partner of the other's within one frame."""
    near = [
        any(abs(place - other) <= 1 for other in others)
        for ours, theirs in runs
        for places, others in ((ours, theirs), (theirs, ours))
        for place in places
    ]
    return round(float(np.mean(near)), 3)


def same_step(picker: Callable[[], Push], runs: Sequence[tuple[Sequence[Picture], list[int]]]) -> float:
    """Share of the steps between given key frames that a fresh picker takes as well, to within one frame.

    It begins at the first of the two. The recording's end counts as a key frame.
    """
    near = []
    for pictures, places in runs:
        for old, new in itertools.pairwise([*places, len(pictures)]):
            push = picker()
            push(pictures[old])
            later = (place for place in range(old + 1, len(pictures)) if push(pictures[place]))
            near.append(abs(next(later, len(pictures)) - new) <= 1)
    return round(float(np.mean(near)), 3)


if __name__ == '__main__':
    raise SystemExit(main())
