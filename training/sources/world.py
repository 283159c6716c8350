"""Questions about simulated walks, with checked answers."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import itertools
import math
import pathlib
import random
from collections.abc import Callable, Iterator, Sequence

from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.questions import TASKS
from embodied_r_ros.evaluation.progress import counted
from embodied_r_ros.evaluation.samples import (
    Sample,
    from_observations,
    split_counts,
    split_of,
    to_observations,
    write_samples,
)
from training.sources import world_eyes
from training.sources.journal import Journal
from training.sources.world_layouts import LayoutWalks
from training.world.nouns import NOUNS, UNSEEN_NOUNS
from training.world.path import CAMERA
from training.world.questions import Tally, questions_about, until
from training.world.scene import Walk, make_walk
from training.world.views import GLIMPSED_ASIDE_DEG, KeyFrameRule

SEEDS_APART = 1_000_000
MIN_VIEW_DEG, MAX_VIEW_DEG = 30.0, 170.0
# After so many observations more than there are moves is a question looked for that has these moves.
STANDING = 3
RULE = KeyFrameRule()

See = Callable[[Walk, Sequence[Observation]], Sequence[Observation]]


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    world = sources.add_parser('world', help='Ask about simulated walks, with checked answers.')
    world.add_argument('--questions', type=int, required=True, help='Make this many questions.')
    world.add_argument('--seed', type=int, required=True, help='Seed walks and questions with this number.')
    world.add_argument('--out', type=pathlib.Path, required=True, help='Write the samples to this file of JSON lines.')
    world.add_argument(
        '--per-walk', type=int, default=8, help='Ask this many questions about each walk (default: %(default)s).'
    )
    told = "Observe by geometry, or in minutes by the robot's perception on rendered views (default: %(default)s)."
    world.add_argument('--perception', choices=['exact', 'opencv'], default='exact', help=told)
    ranges = {
        'legs': ('legs to a walk', (8, 11)),
        'things': ('named things to a walk', (9, 13)),
        'seconds': ('seconds to a walk', (15, 20)),
    }
    for name, (what, default) in ranges.items():
        told = f'Give MIN to MAX {what} (default: {default[0]} {default[1]}).'
        world.add_argument(f'--{name}', type=int, nargs=2, default=default, metavar=('MIN', 'MAX'), help=told)
    told = 'Ask after MIN to MAX observations, about progress after at most MAX (default: after all of the walk).'
    world.add_argument('--observations', type=int, nargs=2, metavar=('MIN', 'MAX'), help=told)
    told = 'Ask only what is answered from this many moves (default: any number).'
    world.add_argument('--moves', type=int, help=told)
    told = 'Make this share of the turns circles on the spot, and on (default: %(default)s).'
    world.add_argument('--circles', type=float, default=0.0, metavar='SHARE', help=told)
    told = 'See so many degrees from side to side, exactly (default: as the simulated camera, 77).'
    world.add_argument('--view-deg', type=float, help=told)
    told = 'Name things as training does, or otherwise (default: %(default)s).'
    world.add_argument('--nouns', choices=['seen', 'unseen'], default='seen', help=told)
    told = 'Walk through these layout files (JSON); those that cannot be walked are left out and named.'
    world.add_argument('--layouts', type=pathlib.Path, nargs='+', default=[], help=told)
    world.add_argument('--walks', type=int, nargs='+', default=[], help='Seed the walks with these, not with --seed.')
    world.add_argument('--bags', type=pathlib.Path, help='Name the recordings in this folder in place of observations.')
    world_eyes.add_options(world)
    world.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and print a summary table; returns the exit status.

    Raises:
        SettingsError: an option is out of range.
        InputError: no layout can be walked, or the walks named give no question.
    """
    for name, least in (('questions', 1), ('per_walk', 1), ('seed', 0)):
        if getattr(options, name) < least:
            raise SettingsError(f'--{name.replace("_", "-")} must be at least {least}, got {getattr(options, name)!r}')
    for name in ('legs', 'things', 'seconds', 'observations'):
        least, most = getattr(options, name) or (1, 1)
        if not 1 <= least <= most:
            raise SettingsError(f'--{name} must be two numbers from 1 on, the least first, got {least!r} {most!r}')
    _check_ranges(options)
    world_eyes.check(options)
    tally = Tally()
    layouts = LayoutWalks(options.layouts, SEEDS_APART * (options.seed + 1)) if options.layouts else None
    journal = _journal(options, layouts)
    found = world_samples(options, tally, _seer(options, journal), layouts)
    samples = list(counted(itertools.islice(found, options.questions), 'questions', options.questions))
    if not samples:
        named = 'layouts' if layouts else f'walks {options.walks}'
        raise InputError(f'the {named} give no question; name others, or more')
    count = write_samples(options.out, samples)
    if journal:
        journal.done()
    counts = collections.Counter(sample['category'] for sample in samples)
    scenes = len({sample['scene'] for sample in samples})
    width = max(map(len, TASKS))
    for task in TASKS:
        print(f'{task:{width}} {counts[task]:6}')
    if layouts:
        print(layouts.report())
    print(
        f'{count} questions about {scenes} scenes in {options.out}: {split_counts(samples)}; '
        f'dropped: {tally.coarse} that the coarse text does not lead to, {tally.none} that the walk has none of'
    )
    return 0


def _check_ranges(options: argparse.Namespace) -> None:
    if options.moves is not None and options.moves < 0:
        raise SettingsError(f'--moves must be at least 0, got {options.moves!r}')
    if not 0.0 <= options.circles <= 1.0:
        raise SettingsError(f'--circles must be a share from 0 to 1, got {options.circles!r}')
    if options.view_deg is not None:
        if not MIN_VIEW_DEG <= options.view_deg <= MAX_VIEW_DEG:
            raise SettingsError(
                f'--view-deg must be from {MIN_VIEW_DEG:g} to {MAX_VIEW_DEG:g} degrees, got {options.view_deg!r}'
            )
        if options.perception != 'exact' or options.bags:
            raise SettingsError('--view-deg is for exact observations, leave --perception and --bags out')


def world_samples(
    options: argparse.Namespace, tally: Tally, see: See, layouts: LayoutWalks | None = None
) -> Iterator[Sample]:
    """Samples walk by walk, without end unless the walks are named; `see` writes the observations of a walk."""
    asked: collections.Counter[tuple[str, ...]] = collections.Counter()
    tasks = itertools.cycle(TASKS)
    least, most = options.observations or (1, 0 if options.moves is None else options.moves + STANDING)
    half_view_rad = math.radians(options.view_deg) / 2 if options.view_deg else CAMERA.half_view_rad
    aside_deg = max(math.degrees(half_view_rad), GLIMPSED_ASIDE_DEG)
    for placed in layouts or walks(options):
        rng = random.Random(f'questions {options.seed} {placed.scene.seed}')
        sighted = world_eyes.see(options, placed, RULE) if options.eyes else None
        if sighted is None:
            walk = world_eyes.numbered(options, placed, RULE, half_view_rad)
        else:
            walk = world_eyes.named_as_landmarks(placed, sighted)
        exact = world_eyes.exactly(options, walk, RULE, rng, half_view_rad)
        counts = sorted({min(count, len(exact)) for count in range(least, most + 1)})
        wanted = list(itertools.islice(tasks, options.per_walk))
        drafts = questions_about(
            *world_eyes.asked_about(walk, exact), wanted, rng, asked, tally, counts, options.moves, aside_deg
        )
        if layouts:
            layouts.note(walk, len(drafts))
        seen = [] if options.bags else see(walk, exact) if sighted is None else sighted
        split = split_of(walk.scene.site, options.seed)
        for number, draft in enumerate(drafts):
            end_s = draft.pop('end_s', None)
            held: Sample = {'observations': from_observations(until(seen, math.inf if end_s is None else end_s))}
            if options.bags:
                held = {'media': {'path': str(options.bags / f'seed{walk.scene.seed}'), 'start_s': 0.0, 'end_s': end_s}}
            yield {'id': f'world-{walk.scene.seed}-{options.seed}-{number}', **draft, 'split': split, **held}


def walks(options: argparse.Namespace) -> Iterator[Walk]:
    """The walks through made-up places that the command line asks for."""
    seeds = options.walks or itertools.count(SEEDS_APART * (options.seed + 1))
    nouns = UNSEEN_NOUNS if options.nouns == 'unseen' else NOUNS
    place = world_eyes.placer(options)
    made = (options.legs, options.things, options.seconds, nouns, options.circles, place)
    return (_named(make_walk(seed, *made), options) for seed in seeds)


def _named(walk: Walk, options: argparse.Namespace) -> Walk:
    """The walk, at a site whose name says how it is made."""
    if not options.furnished:
        return walk
    layout = f'furnished-{walk.scene.seed}'
    return dataclasses.replace(walk, scene=dataclasses.replace(walk.scene, layout=layout))


def _journal(options: argparse.Namespace, walked: LayoutWalks | None) -> Journal | None:
    """Where rendered walks are kept, by seed, until the samples are written; None where nothing is rendered."""
    if options.perception == 'exact' or options.bags:
        return None
    settings = {name: list(getattr(options, name)) for name in ('legs', 'things', 'seconds')}
    layouts = [repr(layout.objects) for layout in walked.layouts] if walked else []
    return Journal(options.out, {**settings, 'circles': options.circles, 'nouns': options.nouns, 'layouts': layouts})


def _seer(options: argparse.Namespace, journal: Journal | None) -> See:
    """What writes the observations of a walk without eyes: the robot's perception with a journal, else geometry."""
    if journal is None:
        return lambda walk, exact: exact
    from training.world.recording import observe as observe_rendered  # renders, so only where asked

    def see(walk: Walk, exact: Sequence[Observation]) -> Sequence[Observation]:
        key = str(walk.scene.seed)
        if key not in journal.results:
            journal.keep(key, {'observations': from_observations(observe_rendered(walk))})
        return to_observations(journal.results[key])

    return see
