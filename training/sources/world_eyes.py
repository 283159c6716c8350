"""Options of `prepare world` for furnished places, and for eyes with noise that see them without pictures."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import random
from collections.abc import Sequence

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.observations import Observation
from training.world.box_eyes import EYES, EyeNoise, observe, observe_exactly
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
    told = 'Let up to so many things of --furnished bear one name; questions are about the others (default: 1).'
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
    """What is to be seen on a walk, for questions about it."""
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


def asked_about(walk: Walk, exact: Sequence[Observation]) -> tuple[Walk, list[Observation]]:
    """The walk and what is to be seen on it without the things whose name others bear too."""
    names = [thing.name for thing in walk.scene.objects]
    objects = tuple(thing for thing in walk.scene.objects if names.count(thing.name) == 1)
    known = {thing.name for thing in objects}
    seen = [dataclasses.replace(one, sightings=tuple(s for s in one.sightings if s.name in known)) for one in exact]
    return dataclasses.replace(walk, scene=dataclasses.replace(walk.scene, objects=objects)), seen
