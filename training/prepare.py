"""Make samples to train on and to evaluate with.

python -m training.prepare world --questions 2000 --seed 7 --out out/world.jsonl
"""

from __future__ import annotations

import argparse
import collections
import itertools
import math
import pathlib
import random
import sys
from collections.abc import Iterator, Sequence

from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.questions import TASKS
from embodied_r_ros.core.records import Observation
from training.samples import Sample, from_observations, write_samples
from training.world.questions import Tally, questions_about, until
from training.world.scene import Walk, load_layout, make_walk
from training.world.views import EXACT, KeyFrameRule, observe

SEEDS_APART = 1_000_000
RULE = KeyFrameRule()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.prepare', description=__doc__.split('\n')[0] if __doc__ else ''
    )
    sources = parser.add_subparsers(dest='source', required=True)
    world = sources.add_parser('world', help='questions about simulated walks, with checked answers')
    world.add_argument('--questions', type=int, required=True, help='how many')
    world.add_argument('--seed', type=int, required=True, help='of walks and questions')
    world.add_argument(
        '--out', type=pathlib.Path, required=True, help='file of samples to write, one JSON object per line'
    )
    world.add_argument('--per-walk', type=int, default=8, help='questions about each walk (default %(default)s)')
    world.add_argument(
        '--perception',
        choices=['exact', 'opencv'],
        default='exact',
        help="who writes the observations: geometry, or the robot's perception on rendered views (default %(default)s)",
    )
    world.add_argument(
        '--layouts',
        type=pathlib.Path,
        nargs='+',
        default=[],
        help='layout files to walk through in place of made-up places',
    )
    world.add_argument(
        '--walks', type=int, nargs='+', default=[], help='seeds of the walks, in place of those that --seed gives'
    )
    world.add_argument(
        '--bags',
        type=pathlib.Path,
        default=None,
        help='folder of their recordings; samples then name them in place of observations',
    )
    options = parser.parse_args(arguments)
    for name, least in (('questions', 1), ('per_walk', 1), ('seed', 0)):
        if getattr(options, name) < least:
            parser.error(f'--{name.replace("_", "-")} must be at least {least}, got {getattr(options, name)!r}')
    try:
        return prepare_world(options)
    except EmbodiedRError as error:
        print(f'training.prepare: {error}', file=sys.stderr)
        return 2


def prepare_world(options: argparse.Namespace) -> int:
    """Write the samples and print a summary table."""
    tally = Tally()
    samples = list(itertools.islice(world_samples(options, tally), options.questions))
    count = write_samples(options.out, samples)
    counts = collections.Counter(sample['category'] for sample in samples)
    width = max(map(len, TASKS))
    for task in TASKS:
        print(f'{task:{width}} {counts[task]:6}')
    print(
        f'{count} questions about {len({s["scene"] for s in samples})} walks in {options.out}; '
        f'dropped: {tally.coarse} that the coarse text does not lead to, {tally.none} that the walk has none of'
    )
    return 0


def world_samples(options: argparse.Namespace, tally: Tally) -> Iterator[Sample]:
    """Samples walk by walk, without end unless the walks are named."""
    asked: collections.Counter[tuple[str, ...]] = collections.Counter()
    tasks = itertools.cycle(TASKS)
    for walk in walks(options):
        rng = random.Random(f'questions {options.seed} {walk.scene.seed}')
        exact = observe(walk, RULE, EXACT, rng)
        wanted = list(itertools.islice(tasks, options.per_walk))
        drafts = questions_about(walk, exact, wanted, rng, asked, tally)
        seen = [] if options.bags else observations_of(walk, exact, options.perception)
        for number, draft in enumerate(drafts):
            end_s = draft.pop('end_s', None)
            held: Sample = {'observations': from_observations(until(seen, math.inf if end_s is None else end_s))}
            if options.bags:
                held = {'media': {'path': str(options.bags / f'seed{walk.scene.seed}'), 'start_s': 0.0, 'end_s': end_s}}
            yield {'id': f'{draft["scene"]}-{options.seed}-{number}', **draft, **held}


def walks(options: argparse.Namespace) -> Iterator[Walk]:
    """The walks that the command line asks for."""
    if options.layouts:
        pairs = zip(itertools.cycle(options.layouts), itertools.count(SEEDS_APART * (options.seed + 1)))
        return (load_layout(path, seed) for path, seed in pairs)
    seeds = options.walks or itertools.count(SEEDS_APART * (options.seed + 1))
    return (make_walk(seed) for seed in seeds)


def observations_of(walk: Walk, exact: Sequence[Observation], perception: str) -> Sequence[Observation]:
    """What the chosen perception writes about a walk."""
    if perception == 'exact':
        return exact
    from training.world.recording import observe as observe_rendered  # renders, so only where asked

    return observe_rendered(walk)


if __name__ == '__main__':
    sys.exit(main())
