"""Questions asked of recordings: perceived once, then thought about, several at a time; in this process or on Ray."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Container, Mapping, Sequence

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.lm import LanguageModel, drive
from embodied_r_ros.adapters.side_by_side import all_or_none
from embodied_r_ros.app import model_options, offline
from embodied_r_ros.app.one_picture import read_calibration
from embodied_r_ros.core import reasoning
from embodied_r_ros.core.errors import BackendError, EmbodiedRError, InputError, SettingsError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.landmark_history import Scene
from embodied_r_ros.core.latest_motion import is_key_frame
from embodied_r_ros.core.models import PERCEIVERS, REASONERS, PerceptionModel, ReasonerModel, served
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.reasoning import ODOMETRY_FRAME, ReasoningSettings
from embodied_r_ros.core.records import Question
from embodied_r_ros.evaluation.on_ray import on_ray
from embodied_r_ros.evaluation.pair_cache import PairCache
from embodied_r_ros.evaluation.perceiver_source import perceiver_source
from embodied_r_ros.evaluation.perceiving import MediaPerceiver, Medium, Perceived
from embodied_r_ros.evaluation.progress import progress
from embodied_r_ros.evaluation.question_file import LeftOut
from embodied_r_ros.evaluation.run_folder import Reply
from embodied_r_ros.evaluation.samples import Sample, to_observations

Keep = Callable[[Reply], None]
# What the robot knows when it is asked: the question's window, the things of the session (None: those of the window),
# and the frame of the poses.
Known = tuple[Sequence[Observation], Scene | None, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What was found on the way to the replies: the recordings as they were seen, and questions that were left out."""

    perceived: Mapping[Medium, Perceived]
    left_out: Sequence[LeftOut]


def ask_offline(options: argparse.Namespace, samples: Sequence[Sample], known: Container[str], keep: Keep) -> Asked:
    """Ask every sample, as the robot would be asked at its second.

    Args:
        options: of the command line.
        samples: to be asked.
        known: ids of those to which the replies are there.
        keep: gets each reply when it is there.

    Raises:
        SettingsError: a model or a file cannot be used.
        BackendError: a server is not there.
    """
    return asyncio.run(_ask(options, samples, known, keep))


def ask_on_ray(options: argparse.Namespace, samples: Sequence[Sample], known: Container[str], keep: Keep) -> Asked:
    """As `ask_offline`, with a task of a Ray cluster for each recording; the replies come as the tasks end."""
    parts: dict[object, list[Sample]] = {}
    for sample in samples:
        about = sample['scene'] if 'observations' in sample else medium_of(sample)
        parts.setdefault(about, []).append(sample)
    told = argparse.Namespace(**{**vars(options), 'cache': cache_folder(options), 'run': None})
    work = functools.partial(_ask_part, told, {sample['id'] for sample in samples if sample['id'] in known})
    perceived: dict[Medium, Perceived] = {}
    left_out: dict[str, LeftOut] = {}
    for part, found in on_ray(work, list(parts.values()), options.ray):
        if isinstance(found, BackendError):
            left_out |= {sample['id']: LeftOut(sample['id'], str(found)) for sample in part}
            continue
        replies, asked = found
        for reply in replies:
            keep(reply)
        perceived |= asked.perceived
        left_out |= {one.where: one for one in asked.left_out}
    ordered = [left_out[sample['id']] for sample in samples if sample['id'] in left_out]
    return Asked(perceived=perceived, left_out=ordered)


def _ask_part(
    options: argparse.Namespace, known: Container[str], samples: Sequence[Sample]
) -> tuple[list[Reply], Asked]:
    replies: list[Reply] = []
    return replies, ask_offline(options, samples, known, replies.append)


def medium_of(sample: Sample) -> Medium:
    """The recording that a sample is about."""
    return Medium(path=sample['media']['path'], odometry=sample['media']['odometry'])


def cache_folder(options: argparse.Namespace) -> pathlib.Path:
    """Where perception is kept: the folder that was named, else one in the user's own cache."""
    if options.cache is not None:
        return pathlib.Path(options.cache)
    own = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(own) / 'embodied_r_ros' / 'perception'


async def _ask(options: argparse.Namespace, samples: Sequence[Sample], known: Container[str], keep: Keep) -> Asked:
    looks, thinks = model_options.perception(options), model_options.reasoner(options)
    media = list(dict.fromkeys(medium_of(sample) for sample in samples if 'observations' not in sample))
    perceived, failed = await _perceive(options, looks, media)
    windows: dict[str, Known] = {}
    left_out = []
    for sample in samples:
        try:
            windows[sample['id']] = _window(sample, perceived, failed)
        except InputError as error:
            left_out.append(LeftOut(sample['id'], str(error)))
    asked = [sample for sample in samples if sample['id'] in windows and sample['id'] not in known]
    if asked:
        await _think(asked, windows, perceived, thinks, keep)
    return Asked(perceived=perceived, left_out=left_out)


async def _perceive(
    options: argparse.Namespace, looks: PerceptionModel, media: Sequence[Medium]
) -> tuple[dict[Medium, Perceived], dict[Medium, str]]:
    if not media:
        return {}, {}
    topics = offline.TopicNames(
        image=options.image_topic,
        camera_info=options.camera_info_topic,
        odometry=options.odom_topic,
        depth=options.depth_topic,
    )
    mounting = MountingSettings(base_frame=options.base_frame, camera_pose=options.camera_pose)
    requests = looks.server.max_concurrent_requests if looks.backend in served(PERCEIVERS) else 1
    async with perceiver_source(looks, options.tag_size, options.labels) as source:
        cache = PairCache(cache_folder(options))
        lens = read_calibration(options.camera_info)
        perceiver = MediaPerceiver(source, cache, KeyFrameSettings(), topics, mounting, requests, lens)
        with progress('recordings', len(media)) as step:
            try:
                return await perceiver.perceive(media, step)
            except OSError as error:
                place = str(cache_folder(options))
                raise SettingsError(
                    f'perception cannot be kept in {place!r}: {error.strerror}; name a folder with --cache'
                ) from error


def _window(sample: Sample, perceived: Mapping[Medium, Perceived], failed: Mapping[Medium, str]) -> Known:
    """What the robot knows when it is asked.

    Raises:
        InputError: the recording was not perceived, or does not reach so far.
    """
    if 'observations' in sample:
        return to_observations(sample), None, ODOMETRY_FRAME
    medium = medium_of(sample)
    if medium in failed:
        raise InputError(failed[medium])
    start_s, end_s = sample['media']['start_s'], sample['media']['end_s']
    found = perceived[medium]
    return found.window(start_s, end_s), found.scene(end_s), found.frame_id


async def _think(
    samples: Sequence[Sample],
    windows: Mapping[str, Known],
    perceived: Mapping[Medium, Perceived],
    model: ReasonerModel,
    keep: Keep,
) -> None:
    lm, prompt_format = backends.reasoner(model), backends.prompt_format(model)
    at_once = model.server.max_concurrent_requests if model.backend in served(REASONERS) else 1
    free = asyncio.Semaphore(at_once)
    with progress('questions', len(samples)) as step:

        async def think(sample: Sample) -> None:
            seen, *_ = windows[sample['id']]
            async with free:  # time-out and timings run from here on
                reply = await _reply(sample, windows[sample['id']], lm, prompt_format)
            known = None if 'observations' in sample else perceived[medium_of(sample)].begin_ns
            begin_ns = known if known is not None else min((one.stamp_ns for one in seen), default=0)
            keep(dataclasses.replace(reply, begin_ns=begin_ns))
            step()

        try:
            await lm.probe()
            await all_or_none(map(think, samples))
        finally:
            await lm.aclose()


async def _reply(sample: Sample, known: Known, lm: LanguageModel, prompt_format: PromptFormat) -> Reply:
    seen, scene, frame_id = known
    question = Question(text=sample['question'], choices=tuple(sample['choices']))
    try:
        steps = reasoning.answer(
            question, seen, prompt_format, ReasoningSettings(), lm.name, scene=scene, odometry_frame=frame_id
        )
        answer = await drive(steps, lm)
    except EmbodiedRError as error:
        answer = reasoning.failure(error)
    answer = dataclasses.replace(answer, model=lm.name, prompt_id=prompt_format.id)
    return Reply(sample=sample, answer=answer, seen=tuple(one.index for one in seen if is_key_frame(one)))
