"""Seconds from a question to its answer through the graph, 16 key frames behind it, and what the reference flow takes.

Every call of the vision-language model and of the language model takes 0.5 s. The baseline begins after the question:
key frames, one call per pair, then the language model.

    python -m benchmarks.answer_latency [--repeats N]
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks._asking import QUESTION, Robot
from benchmarks._figure import repeats_of, tell, times
from benchmarks._reference import ReferenceFlow
from benchmarks._server import MODEL, Server
from embodied_r_ros.core.statistics import percentile

LATENCY_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    repeats = repeats_of('answer_latency', 10, arguments)
    with Server(LATENCY_S) as server, Robot(server.url, server.url) as robot:
        ours = list(robot.spans_s(repeats))
        fresh = list(robot.spans_s(repeats, fresh=True))
        baseline = reference_s(robot, ReferenceFlow(server.url, MODEL, server.url, MODEL))
    figure = times(
        ours,
        baseline,
        's',
        p95_s=percentile(ours, 95),
        fresh_s=percentile(fresh, 50),
        fresh_p95_s=percentile(fresh, 95),
    )
    return tell(answer_latency=figure)


def reference_s(robot: Robot, flow: ReferenceFlow, repeats: int = 3) -> list[float]:
    """Seconds that the reference flow takes for the same question about the same pictures."""
    spans_s = []
    for _ in range(repeats):
        begun_s = time.monotonic()
        flow.answer(robot.jpegs, QUESTION)
        spans_s.append(time.monotonic() - begun_s)
    return spans_s


if __name__ == '__main__':
    raise SystemExit(main())
