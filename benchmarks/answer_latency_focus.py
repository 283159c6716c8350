"""Seconds from a question to its answer when key frames are looked at again first, and what the reference flow takes.

As `answer_latency`, every call taking 0.5 s; the second looks run side by side.

    python -m benchmarks.answer_latency_focus [--repeats N]
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks._asking import Robot
from benchmarks._figure import repeats_of, tell, times
from benchmarks._reference import ReferenceFlow
from benchmarks._server import MODEL, Server
from benchmarks.answer_latency import LATENCY_S, reference_s
from embodied_r_ros.core.statistics import percentile


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    repeats = repeats_of('answer_latency_focus', 10, arguments)
    with Server(LATENCY_S) as server, Robot(server.url, server.url) as robot:
        ours = list(robot.spans_s(repeats, focus='always'))
        baseline = reference_s(robot, ReferenceFlow(server.url, MODEL, server.url, MODEL))
    return tell(answer_latency_focus=times(ours, baseline, 's', p95_s=percentile(ours, 95)))


if __name__ == '__main__':
    raise SystemExit(main())
