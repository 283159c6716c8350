"""How far off a robot without odometry ends up: simulated walks, perceived from images and calibration alone.

    python -m training.world.dead_reckoning --walks 910001 910040

Key frames come at least every half second, as where such robots' bags are observed (`training/runs/bags.sh`).
"""

from __future__ import annotations

import argparse
import cmath
import dataclasses
import json
import math
from collections.abc import Sequence

import cv2

from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.moves import come_to, measured
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.core.trajectory import Trajectory
from embodied_r_ros.evaluation.progress import counted
from training.world.path import Path, Station
from training.world.recording import observe, start_ns, with_common_tags
from training.world.scene import make_walk

MAX_GAP_S = 0.5


@dataclasses.dataclass(frozen=True)
class Miss:
    """By how much a robot's own account misses where it is."""

    heading_deg: float
    place_m: float


def reckoned(observations: Sequence[Observation]) -> tuple[complex, float]:
    """Metres ahead + 1j to the left of the start, and degrees turned to the left, that observations come to."""
    way_m, heading_deg = 0j, 0.0
    for seen in Trajectory(observations).observations:
        step_m, turned_deg = come_to(measured(seen.moves))
        way_m += cmath.rect(1.0, math.radians(heading_deg)) * step_m
        heading_deg += turned_deg
    return way_m, heading_deg


def missed(observations: Sequence[Observation], station: Station) -> Miss:
    """What observations come to against where the robot is."""
    way_m, heading_deg = reckoned(observations)
    off_deg = math.remainder(heading_deg - math.degrees(station.yaw_rad), 360.0)
    return Miss(abs(off_deg), abs(way_m - complex(station.x_m, station.y_m)))


def walk_misses(seed: int) -> Miss:
    """Of one walk, at its last key frame."""
    walk = with_common_tags(make_walk(seed))
    seen = observe(walk, KeyFrameSettings(max_gap_s=MAX_GAP_S), odometry=False)
    return missed(seen, _station(walk.path, seed, seen[-1].stamp_ns))


def _station(path: Path, seed: int, stamp_ns: int) -> Station:
    return path.station_at((stamp_ns - start_ns(seed)) / 1e9)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print medians and what four in five stay within, as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.world.dead_reckoning', description='Where robots without odometry end up.'
    )
    told = 'Seed the walks with the numbers from FIRST to LAST.'
    parser.add_argument('--walks', type=int, nargs=2, required=True, metavar=('FIRST', 'LAST'), help=told)
    first, last = parser.parse_args(arguments).walks
    cv2.setNumThreads(1)
    misses = [walk_misses(seed) for seed in counted(range(first, last + 1), 'walks', last + 1 - first)]
    figures: dict[str, float] = {'walks': len(misses)}
    for name in ('heading_deg', 'place_m'):
        values = [getattr(miss, name) for miss in misses]
        figures.update(
            {f'{name}_median': round(percentile(values, 50), 3), f'{name}_p80': round(percentile(values, 80), 3)}
        )
    print(json.dumps(figures))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
