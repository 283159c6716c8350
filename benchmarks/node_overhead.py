"""Milliseconds from a question to its answer that are not the model's: SpatialClient, DDS, reasoning_node, HTTP.

The server tells how long each thought was with it. The baseline asks the same server the same prompt through the same
HTTP adapter without a graph.

    python -m benchmarks.node_overhead [--repeats N]
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from benchmarks._asking import QUESTION, Robot
from benchmarks._figure import repeats_of, tell, times
from benchmarks._server import MODEL, Server
from benchmarks.memory import observations
from embodied_r_ros.adapters.lm import drive
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, answer
from embodied_r_ros.core.statistics import percentile

LATENCY_S = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    repeats = repeats_of('node_overhead', 200, arguments)
    with Server(LATENCY_S) as server:
        with Robot(server.url, server.url) as robot:
            server.spent_s()
            ours = _beyond(list(robot.spans_s(repeats)), server)
        baseline = _beyond(asyncio.run(_without_a_graph(server.url, repeats)), server)
    figure = times(ours, baseline, 'ms beyond the model', p99_ms=percentile(ours, 99), worst_ms=percentile(ours, 100))
    return tell(node_overhead=figure)


async def _without_a_graph(url: str, repeats: int) -> list[float]:
    """Seconds per question."""
    lm = OpenAILanguageModel(ServerSettings(url=url, model=MODEL))
    seen, spans_s = observations(16), []
    for _ in range(repeats + 1):
        begun_s = time.monotonic()
        await drive(answer(QUESTION, seen, PaperFormat(), ReasoningSettings()), lm, lambda piece: None)
        spans_s.append(time.monotonic() - begun_s)
    await lm.aclose()
    return spans_s[1:]


def _beyond(spans_s: Sequence[float], server: Server) -> list[float]:
    """Milliseconds beyond those that the server had each question; the first one it had was to warm up."""
    return [1e3 * (span - spent) for span, spent in zip(spans_s, server.spent_s()[1:])]


if __name__ == '__main__':
    raise SystemExit(main())
