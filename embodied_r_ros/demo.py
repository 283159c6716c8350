"""The whole system at work: nodes in processes of their own, sample recordings played to them, questions asked.

    python -m embodied_r_ros.demo

The last line is JSON: `asked`, `right`, `chance` (share that guessing gets right) and `latency_s` {p50, p95}. The exit
status is 0 when every question was answered, right or wrong, 1 with one sentence when the graph is broken.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from embodied_r_ros.adapters.eye_tags import find_labels
from embodied_r_ros.core.answers import LETTERS, letter
from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.records import Answer, ErrorCode
from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.evaluation.samples import Sample, chance, read_samples
from embodied_r_ros.ros_client.graph import TOPICS, Graph
from embodied_r_ros.ros_client.processes import BrokenGraph
from embodied_r_ros.share import share_dir

# The reasoner spoke, if wrongly or of its limits; any other code means that the graph did not do its part.
SPOKEN = (ErrorCode.OK, ErrorCode.CANNOT_TELL, ErrorCode.BAD_REPLY, ErrorCode.QUESTION_UNSUPPORTED)
DEADLINE_S = 20.0
EXIT_BROKEN = 1
EXIT_INTERRUPTED = 130


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """A question answered."""

    sample: Sample
    answer: Answer
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the choice is the true one."""
        return self.answer.error_code is ErrorCode.OK and letter(self.answer.choice) == self.sample['answer']


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        samples = read_questions(options.questions or share_dir() / 'data/questions.jsonl')
        begun_s = time.monotonic()
        with _graph(options, samples) as graph:
            print(f'nodes up in {time.monotonic() - begun_s:.1f} s', flush=True)
            begun_s = time.monotonic()
            outcomes = list(_ask_all(graph, samples, options.rate))
            report(outcomes, time.monotonic() - begun_s)
    except (BrokenGraph, EmbodiedRError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def read_questions(path: pathlib.Path) -> list[Sample]:
    """Samples with choices about recordings that are found here, in the order of the recordings' first mention.

    Raises:
        InputError: the file cannot be read, or a sample is no such question.
    """
    samples = [_found(sample, path) for sample in read_samples(path)]
    if not samples:
        raise InputError(f'wanted questions, got none in {str(path)!r}')
    order = list(dict.fromkeys(sample['media']['path'] for sample in samples))
    return sorted(samples, key=lambda sample: order.index(sample['media']['path']))


def report(outcomes: Sequence[Outcome], working_s: float) -> None:
    """Print the table by task, and the line of JSON."""
    print(f'\n{"task":24} {"asked":>5} {"right":>5} {"chance":>6}')
    for category in [*dict.fromkeys(outcome.sample['category'] for outcome in outcomes), 'all']:
        of_task = [outcome for outcome in outcomes if category in (outcome.sample['category'], 'all')]
        right = sum(outcome.right for outcome in of_task)
        print(f'{category:24} {len(of_task):5d} {right:5d} {_chance(of_task):6.2f}')
    seconds = [outcome.seconds for outcome in outcomes]
    print(f'played and asked in {working_s:.0f} s')
    summary = {
        'asked': len(outcomes),
        'right': sum(outcome.right for outcome in outcomes),
        'chance': round(_chance(outcomes), 3),
        'latency_s': {f'p{percent}': round(percentile(seconds, percent), 3) for percent in (50, 95)},
    }
    print(json.dumps(summary), flush=True)


def _graph(options: argparse.Namespace, samples: Sequence[Sample]) -> Graph:
    labels = find_labels(samples[0]['media']['path'])
    nodes = {
        # No image is to be lost to a busy machine, or other key frames are picked than offline.
        'camera_node': {'image_reliability': 'reliable', 'image_depth': 100},
        'perception_node': {'models': options.models, **({'labels': labels} if labels else {})},
        'reasoning_node': {'models': options.models},
    }
    simulated = {name: {'use_sim_time': True, **parameters} for name, parameters in nodes.items()}
    return Graph(simulated, remaps=TOPICS, limit_s=options.limit)


def _ask_all(graph: Graph, samples: Sequence[Sample], rate: float) -> Iterator[Outcome]:
    """Play each recording and ask its questions, service and action in turn, a line each."""
    playing, begin_ns = '', 0
    for number, sample in enumerate(samples):
        if sample['media']['path'] != playing:
            playing = sample['media']['path']
            name = pathlib.Path(playing).name
            print(f'\n{name}: playing', flush=True)
            begun_s = time.monotonic()
            begin_ns = graph.play(pathlib.Path(playing), rate)
            print(f'{name}: played in {time.monotonic() - begun_s:.1f} s', flush=True)
        way = ('service', 'action')[number % 2]
        begun_s = time.monotonic()
        answer = _ask(graph, sample, begin_ns, way)
        outcome = Outcome(sample=sample, answer=answer, seconds=time.monotonic() - begun_s)
        if answer.error_code not in SPOKEN:
            graph.fail(f'question {number + 1} got {answer.error_code.name}: {answer.error_msg}')
        print(_line(number + 1, way, outcome), flush=True)
        yield outcome


def _ask(graph: Graph, sample: Sample, begin_ns: int, way: str) -> Answer:
    """Ask as of the moment that the sample names, or at the recording's end with a fresh look."""
    end_s = sample['media'].get('end_s')
    return graph.ask(
        sample['question'],
        sample['choices'],
        start_ns=begin_ns,
        as_of_ns=None if end_s is None else begin_ns + round(end_s * NS_PER_S),
        fresh=end_s is None,
        deadline_s=DEADLINE_S,
        on_progress=None if way == 'service' else lambda stage, thinking: None,
    )


def _line(number: int, way: str, outcome: Outcome) -> str:
    sample, answer = outcome.sample, outcome.answer
    said = answer.answer if answer.error_code is ErrorCode.OK else f'{answer.error_code.name}: {answer.error_msg}'
    frames = ' '.join(str(cited.index) for cited in answer.evidence) or 'none'
    truth = '' if outcome.right else f' (truth: {sample["choices"][LETTERS.index(sample["answer"])]})'
    verdict = 'right' if outcome.right else 'wrong'
    return (
        f'{number:2d} {verdict} {sample["category"]}, {way}: {_short(sample["question"], 60)} -> {_short(said, 60)}'
        f'{truth}; key frames {frames}; {outcome.seconds:.2f} s'
    )


def _short(text: str, length: int) -> str:
    text = ' '.join(text.split())
    return text if len(text) <= length else text[: length - 1] + '…'


def _chance(outcomes: Sequence[Outcome]) -> float:
    return sum(chance(outcome.sample) for outcome in outcomes) / max(1, len(outcomes))


def _found(sample: Sample, questions: pathlib.Path) -> Sample:
    """The sample, with the place at which its recording is found here."""
    media = sample.get('media')
    named = media if isinstance(media, dict) else {}
    path, end_s = named.get('path'), named.get('end_s')
    if not sample['choices'] or not isinstance(path, str) or not isinstance(end_s, (int, float, type(None))):
        raise InputError(
            f'{questions}: the demo wants choices, and media with a path and an end in seconds or none, but sample '
            f'{sample["id"]!r} has {sample["choices"]!r} and {media!r}'
        )
    for folder in (pathlib.Path(), share_dir(), questions.resolve().parent):
        if (folder / path).exists():
            return {**sample, 'media': {**named, 'path': str((folder / path).resolve())}}
    raise InputError(f'no recording {path!r} in {str(share_dir())!r} or beside the questions in {str(questions)!r}')


def _complain(sentence: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f'demo: {" ".join(sentence.split())}\n')
    return EXIT_BROKEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m embodied_r_ros.demo', description=__doc__.split('\n')[0])
    parser.add_argument('--questions', type=pathlib.Path, help='JSON lines (default data/questions.jsonl)')
    parser.add_argument('--models', default='embedded', help='model pair: a name in config/models, or a YAML file')
    parser.add_argument('--rate', type=float, default=2.0, help='multiple of real time (default 2)')
    parser.add_argument(
        '--limit', type=float, default=150.0, help='seconds that playing and asking may take (default 150)'
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())
