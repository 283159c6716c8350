"""Look at the recordings that samples name with the robot's own perception, and write down what it observes.

    python -m training.perceive --samples out/bags.jsonl --out out/bags.seen.jsonl

Every description is kept in a cache, so a run may be killed at any moment and started again. Frames that could not be
described are listed beside the output and tried again by the next run; samples that need them are left out until then.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import AsyncIterator, Sequence

import embodied_r_ros
from embodied_r_ros.adapters.perception import Perceiver
from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver, OpenCVSettings, find_labels
from embodied_r_ros.core.errors import EmbodiedRError, InputError, SettingsError
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.models import PerceptionModel, ServerSettings
from embodied_r_ros.core.prompts import describe_prompt, focus_prompt
from embodied_r_ros.evaluation.samples import Sample, read_samples, write_samples
from training.observing import Looker, Medium, Observer
from training.pair_cache import PairCache, key_of

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
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='samples with media')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='file for the same samples with observations')
    parser.add_argument('--cache', type=pathlib.Path, help='folder of what was described before (default: OUT.cache)')
    parser.add_argument(
        '--perception', choices=('opencv', 'openai'), default='opencv', help='who looks (default %(default)s)'
    )
    parser.add_argument('--vlm-url', default='', help='server of the vision-language model')
    parser.add_argument('--vlm-model', default='', help='model id that it lists (default: the only one)')
    parser.add_argument(
        '--labels', type=pathlib.Path, help='nouns of the tags (default: labels.yaml beside each recording)'
    )
    parser.add_argument(
        '--tag-size',
        type=float,
        default=OpenCVSettings().tag_size_m,
        help='side of the tags in metres, 0 for unknown (default %(default)s)',
    )
    parser.add_argument(
        '--max-gap',
        type=float,
        default=KeyFrameSettings().max_gap_s,
        help='a key frame at least every so many seconds, 0 for never (default %(default)s, as on a robot)',
    )
    parser.add_argument('--requests', type=int, default=8, help='descriptions under way at once (default %(default)s)')
    parser.add_argument(
        '--shard', type=_shard, default=(1, 1), metavar='I/N', help='only this part, 1 to N, of the recordings'
    )
    parser.add_argument(
        '--focus', action='store_true', help='look again with each question in mind, where the robot would'
    )
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
    async with _looker(options) as looker:
        observer = Observer(looker, cache, settings, focus=options.focus, requests=options.requests)
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


@contextlib.asynccontextmanager
async def _looker(options: argparse.Namespace) -> AsyncIterator[Looker]:
    """Who looks, as the command line says.

    Raises:
        SettingsError: its values do not go together.
        BackendError: the server is not there.
    """
    if options.requests < 1:
        raise SettingsError(f'--requests must be at least 1, got {options.requests!r}')
    if options.perception == 'opencv':
        if options.vlm_url or options.vlm_model:
            raise SettingsError('--vlm-url and --vlm-model need --perception openai, got opencv; leave them out')
        yield TagLooker(options.tag_size, options.labels)
        return
    server = ServerSettings(model=options.vlm_model, concurrency=options.requests)
    if options.vlm_url:
        server = dataclasses.replace(server, url=options.vlm_url)
    model = PerceptionModel(backend='openai', server=server)
    perceiver = OpenAIPerceiver(model)
    try:
        await perceiver.probe()
        yield ModelLooker(perceiver, model)
    finally:
        await perceiver.aclose()


class TagLooker:
    """OpenCV's perception, anew for each recording: it remembers frames by stamp, which recordings may share."""

    def __init__(self, tag_size_m: float, labels: pathlib.Path | None) -> None:
        self._tag_size_m, self._labels = tag_size_m, labels
        package = pathlib.Path(embodied_r_ros.__file__).parent
        code = sorted(file for room in ('core', 'adapters') for file in (package / room).glob('*.py'))
        self._code = key_of(file.read_bytes() for file in code)

    @contextlib.asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[tuple[Perceiver, str]]:
        """Who looks at a recording, and what its words depend on beside the images: labels, size of tags, this code."""
        labels = self._labels or find_labels(path)
        perceiver = OpenCVPerceiver(OpenCVSettings(labels=str(labels or ''), tag_size_m=self._tag_size_m))
        try:
            yield perceiver, key_of([self._code, repr(self._tag_size_m), labels.read_bytes() if labels else b''])
        finally:
            await perceiver.aclose()


class ModelLooker:
    """A vision-language model, the same for all recordings."""

    def __init__(self, perceiver: OpenAIPerceiver, model: PerceptionModel) -> None:
        prompts = [describe_prompt(True, None).text, describe_prompt(False, None).text, focus_prompt(True, '').text]
        self._perceiver = perceiver
        self._key = key_of(['openai', perceiver.name, repr((model.temperature, model.max_tokens)), *prompts])

    @contextlib.asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[tuple[Perceiver, str]]:
        """Who looks at a recording, and what its words depend on beside the images: the model and its prompts."""
        yield self._perceiver, self._key


if __name__ == '__main__':
    sys.exit(main())
