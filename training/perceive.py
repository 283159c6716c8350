"""Look at the recordings that samples name with the robot's own perception, and write down what it observes.

    python -m training.perceive --samples out/bags.jsonl --out out/bags.seen.jsonl

Every description is kept in a cache, so a run may be killed at any moment and started again. Frames that could not be
described are listed beside the output and tried again by the next run; samples that need them are left out until then.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import pathlib
import sys
from collections.abc import Sequence

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.eye_tags import TagSettings
from embodied_r_ros.core.errors import EmbodiedRError, InputError, SettingsError
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.models import EYES, PERCEIVERS, PerceptionModel, ServerSettings, purposes, served
from embodied_r_ros.evaluation.pair_cache import PairCache
from embodied_r_ros.evaluation.perceiver_source import perceiver_source
from embodied_r_ros.evaluation.samples import Sample, read_samples, write_samples
from training.observing import Medium, Observer

EXIT_SOME_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        exit status: 0, 1 where some frames could not be described, 2 for bad input or settings.
    """
    options = _parser().parse_args(arguments)
    try:
        samples = part_of(read_samples(options.samples), *options.shard)
        if not samples:
            raise InputError(f'{options.samples} holds no sample for this shard; there is nothing to look at')
        return asyncio.run(_perceive(samples, options))
    except (EmbodiedRError, OSError) as error:
        print(f'training.perceive: {error}', file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m training.perceive', description='Observe the recordings that samples name.'
    )
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='This file holds samples with media.')
    parser.add_argument(
        '--out', type=pathlib.Path, required=True, help='The command writes the samples with observations to this file.'
    )
    parser.add_argument('--cache', type=pathlib.Path, help='Descriptions are kept in this folder (default: OUT.cache).')
    backend = f'This backend describes key frames (default %(default)s). {purposes(PERCEIVERS)}'
    parser.add_argument('--perception', choices=PERCEIVERS, default='opencv', help=backend)
    eyes = f'These eyes measure, with commas between them (default {PerceptionModel().eyes}). {purposes(EYES)}'
    parser.add_argument('--eyes', default='', help=eyes)
    parser.add_argument('--vlm-url', default='', help='The vision-language model is on this server.')
    parser.add_argument('--vlm-model', default='', help='The server has the model by this id (default: its only one).')
    parser.add_argument(
        '--labels', type=pathlib.Path, help='This file names the tags (default: labels.yaml beside each recording).'
    )
    size = 'The tags have sides of so many metres; 0 is unknown (default %(default)s).'
    parser.add_argument('--tag-size', type=float, default=TagSettings().tag_size_m, help=size)
    gap = 'A key frame comes at least every so many seconds, 0 for never (default %(default)s, as on a robot).'
    parser.add_argument('--max-gap', type=float, default=KeyFrameSettings().max_gap_s, help=gap)
    parser.add_argument('--requests', type=int, default=8, help='This many requests run at once (default %(default)s).')
    parser.add_argument('--shard', type=_shard, default=(1, 1), metavar='I/N', help='Take part I/N of the recordings.')
    parser.add_argument('--focus', action='store_true', help='Key frames are looked at again for each question.')
    return parser


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition('/')
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f'a shard is I/N with I from 1 to N, got {text!r}')
    return int(number), int(count)


def part_of(samples: Sequence[Sample], number: int, count: int) -> list[Sample]:
    """The samples about every n-th recording: all of a recording are in the same part, and all parts are all samples.

    Raises:
        InputError: a sample has neither observations nor media.
    """
    paths = ['' if 'observations' in sample else Medium.of(sample).path for sample in samples]
    mine = set(sorted(set(paths))[number - 1 :: count])
    return [sample for sample, path in zip(samples, paths) if path in mine]


async def _perceive(samples: Sequence[Sample], options: argparse.Namespace) -> int:
    cache = PairCache(options.cache or options.out.with_name(f'{options.out.name}.cache'))
    settings = KeyFrameSettings(max_gap_s=options.max_gap)
    labels = None if options.labels is None else str(options.labels)
    async with perceiver_source(_perception(options), options.tag_size, labels) as source:
        observer = Observer(source, cache, settings, focus=options.focus, requests=options.requests)
        seen = await observer.observe(samples, _tell)
    count = write_samples(options.out, seen)
    print(f'{count} of {len(samples)} samples with observations in {options.out}; {observer.described} looks were new')
    failed = options.out.with_name(f'{options.out.name}.failed')
    failed.unlink(missing_ok=True)
    if not observer.failures:
        return 0
    write_samples(failed, [dataclasses.asdict(failure) for failure in observer.failures])
    print(
        f'training.perceive: {len(observer.failures)} frames or recordings failed, the first since '
        f'{observer.failures[0].error}; {failed} lists them, and the same command tries them again',
        file=sys.stderr,
    )
    return EXIT_SOME_FAILED


def _tell(done: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f'\r{done} of {count} recordings', end='\n' if done == count else '', file=sys.stderr)


def _perception(options: argparse.Namespace) -> PerceptionModel:
    """Who looks, as the command line says.

    Raises:
        SettingsError: its values do not go together.
    """
    if options.requests < 1:
        raise SettingsError(f'--requests must be at least 1, got {options.requests!r}')
    model = backends.with_eyes(PerceptionModel(backend=options.perception), options.eyes)
    if options.perception in served(PERCEIVERS):
        server = ServerSettings(model=options.vlm_model, max_concurrent_requests=options.requests)
        server = dataclasses.replace(server, url=options.vlm_url) if options.vlm_url else server
        model = dataclasses.replace(model, server=server)
    elif options.vlm_url or options.vlm_model:
        raise SettingsError(
            f'--vlm-url and --vlm-model need --perception {" or ".join(served(PERCEIVERS))}, got '
            f'{options.perception}; leave them out'
        )
    return model


if __name__ == '__main__':
    sys.exit(main())
