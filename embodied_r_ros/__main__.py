"""Key frames of recordings, answers about them and their evaluation, without ROS: `python -m embodied_r_ros`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import sys
from collections.abc import Sequence
from typing import Any

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.eye_tags import TagSettings, find_labels
from embodied_r_ros.adapters.looking import NO_HURRY
from embodied_r_ros.app import model_options, offline, one_picture
from embodied_r_ros.app.request import LATEST_S
from embodied_r_ros.core.answers import letter, validate_question
from embodied_r_ros.core.errors import EmbodiedRError, SettingsError
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.landmark_report import sentence
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.phrases import write_sightings
from embodied_r_ros.core.records import Answer, ErrorCode, Evidence, KeyFrame, Question, Sighting
from embodied_r_ros.evaluation import command as evaluation
from embodied_r_ros.evaluation import results
from embodied_r_ros.evaluation.observation_json import data_of, landmark_entry, to_entry
from embodied_r_ros.evaluation.offline_asking import ask_offline, ask_on_ray

EXIT_NO_ANSWER = 1
EXIT_BAD_INPUT = 2
TOPICS = {'--image-topic': 'camera', '--camera-info-topic': 'calibration', '--odom-topic': 'odometry'}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        exit status: 0, 1 for an answer whose error code is not OK or questions left out, 2 for bad input or settings.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format='%(message)s')
    try:
        return int(options.run(options))
    except EmbodiedRError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m embodied_r_ros', description=__doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    key_frames = commands.add_parser('keyframes', help='This command picks the key frames of a recording.')
    rate = 'This many images are examined per second (default %(default)s).'
    key_frames.add_argument('--rate', type=float, default=1.0, metavar='HZ', help=rate)
    key_frames.set_defaults(run=_run_key_frames)
    answer = commands.add_parser('answer', help='This command answers a question about a recording.')
    _add_question(answer)
    _add_mounting(answer)
    model_options.add_models(answer)
    answer.set_defaults(run=_run_answer)
    evaluate = commands.add_parser('evaluate', help='This command scores answers to a file of questions.')
    evaluation.add_options(evaluate)
    _add_mounting(evaluate)
    model_options.add_models(evaluate)
    evaluate.set_defaults(run=_run_evaluate)
    picture = commands.add_parser('sightings', help='This command shows what eyes see in one picture.')
    picture.add_argument('path', metavar='IMAGE', help='This is a JPEG or PNG file.')
    of_bag = 'that of the bag, or none'
    for command, default in (
        (picture, 'none, so that there are no distances'), (answer, of_bag), (evaluate, of_bag)
    ):  # fmt: skip
        lens = f'The camera has this calibration, as camera_info_manager writes it (default: {default}).'
        command.add_argument('--camera-info', metavar='YAML', help=lens)
    picture.add_argument('--json', action='store_true', help='The last line is one JSON object.')
    model_options.add_models(picture)
    picture.set_defaults(run=_run_sightings)
    for command in (key_frames, answer):
        command.add_argument('path', metavar='PATH', help='This is a video file, bag folder, .mcap, .db3 or .bag.')
    for command in (key_frames, answer, evaluate):
        for option, what in TOPICS.items():
            names = f'The {what} of a bag is on this topic (default: chosen by type and name, with a message).'
            command.add_argument(option, metavar='T', help=names)
        depth = 'Depth that is registered to the camera is on this topic of a bag (default: none is read).'
        command.add_argument('--depth-topic', metavar='T', help=depth)
        command.add_argument('--json', action='store_true', help='The last line is one JSON object.')
    return parser


def _add_question(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--question', required=True, metavar='Q', help='The command answers this question.')
    choice = 'The answer is one of these: 2 to 26, or none.'
    parser.add_argument('--choice', action='append', default=[], metavar='C', help=choice)
    parser.add_argument('--last', type=float, metavar='S', help='Only this many seconds before the end count.')
    parser.add_argument(
        '--until', type=float, metavar='S', help='The question is asked at this second (default: the end).'
    )


def _add_mounting(parser: argparse.ArgumentParser) -> None:
    base = "'Ahead' and 'left' belong to this frame (default: the child frame of odometry, otherwise base_link)."
    parser.add_argument('--base-frame', default='', metavar='F', help=base)
    pose = 'The camera has this pose in the base, in metres and degrees (default: from /tf_static of the bag).'
    parser.add_argument('--camera-pose', default='', metavar="'X Y Z ROLL PITCH YAW'", help=pose)


def _run_key_frames(options: argparse.Namespace) -> int:
    recording = offline.scan(options.path, KeyFrameSettings(sample_hz=options.rate), topics=_topics(options))
    ms_per_frame = 1e3 * recording.selection_s / recording.sampled
    if options.json:
        stamps_ns = [frame.stamp_ns for frame in recording.key_frames]
        print(json.dumps({'key_frames': recording.numbers, 'stamps_ns': stamps_ns, 'ms_per_frame': ms_per_frame}))
        return 0
    first_ns = recording.key_frames[0].stamp_ns
    for number, frame in zip(recording.numbers, recording.key_frames):
        print(f'{number:7d} {_age(frame, first_ns)}  {frame.reason}{_overlap(frame)}')
    print(f'{len(recording.numbers)} key frames of {recording.sampled} looked at, {ms_per_frame:.1f} ms each')
    return 0


def _run_answer(options: argparse.Namespace) -> int:
    question = Question(text=options.question, choices=tuple(options.choice))
    validate_question(question)
    for name in ('last', 'until'):
        value = getattr(options, name)
        if value is not None and not 0.0 < value < LATEST_S:
            raise SettingsError(
                f'--{name} must be above 0 and below {LATEST_S} s, got {value!r}; leave it out for the whole recording'
            )
    result = asyncio.run(_answer(options, question))
    print(json.dumps(to_json(result)) if options.json else readable(result, question))
    return 0 if result.answer.error_code is ErrorCode.OK else EXIT_NO_ANSWER


def _run_sightings(options: argparse.Namespace) -> int:
    found = asyncio.run(_sightings(options))
    if options.json:
        print(json.dumps({'sightings': data_of(None, found, '')['sightings']}))
    else:
        print(write_sightings(found) if found else 'nothing')
    return 0


async def _sightings(options: argparse.Namespace) -> Sequence[Sighting]:
    calibration = one_picture.read_calibration(options.camera_info)
    perceiver = backends.perceiver(model_options.perception(options), _tags(options), NO_HURRY)
    try:
        return await one_picture.sightings_in(options.path, perceiver, calibration)
    finally:
        await perceiver.aclose()


def _tags(options: argparse.Namespace) -> TagSettings:
    labels = str(find_labels(options.path) or '') if options.labels is None else options.labels
    return TagSettings(labels=labels, tag_size_m=options.tag_size)


def _run_evaluate(options: argparse.Namespace) -> int:
    found = evaluation.run(options, _asker(options))
    print(json.dumps(found) if options.json else results.table(found))
    return EXIT_NO_ANSWER if found['left_out'] else 0


def _asker(options: argparse.Namespace) -> evaluation.Asker:
    if options.through == 'offline':
        return ask_on_ray if options.ray else ask_offline
    for option in ('ray', 'camera_info'):
        if getattr(options, option):
            name = option.replace('_', '-')
            raise SettingsError(f'--{name} needs --through offline, got {options.through!r}; leave one of them out')
    try:
        from embodied_r_ros.ros_client.replaying import ask_in_graph
    except ImportError as error:
        raise SettingsError(
            f'--through graph needs ROS 2, got {error}; source a workspace with this package'
        ) from error
    return ask_in_graph


async def _answer(options: argparse.Namespace, question: Question) -> offline.OfflineAnswer:
    mounting = MountingSettings(base_frame=options.base_frame, camera_pose=options.camera_pose)
    calibration = one_picture.read_calibration(options.camera_info)
    perceiver = backends.perceiver(model_options.perception(options), _tags(options), NO_HURRY)
    reasoner = model_options.reasoner(options)
    lm = backends.reasoner(reasoner)
    try:
        recording = offline.scan(
            options.path, KeyFrameSettings(), keep_last=True, topics=_topics(options), mounting=mounting,
            calibration=calibration,
        )  # fmt: skip
        prompt_format = backends.prompt_format(reasoner)
        return await offline.answer(
            question, recording, perceiver, lm, prompt_format, last_s=options.last, until_s=options.until
        )
    finally:
        await perceiver.aclose()
        await lm.aclose()


def _topics(options: argparse.Namespace) -> offline.TopicNames:
    return offline.TopicNames(
        image=options.image_topic, camera_info=options.camera_info_topic, odometry=options.odom_topic,
        depth=options.depth_topic,
    )  # fmt: skip


def to_json(result: offline.OfflineAnswer) -> dict[str, Any]:
    """An answer as scripts read it; what is not a number is null."""
    answer = result.answer
    evidence = [{'index': cited.index, 'stamp_ns': cited.stamp_ns, 'text': cited.text} for cited in answer.evidence]
    observations = [{'index': seen.index, **to_entry(seen), 'source': seen.source} for seen in result.observations]
    return {
        'answer': answer.answer,
        'choice': answer.choice,
        'thinking': answer.thinking,
        'confidence': None if math.isnan(answer.confidence) else answer.confidence,
        'evidence': evidence,
        'observations': observations,
        'landmarks': [landmark_entry(landmark) for landmark in result.landmarks],
        'error_code': answer.error_code.name,
        'error_msg': answer.error_msg,
        'timings_s': answer.timings_s,
        'model': answer.model,
        'prompt_id': answer.prompt_id,
    }


def readable(result: offline.OfflineAnswer, question: Question) -> str:
    """An answer as people read it: what was seen, what was thought, and which frames it rests on."""
    answer = result.answer
    first_ns = result.observations[0].stamp_ns if result.observations else 0
    lines = ['Seen']
    lines += [f'  Frame {seen.index:<3d}{_age(seen, first_ns)}  {seen.words}' for seen in result.observations]
    if answer.thinking:
        lines += ['Thought', f'  {answer.thinking}']
    lines += [_verdict(answer, question)]
    if answer.evidence:
        lines += ['Rests on']
        lines += [f'  Frame {cited.index:<3d}{_age(cited, first_ns)}  {cited.text}' for cited in answer.evidence]
    if answer.landmarks:
        lines += ['Places', *(f'  {sentence(landmark)}' for landmark in answer.landmarks)]
    spans = ', '.join(f'{stage} {seconds:.2f}' for stage, seconds in answer.timings_s.items())
    return '\n'.join([*lines, f'Model: {answer.model}, asked in the format {answer.prompt_id}', f'Seconds: {spans}'])


def _verdict(answer: Answer, question: Question) -> str:
    if answer.error_code is not ErrorCode.OK:
        return f'No answer ({answer.error_code.name}): {answer.error_msg}'
    return f'Answer: {letter(answer.choice) + ": " if question.choices else ""}{answer.answer}'


def _age(seen: KeyFrame | Observation | Evidence, first_ns: int) -> str:
    return f'{(seen.stamp_ns - first_ns) / 1e9:7.1f} s'


def _overlap(frame: KeyFrame) -> str:
    return '' if math.isnan(frame.overlap) else f', overlap {frame.overlap:.2f}'


if __name__ == '__main__':
    raise SystemExit(main())
