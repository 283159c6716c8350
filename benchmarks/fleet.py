"""How many answers a second 1, 4 and 16 robots get from one model server, and how evenly.

All robots live in this process, each with its own HTTP client; the server takes 0.1 s per thought and thinks 8 at once.
The baseline is one robot alone.

    python -m benchmarks.fleet [--seconds S]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from benchmarks._figure import rates, tell
from benchmarks._server import MODEL, Server
from benchmarks.memory import observations
from embodied_r_ros.adapters.lm import drive
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, answer
from embodied_r_ros.core.records import Question
from embodied_r_ros.core.statistics import percentile

LATENCY_S, SLOTS = 0.1, 8
FLEETS = (1, 4, 16)
QUESTION = Question(text='Where is the exit?', choices=('left', 'right'))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.fleet', description='Many robots, one server.')
    parser.add_argument('--seconds', type=float, default=10.0, help='per size of the fleet (default 10)')
    seconds = parser.parse_args(arguments).seconds
    with Server(LATENCY_S, SLOTS) as server:
        asyncio.run(_fleet(server.url, FLEETS[-1], 1.0))
        runs = {count: asyncio.run(_fleet(server.url, count, seconds)) for count in FLEETS}
    per_s = {count: sum(map(len, spans)) / seconds for count, spans in runs.items()}
    p95_s = [percentile(spans, 95) for spans in runs[FLEETS[-1]]]
    figure = rates(
        [per_s[FLEETS[-1]]],
        [per_s[1]],
        f'answers per second, {FLEETS[-1]} robots',
        answers_per_s={str(count): round(rate, 1) for count, rate in per_s.items()},
        full_at=SLOTS / LATENCY_S,
        p95_between_clients=round(max(p95_s) / min(p95_s), 2),
    )
    return tell(fleet=figure)


async def _fleet(url: str, count: int, seconds: float) -> list[list[float]]:
    """Seconds of each answer of each robot."""
    robots = [OpenAILanguageModel(ServerSettings(url=url, model=MODEL)) for _ in range(count)]
    end_s = time.monotonic() + seconds
    spans = await asyncio.gather(*(_asks(robot, end_s) for robot in robots))
    for robot in robots:
        await robot.aclose()
    return list(spans)


async def _asks(robot: OpenAILanguageModel, end_s: float) -> list[float]:
    """Question after question until the time is over; the answers that came within it count."""
    seen = observations(16)
    spans_s = []
    while True:
        begun_s = time.monotonic()
        await drive(answer(QUESTION, seen, PaperFormat(), ReasoningSettings()), robot)
        if time.monotonic() > end_s:
            return spans_s
        spans_s.append(time.monotonic() - begun_s)


if __name__ == '__main__':
    raise SystemExit(main())
