"""The whole system at work: nodes in processes of their own, sample recordings played to them, questions asked.

    python -m embodied_r_ros.demo

The last line is JSON: `asked`, `right`, `chance` (share that guessing gets right) and `latency_s` {p50, p95}. The exit
status is 0 when every question was answered, right or wrong, 1 with one sentence when the graph is broken.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from embodied_r_ros.adapters.perception_opencv import find_labels
from embodied_r_ros.core.answers import letter
from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.records import Answer, ErrorCode
from embodied_r_ros.share import share_dir

# The reasoner spoke, if wrongly or of its limits; any other code means that the graph did not do its part.
SPOKEN = (ErrorCode.OK, ErrorCode.CANNOT_TELL, ErrorCode.BAD_REPLY, ErrorCode.QUESTION_UNSUPPORTED)
EXIT_BROKEN = 1
EXIT_INTERRUPTED = 130


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One question about a recording.

    Attributes:
        end_s: asked as of so many seconds after the recording's begin; None is its end.
        truth: index into the choices.
    """

    recording: pathlib.Path
    end_s: float | None
    category: str
    question: str
    choices: tuple[str, ...]
    truth: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """A question answered."""

    sample: Sample
    answer: Answer
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the choice is the true one."""
        return self.answer.error_code is ErrorCode.OK and self.answer.choice == self.sample.truth


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    options = _parser().parse_args(argv)
    # Before rclpy reads them: nobody else's graph is to be heard, and nobody is to hear this one.
    os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randrange(50, 100))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        samples = read_samples(options.questions or share_dir() / 'data/questions.jsonl')
        from embodied_r_ros.ros_client.demo_graph import BrokenGraph, DemoGraph
    except EmbodiedRError as error:
        return _complain(str(error))
    try:
        with DemoGraph(options.models, find_labels(samples[0].recording), options.rate, options.limit) as graph:
            print(f'nodes up in {graph.started_s:.1f} s', flush=True)
            outcomes = list(_ask_all(graph, samples))
            report(outcomes, graph.working_s)
    except (BrokenGraph, EmbodiedRError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def read_samples(path: pathlib.Path) -> list[Sample]:
    """Questions with choices about recordings, in the order of the recordings' first mention.

    Raises:
        InputError: the file cannot be read, or a line is no such question.
    """
    try:
        with path.open(encoding='utf-8') as file:
            lines = list(file)
    except OSError as error:
        raise InputError(f'wanted a file of questions, got {str(path)!r}: {error.strerror}') from error
    samples = []
    for number, line in enumerate(lines, 1):
        try:
            sample = json.loads(line)
            truth = [letter(index) for index in range(len(sample['choices']))].index(sample['answer'])
            samples.append(
                Sample(
                    recording=_recording(sample['media']['path'], path),
                    end_s=_seconds(sample['media'].get('end_s')),
                    category=sample['category'],
                    question=sample['question'],
                    choices=tuple(sample['choices']),
                    truth=truth,
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f'{path}, line {number}: wanted a question with choices and media, got {error!r}'
            ) from error
    if not samples:
        raise InputError(f'wanted questions, got none in {str(path)!r}')
    order = list(dict.fromkeys(sample.recording for sample in samples))
    return sorted(samples, key=lambda sample: order.index(sample.recording))


def report(outcomes: Sequence[Outcome], working_s: float) -> None:
    """Print the table by task, and the line of JSON."""
    print(f'\n{"task":24} {"asked":>5} {"right":>5} {"chance":>6}')
    for category in [*dict.fromkeys(outcome.sample.category for outcome in outcomes), 'all']:
        of_task = [outcome for outcome in outcomes if category in (outcome.sample.category, 'all')]
        right = sum(outcome.right for outcome in of_task)
        print(f'{category:24} {len(of_task):5d} {right:5d} {_chance(of_task):6.2f}')
    seconds = sorted(outcome.seconds for outcome in outcomes)
    print(f'played and asked in {working_s:.0f} s')
    summary = {
        'asked': len(outcomes),
        'right': sum(outcome.right for outcome in outcomes),
        'chance': round(_chance(outcomes), 3),
        'latency_s': {f'p{share}': round(_percentile(seconds, share), 3) for share in (50, 95)},
    }
    print(json.dumps(summary), flush=True)


def _ask_all(graph: Any, samples: Sequence[Sample]) -> Iterator[Outcome]:
    """Play each recording and ask its questions, service and action in turn, a line each."""
    playing: pathlib.Path | None = None
    for number, sample in enumerate(samples):
        if sample.recording != playing:
            playing = sample.recording
            print(f'\n{playing.name}: playing', flush=True)
            duration_s = graph.play(playing)
            print(f'{playing.name}: played in {duration_s:.1f} s', flush=True)
        way = ('service', 'action')[number % 2]
        begun_s = time.monotonic()
        answer = graph.ask(sample.question, sample.choices, sample.end_s, way)
        outcome = Outcome(sample=sample, answer=answer, seconds=time.monotonic() - begun_s)
        if answer.error_code not in SPOKEN:
            graph.fail(f'question {number + 1} got {answer.error_code.name}: {answer.error_msg}')
        print(_line(number + 1, way, outcome), flush=True)
        yield outcome


def _line(number: int, way: str, outcome: Outcome) -> str:
    sample, answer = outcome.sample, outcome.answer
    said = answer.answer if answer.error_code is ErrorCode.OK else f'{answer.error_code.name}: {answer.error_msg}'
    frames = ' '.join(str(cited.index) for cited in answer.evidence) or 'none'
    truth = '' if outcome.right else f' (truth: {sample.choices[sample.truth]})'
    verdict = 'right' if outcome.right else 'wrong'
    return (
        f'{number:2d} {verdict} {sample.category}, {way}: {_short(sample.question, 60)} -> {_short(said, 60)}{truth}; '
        f'key frames {frames}; {outcome.seconds:.2f} s'
    )


def _short(text: str, length: int) -> str:
    text = ' '.join(text.split())
    return text if len(text) <= length else text[: length - 1] + '…'


def _chance(outcomes: Sequence[Outcome]) -> float:
    return sum(1.0 / len(outcome.sample.choices) for outcome in outcomes) / max(1, len(outcomes))


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share / 100.0 * len(ordered)))]


def _recording(path: str, questions: pathlib.Path) -> pathlib.Path:
    for folder in (pathlib.Path(), share_dir(), questions.resolve().parent):
        if (folder / path).exists():
            return (folder / path).resolve()
    raise ValueError(f'no recording {path!r} in {str(share_dir())!r} or beside the questions')


def _seconds(given: float | None) -> float | None:
    return None if given is None else float(given)


def _complain(sentence: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f'demo: {" ".join(sentence.split())}\n')
    return EXIT_BROKEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m embodied_r_ros.demo', description=__doc__.split('\n')[0])
    parser.add_argument('--questions', type=pathlib.Path, help='JSON lines (default data/questions.jsonl)')
    parser.add_argument('--models', default='embedded', help='model pair: a name in config/models, or a YAML file')
    parser.add_argument('--rate', type=float, default=2.0, help='times real time (default 2)')
    parser.add_argument('--limit', type=float, default=150.0, help='seconds of playing and asking (default 150)')
    return parser


if __name__ == '__main__':
    sys.exit(main())
