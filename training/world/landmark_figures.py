"""How well landmarks tell where things are, and how many there are, on simulated walks.

    python -m training.world.landmark_figures --walks 40 --seed 8 --eyes boxes

A landmark stands for the nearest thing of its name; one that is the second of a thing counts with its own error.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import math
import random
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from embodied_r_ros.core.errors import EmbodiedRError, SettingsError
from embodied_r_ros.core.landmark_history import Scene as Landmarks
from embodied_r_ros.core.landmark_history import scene_of
from embodied_r_ros.evaluation.intervals import interval
from training.sources import world, world_eyes
from training.world.box_eyes import EyeNoise, observe
from training.world.scene import Walk

FAR_M = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.world.landmark_figures', description=__doc__.split('\n')[0]
    )
    parser.add_argument('--walks', type=int, default=40, help='Take so many walks (default: %(default)s).')
    parser.add_argument('--seed', type=int, default=0, help='Seed walks and noise with this number.')
    parser.add_argument('--json', action='store_true', help='Print one JSON line in place of text.')
    world_eyes.add_options(parser)
    options = parser.parse_args(arguments)
    try:
        figures = measure(options)
    except EmbodiedRError as error:
        print(f'training.world.landmark_figures: {error}', file=sys.stderr)
        return 2
    print(json.dumps(figures) if options.json else '\n'.join(f'{name:16} {value}' for name, value in figures.items()))
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures.

    Raises:
        SettingsError: an option is out of range.
    """
    if options.walks < 1 or not options.eyes:
        raise SettingsError(
            f'at least one walk and one of --eyes are wanted, got {options.walks!r} and {options.eyes!r}'
        )
    # What `prepare world` has for walks and pictures, as it is without a word about them.
    parser = argparse.ArgumentParser()
    world.add_parser(parser.add_subparsers())
    words = ['world', '--questions', '1', '--seed', str(options.seed), '--out', '-']
    whole = argparse.Namespace(**{**vars(parser.parse_args(words)), **vars(options)})
    whole.walks = [world.SEEDS_APART * (options.seed + 1) + number for number in range(options.walks)]
    world_eyes.check(whole)
    off_m: list[float] = []
    unplaced, scenes, counted = 0, [], []
    for walk in world.walks(whole):
        landmarks = scene_of(world_eyes.see(whole, walk, world.RULE))
        errors = place_errors(walk, landmarks)
        off_m += [error for error in errors if not math.isnan(error)]
        unplaced += sum(map(math.isnan, errors))
        for told, true in numbers(walk, landmarks, whole.eyes):
            counted.append(told - true)
            scenes.append(walk.scene.site)
    right = np.array([float(off == 0) for off in counted])
    return {
        'landmarks': len(off_m) + unplaced,
        'without place': unplaced,
        'median m': round(float(np.median(off_m)), 3),
        'p90 m': round(float(np.percentile(off_m, 90)), 3),
        'beyond 1 m': round(float(np.mean(np.array(off_m) > FAR_M)), 4),
        'names': len(counted),
        'number right': round(float(right.mean()), 4),
        'number interval': interval(right, np.array(scenes)),
        'number error': round(float(np.mean(np.abs(counted))), 3),
    }


def place_errors(walk: Walk, landmarks: Landmarks) -> list[float]:
    """Metres on the ground between each landmark and the nearest thing of its name; NaN for one without a place."""
    errors = []
    for thing in landmarks.things.values():
        places = [one.center_m for one in walk.scene.objects if one.name == thing.name]
        if thing.place is None:
            errors.append(math.nan)
        else:
            errors.append(min(math.dist(thing.place.position_m[:2], place[:2]) for place in places))
    return errors


def numbers(walk: Walk, landmarks: Landmarks, eyes: Sequence[str]) -> list[tuple[int, int]]:
    """For each name with a thing in view in a key frame: landmarks that bear it, things in view."""
    told = collections.Counter(thing.name for thing in landmarks.things.values())
    return [(told[name], count) for name, count in in_view(walk, eyes).items()]


def in_view(walk: Walk, eyes: Sequence[str]) -> collections.Counter[str]:
    """How many things of each name eyes without noise see."""
    names = [thing.name for thing in walk.scene.objects]
    apart = tuple(dataclasses.replace(thing, name=str(place)) for place, thing in enumerate(walk.scene.objects))
    told_apart = dataclasses.replace(walk, scene=dataclasses.replace(walk.scene, objects=apart))
    observations = observe(told_apart, world.RULE, eyes, EyeNoise(), random.Random(0))
    seen = {sighting.name for one in observations for sighting in one.sightings}
    return collections.Counter(names[int(place)] for place in seen)


if __name__ == '__main__':
    sys.exit(main())
