"""Look at the recordings that samples name with the robot's own perception, and write down what it observes.

    python -m training.perceive --samples out/bags.jsonl --out out/bags.seen.jsonl

Every description is kept in a cache, so a run may be killed at any moment and started again. Frames that could not be
described are listed beside the output and tried again by the next run; samples that need them are left out until then.
With --ray each recording is a task of a Ray cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.eye_tags import TagSettings
from embodied_r_ros.core.errors import BackendError, EmbodiedRError, InputError, SettingsError
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.models import EYES, PERCEIVERS, PerceptionModel, ServerSettings, purposes, served
from embodied_r_ros.evaluation.on_ray import add_option as add_ray
from embodied_r_ros.evaluation.on_ray import on_ray
from embodied_r_ros.evaluation.pair_cache import PairCache
from embodied_r_ros.evaluation.perceiver_source import perceiver_source
from embodied_r_ros.evaluation.progress import progress
from embodied_r_ros.evaluation.samples import Sample, read_samples, write_samples
from training.observing import Entries, Failure, Observed, Observer, by_recording

EXIT_SOME_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        exit status: 0, 1 where some frames could not be described, 2 for bad input or settings.
    """
    options = _parser().parse_args(arguments)
    try:
        samples = read_samples(options.samples)
        if not samples:
            raise InputError(f'{options.samples} holds no sample; there is nothing to look at')
        by_path = by_recording(samples)
        found = _on_ray(options, by_path) if options.ray else asyncio.run(_observe(options, by_path))
        return _write(options, samples, found)
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
    size = 'Side of the tags in metres; 0 is unknown (default %(default)s).'
    parser.add_argument('--tag-size', type=float, default=TagSettings().tag_size_m, help=size)
    gap = 'Take a key frame at least every so many seconds; 0 is never (default %(default)s, as on a robot).'
    parser.add_argument('--max-gap', type=float, default=KeyFrameSettings().max_gap_s, help=gap)
    parser.add_argument('--requests', type=int, default=8, help='This many requests run at once (default %(default)s).')
    parser.add_argument('--focus', action='store_true', help='Key frames are looked at again for each question.')
    add_ray(parser)
    return parser


async def _observe(options: argparse.Namespace, by_path: Mapping[str, Sequence[Sample]]) -> Observed:
    cache = PairCache(options.cache or options.out.with_name(f'{options.out.name}.cache'))
    settings = KeyFrameSettings(max_gap_s=options.max_gap)
    labels = None if options.labels is None else str(options.labels)
    async with perceiver_source(_perception(options), options.tag_size, labels) as source:
        observer = Observer(source, cache, settings, focus=options.focus, requests=options.requests)
        with progress('recordings', len(by_path)) as step:
            entries = await observer.observe(by_path, step)
    return Observed(entries, observer.failures, observer.described)


def _on_ray(options: argparse.Namespace, by_path: Mapping[str, Sequence[Sample]]) -> Observed:
    """As `_observe`, each recording a task of its own."""
    entries: Entries = {}
    failures: list[Failure] = []
    described = 0
    for part, found in on_ray(functools.partial(_observe_part, options), [*by_path.items()], options.ray):
        if isinstance(found, BackendError):
            failures.append(Failure(part[0], str(found)))
            continue
        entries |= found.entries
        failures += found.failures
        described += found.described
    return Observed(entries, failures, described)


def _observe_part(options: argparse.Namespace, part: tuple[str, Sequence[Sample]]) -> Observed:
    return asyncio.run(_observe(options, dict([part])))


def _write(options: argparse.Namespace, samples: Sequence[Sample], found: Observed) -> int:
    """Write the samples in their order, and the failures beside them; returns the exit status."""
    known = {sample['id']: sample['observations'] for sample in samples if 'observations' in sample} | found.entries
    seen = [{**sample, 'observations': known[sample['id']]} for sample in samples if sample['id'] in known]
    count = write_samples(options.out, seen)
    print(f'{count} of {len(samples)} samples with observations in {options.out}; {found.described} looks were new')
    failed = options.out.with_name(f'{options.out.name}.failed')
    failed.unlink(missing_ok=True)
    if not found.failures:
        return 0
    write_samples(failed, [dataclasses.asdict(failure) for failure in found.failures])
    print(
        f'training.perceive: {len(found.failures)} frames or recordings failed, the first since '
        f'{found.failures[0].error}; {failed} lists them, and the same command tries them again',
        file=sys.stderr,
    )
    return EXIT_SOME_FAILED


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
