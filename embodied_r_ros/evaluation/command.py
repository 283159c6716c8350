"""The command `python -m embodied_r_ros evaluate`: questions put to recordings, scored, kept, compared and reported."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Container, Sequence
from typing import Any, Protocol, TypeVar

from embodied_r_ros.adapters.eye_tags import find_labels
from embodied_r_ros.app import model_options
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.models import REASONERS, PerceptionModel, ReasonerModel, ServerSettings, served
from embodied_r_ros.evaluation import on_ray
from embodied_r_ros.evaluation.offline_asking import Asked, Keep
from embodied_r_ros.evaluation.pair_cache import CODE, code_key, file_key
from embodied_r_ros.evaluation.question_file import read_questions
from embodied_r_ros.evaluation.report import check_writable, write_report
from embodied_r_ros.evaluation.results import Run, by_reason, compared, results
from embodied_r_ros.evaluation.run_folder import Reply, RunFolder, read_run
from embodied_r_ros.evaluation.samples import Sample

Model = TypeVar('Model', PerceptionModel, ReasonerModel)

THROUGH = ('offline', 'graph')


class Asker(Protocol):
    """A way to put questions to recordings; `ask_offline` is one."""

    def __call__(
        self, options: argparse.Namespace, samples: Sequence[Sample], known: Container[str], keep: Keep
    ) -> Asked:
        """Ask those that are not known; `keep` gets each reply when it is there."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes, beside what names models and topics."""
    add = parser.add_argument
    add('questions', type=pathlib.Path, metavar='QUESTIONS', help='A YAML file written by hand, or JSON lines.')
    media = 'Bags and videos of the questions, or folders that hold them (default: the paths in QUESTIONS).'
    add('--media', type=pathlib.Path, nargs='+', default=[], metavar='PATH', help=media)
    through = 'Ask offline, in this process, or ask a graph of real nodes at replayed time'
    add('--through', choices=THROUGH, default=THROUGH[0], help=f'{through} (default %(default)s).')
    rate = 'Recordings are played to the graph at this multiple of real time (default %(default)s).'
    add('--rate', type=float, default=1.0, metavar='X', help=rate)
    add('--out', type=pathlib.Path, metavar='RUN', help='Keep answers in this folder; a killed run continues from it.')
    add('--against', type=pathlib.Path, metavar='RUN', help='Compare with the run in this folder, by question.')
    add('--report', type=pathlib.Path, metavar='F', help='This HTML file shows what each answer rests on.')
    cache = "What was perceived is kept in this folder (default: embodied_r_ros/perception in the user's cache)."
    add('--cache', type=pathlib.Path, metavar='DIR', help=cache)
    on_ray.add_option(parser)


def run(options: argparse.Namespace, ask: Asker) -> dict[str, Any]:
    """Do what the command line asks for; what it came to is as `results` has it, with `against` where there is one.

    Raises:
        InputError: no question can be asked, or the run to compare with cannot be read.
        SettingsError: a model cannot be used, or a folder cannot be written.
        BackendError: a server is not there.
    """
    others = read_run(options.against) if options.against else []
    questions = read_questions(options.questions, options.media)
    if options.report:
        check_writable(options.report)
    replies, asked = _answered(options, questions.samples, ask)
    left_out = [*questions.left_out, *asked.left_out]
    if not replies:
        reasons = '; '.join(f'{one["reason"]} ({one["count"]})' for one in by_reason(left_out))
        raise InputError(f'{options.questions} holds no question that can be asked: {reasons}')
    describe_s = [seen.latency_s for one in asked.perceived.values() for seen in one.observations]
    found = results(Run(replies=replies, left_out=left_out, describe_s=describe_s))
    if others:
        found['against'] = compared(replies, others)
    if options.report:
        write_report(options.report, found, replies, asked.perceived, title=options.questions.stem)
    return found


def made_with(options: argparse.Namespace) -> dict[str, Any]:
    """Names and values of all that decides the answers to a question."""
    looks, thinks = model_options.perception(options), model_options.reasoner(options)
    return {
        'way of asking': [options.through, *([options.rate] if options.through == 'graph' else [])],
        'perception': repr(_wherever(looks)),
        'reasoner': repr(_wherever(thinks)),
        'reasoner folder': _content(thinks.folder if thinks.backend not in served(REASONERS) else ''),
        'labels': [_content(options.labels), options.tag_size],
        'topics': [options.image_topic, options.camera_info_topic, options.odom_topic, options.depth_topic],
        'mounting': [options.base_frame, options.camera_pose],
        'calibration': _content(options.camera_info),
        'code': code_key(CODE),
    }


def _content(path: str | None) -> str | None:
    """A hash of a file or folder; the path itself where there is none, which whoever needs it will say."""
    return file_key(path) if path and pathlib.Path(path).exists() else path


def _wherever(model: Model) -> Model:
    """A model without the place of its server, and without how busy that may be kept: its answers depend on neither."""
    return dataclasses.replace(model, server=ServerSettings(model=model.server.model))


def _answered(options: argparse.Namespace, samples: Sequence[Sample], ask: Asker) -> tuple[list[Reply], Asked]:
    """The replies to all samples, those of a run that was killed among them."""
    folder = RunFolder(options.out, made_with(options)) if options.out else None
    about = {sample['id']: _about(sample) for sample in samples} if folder else {}
    replies = folder.known(samples, about) if folder else {}
    if folder:
        folder.begin(list(replies.values()))
    known = frozenset(replies)

    def keep(reply: Reply) -> None:
        name = reply.sample['id']
        replies[name] = dataclasses.replace(reply, about=about.get(name, ''))
        if folder:
            folder.add(replies[name])

    asked = ask(options, samples, known, keep)
    for one in asked.left_out:
        replies.pop(one.where, None)
    ordered = [replies[sample['id']] for sample in samples if sample['id'] in replies]
    if folder:
        folder.begin(ordered)
    return ordered, asked


def _about(sample: Sample) -> str:
    """A hash of a sample's recording and of the labels beside it, as they are now."""
    if 'observations' in sample:
        return ''
    labels = find_labels(sample['media']['path'])
    return file_key(sample['media']['path'], labels.read_text(encoding='utf-8', errors='replace') if labels else '')
