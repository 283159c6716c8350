"""What CPU time it takes to cut a window and build the prompt when the robot has been at it for hours.

One observation a second, 1 h and 10 h of them, the whole session as the window, in the paper's format. The baseline
looks at all that was written: stamps one by one, words found anew in every text.

    python -m benchmarks.memory [--repeats N]
"""

from __future__ import annotations

import functools
import random
import re
import time
from collections.abc import Callable, Sequence

from benchmarks._figure import repeats_of, tell, times
from embodied_r_ros.core import reasoning
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.memory import ObservationMemory
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.records import Question
from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.evaluation.phrase_reader import from_words

HOURS = (1, 10)
MOST = reasoning.ReasoningSettings().max_observations


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    repeats = repeats_of('memory', 51, arguments)
    spans_ms = {}
    for hours in HOURS:
        seen = observations(hours * 3600)
        memory = ObservationMemory(len(seen))
        for observation in seen:
            memory.add(observation)
        questions = [_question(seen, seed) for seed in range(repeats + 3)]
        ours = _timed(functools.partial(_ours, memory), questions)[3:]
        plain = _timed(functools.partial(_plain, seen), questions[:8])[3:]
        spans_ms[hours] = (ours, plain)
    short, long = (spans_ms[hours] for hours in HOURS)
    figure = times(
        long[0],
        long[1],
        'CPU ms, 10 h of observations',
        p99_ms=percentile(long[0], 99),
        one_hour_ms=percentile(short[0], 50),
        one_hour_p99_ms=percentile(short[0], 99),
    )
    return tell(memory=figure)


def observations(count: int) -> list[Observation]:
    """As many as key frames come in at one a second, in the words of the embedded perception."""
    rng = random.Random(count)
    nouns = [''.join(rng.choices('abcdefghijklmnopqrstuvwxyz', k=6)) for _ in range(300)]
    sightings = [f'{noun} {angle} deg left at 3.2 m' for noun in nouns for angle in range(0, 90, 15)]
    return [
        from_words(
            session=1,
            index=index,
            stamp_ns=(index + 1) * NS_PER_S,
            action=f'moved forward {rng.uniform(0.1, 2):.2f} m, rotated left {rng.randint(2, 40)} deg' if index else '',
            text='; '.join(rng.choices(sightings, k=index % 4)) or 'nothing new',
        )
        for index in range(count)
    ]


def _question(seen: Sequence[Observation], seed: int) -> Question:
    rng = random.Random(seed)
    nouns = [observation.view.split()[0] for observation in rng.sample(seen, 2)]
    return Question(text=f'Where is the {nouns[0]} as seen from the {nouns[1]}?', choices=('left', 'right'))


def _ours(memory: ObservationMemory, question: Question) -> None:
    window = memory.window(1, 0, 10**6 * NS_PER_S)
    PaperFormat().ask(question, reasoning.choose(question, window, MOST))


def _plain(seen: Sequence[Observation], question: Question) -> None:
    window = [observation for observation in seen if 0 <= observation.stamp_ns <= 10**6 * NS_PER_S]
    asked = set(re.findall(r'\w{3,}', question.text.casefold()))
    shared = [len(asked & set(re.findall(r'\w{3,}', one.text.casefold()))) for one in window]
    best = sorted(range(len(window)), key=lambda place: -shared[place])[:MOST]
    PaperFormat().ask(question, [window[place] for place in sorted(best)])


def _timed(ask: Callable[[Question], None], questions: Sequence[Question]) -> list[float]:
    spans_ms = []
    for question in questions:
        begun_s = time.thread_time()
        ask(question)
        spans_ms.append(1e3 * (time.thread_time() - begun_s))
    return spans_ms


if __name__ == '__main__':
    raise SystemExit(main())
