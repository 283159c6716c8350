"""Options of `prepare world` for furnished places, and for eyes with noise that see them without pictures."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import math
import random
from collections.abc import Sequence

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.landmark_history import scene_of
from embodied_r_ros.core.observations import Observation
from training.world.box_eyes import CROWDED_UNHIDDEN, EYES, EyeNoise, observe, observe_exactly
from training.world.furnishing import furnish
from training.world.scene import Placer, Walk, place_objects
from training.world.views import EXACT, KeyFrameRule
from training.world.views import observe as observe_columns

NOISE = (0.05, 0.05, 0.03)
MOST_OF_A_KIND = 6


def add_options(world: argparse.ArgumentParser) -> None:
    """Declare them."""
    told = 'Give things several sizes and heights, hung and standing (default: columns of one size).'
    world.add_argument('--furnished', action='store_true', help=told)
    told = 'Let up to so many things of --furnished bear one name, told apart by number (default: 1).'
    world.add_argument('--of-a-kind', type=int, default=1, metavar='MOST', help=told)
    world.add_argument('--eyes', nargs='+', choices=EYES, default=[], help='See with these eyes, and with noise.')
    told = 'Edges of boxes are off by this share, such shares of things missed and false (default: %(default)s).'
    world.add_argument('--noise', type=float, nargs=3, default=NOISE, metavar=('JITTER', 'MISSED', 'FALSE'), help=told)
    world.add_argument('--no-depth', action='store_true', help='Let --eyes see without a depth camera.')
    told = 'Tell --eyes poses with the drift of the recordings, or as they are (default: %(default)s).'
    world.add_argument('--odometry', choices=['recorded', 'true'], default='recorded', help=told)


def check(options: argparse.Namespace) -> None:
    """Raise SettingsError where one of them is out of range, or does not go with another."""
    if not all(0.0 <= share <= 1.0 for share in options.noise):
        raise SettingsError(f'--noise must be three shares from 0 to 1, got {list(options.noise)!r}')
    if not 1 <= options.of_a_kind <= MOST_OF_A_KIND:
        raise SettingsError(f'--of-a-kind must be from 1 to {MOST_OF_A_KIND}, got {options.of_a_kind!r}')
    if options.of_a_kind > 1 and not options.furnished:
        raise SettingsError('--of-a-kind is for furnished places, add --furnished')
    rendered = options.perception != 'exact' or options.bags or options.view_deg is not None
    if (options.eyes or options.furnished) and rendered:
        raise SettingsError('--eyes and --furnished do without pictures, leave --perception, --bags and --view-deg out')
    if options.furnished and options.layouts:
        raise SettingsError('--furnished makes places up, leave --layouts out')


def placer(options: argparse.Namespace) -> Placer:
    """What sets things down along a walk."""
    return functools.partial(furnish, most_of_a_kind=options.of_a_kind) if options.furnished else place_objects


def exactly(
    options: argparse.Namespace, walk: Walk, rule: KeyFrameRule, rng: random.Random, half_view_rad: float
) -> list[Observation]:
    """What is to be seen on a walk, for questions about it: tags on columns, else things of their own sizes."""
    of_tags = options.perception != 'exact' or options.bags or options.view_deg is not None
    if options.layouts and not of_tags:
        return observe_exactly(walk, rule, CROWDED_UNHIDDEN)
    if options.furnished:
        return observe_exactly(walk, rule)
    return observe_columns(walk, rule, EXACT, rng, half_view_rad)


def noise_of(options: argparse.Namespace) -> EyeNoise:
    """The noise of the eyes."""
    jitter, missed, false = options.noise
    return EyeNoise(jitter=jitter, missed=missed, false=false, has_depth=not options.no_depth)


def see(options: argparse.Namespace, walk: Walk, rule: KeyFrameRule) -> list[Observation]:
    """What the eyes tell of a walk."""
    poses = None
    if options.odometry == 'recorded':
        from training.world.recording import odometry  # draws in much that is needed nowhere else here

        poses = odometry(walk.path, walk.scene.seed)
    rng = random.Random(f'eyes {options.seed} {walk.scene.seed}')
    return observe(walk, rule, options.eyes, noise_of(options), rng, poses)


def numbered(options: argparse.Namespace, walk: Walk, rule: KeyFrameRule, half_view_rad: float) -> Walk:
    """The walk with numbers behind the names that several things bear, in the order in which they come into view.

    What is never seen comes last.
    """
    names = [thing.name.lower() for thing in walk.scene.objects]
    if len(set(names)) == len(names):
        return walk
    apart = _renamed(walk, [str(place) for place in range(len(names))])
    seen = exactly(options, apart, rule, random.Random(0), half_view_rad)
    in_order = dict.fromkeys(int(sighting.name) for one in seen for sighting in one.sightings)
    counts = collections.Counter(names[place] for place in in_order)
    told = [thing.name for thing in walk.scene.objects]
    numbers: collections.Counter[str] = collections.Counter()
    for place in dict.fromkeys((*in_order, *range(len(names)))):
        numbers[names[place]] += 1
        if counts[names[place]] > 1 or numbers[names[place]] > 1:
            told[place] = f'{told[place]} {numbers[names[place]]}'
    return _renamed(walk, told)


def named_as_landmarks(walk: Walk, seen: Sequence[Observation]) -> Walk:
    """The walk with the landmarks' names of what was seen, 'chair 2', where several things bear one name.

    Who asks about one of several knows it by the robot's list. Each landmark stands for the nearest thing of its name
    that no other one is nearer to; what none stands for has no name.
    """
    scene = scene_of(seen)
    kinds = collections.Counter(thing.name.lower() for thing in walk.scene.objects)
    told = [thing.name if kinds[thing.name.lower()] == 1 else '' for thing in walk.scene.objects]
    pairs = sorted(
        (math.dist(landmark.place.position_m[:2], thing.center_m[:2]), landmark.id, place)
        for landmark in scene.things.values()
        for place, thing in enumerate(walk.scene.objects)
        if landmark.place is not None and thing.name.lower() == landmark.name.lower()
    )
    taken = set()
    for _, landmark_id, place in pairs:
        if landmark_id not in taken and not told[place]:
            told[place] = scene.names[landmark_id]
            taken.add(landmark_id)
    return _renamed(walk, told)


def asked_about(walk: Walk, exact: Sequence[Observation]) -> tuple[Walk, list[Observation]]:
    """The walk and what is to be seen on it, without things that have no name, or one that another bears too."""
    names = collections.Counter(thing.name for thing in walk.scene.objects if thing.name)
    objects = tuple(thing for thing in walk.scene.objects if names[thing.name] == 1)
    seen = [
        dataclasses.replace(one, sightings=tuple(seen for seen in one.sightings if names[seen.name] == 1))
        for one in exact
    ]
    return dataclasses.replace(walk, scene=dataclasses.replace(walk.scene, objects=objects)), seen


def _renamed(walk: Walk, names: Sequence[str]) -> Walk:
    """The walk with other names of its things."""
    objects = tuple(dataclasses.replace(thing, name=name) for thing, name in zip(walk.scene.objects, names))
    return dataclasses.replace(walk, scene=dataclasses.replace(walk.scene, objects=objects))
