"""How long it takes to have 192 pairs of key frames described by a server that takes 0.2 s per call, 16 side by side.

Through the describer of perception_node and its HTTP adapter, with real JPEG bytes. The baseline describes one pair at
a time with the same adapter.

    python -m benchmarks.captioning [--pairs N] [--repeats N]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from benchmarks._figure import tell, times
from benchmarks._pictures import jpeg, pan
from benchmarks._server import MODEL, Server
from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver
from embodied_r_ros.app.describer import Describer, DescriberSettings
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import EncodedImage, KeyFrame

LATENCY_S, SLOTS = 0.2, 16


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.captioning', description='Describe key frames.')
    parser.add_argument('--pairs', type=int, default=192, help='pairs of key frames (default 192)')
    parser.add_argument('--repeats', type=int, default=3, help='runs side by side (default 3)')
    options = parser.parse_args(arguments)
    frames = key_frames(options.pairs + 1)
    with Server(LATENCY_S) as server:
        asyncio.run(_all(server.url, frames[: SLOTS + 1], SLOTS))
        ours = [asyncio.run(_all(server.url, frames, SLOTS)) for _ in range(options.repeats)]
        baseline = [asyncio.run(_all(server.url, frames, 1))]
    figure = times(ours, baseline, f's for {options.pairs} pairs', floor_s=LATENCY_S * -(-options.pairs // SLOTS))
    return tell(captioning=figure)


def key_frames(count: int) -> list[KeyFrame]:
    """Key frames of 640x480 along a wall."""
    pictures = [jpeg(picture) for picture in pan(16, 300, 640, 480, seed=0)]
    return [
        KeyFrame(
            session=1,
            index=index,
            stamp_ns=(index + 1) * NS_PER_S,
            frame_id='camera',
            image=EncodedImage(data=pictures[index % len(pictures)]),
            reason='overlap' if index else 'first',
        )
        for index in range(count)
    ]


async def _all(url: str, frames: Sequence[KeyFrame], slots: int) -> float:
    """Seconds from the first pair to the last description; the first frame only stands before the second."""
    server = ServerSettings(url=url, model=MODEL, max_concurrent_requests=slots)
    perceiver = OpenAIPerceiver(server)
    done = asyncio.Event()
    settings = DescriberSettings(max_concurrent_descriptions=slots, backlog=len(frames), held_mb=1000.0)
    described: set[int] = set()

    def publish(observation: object, frame: KeyFrame) -> None:
        described.add(frame.index)
        if len(described) == wanted:
            done.set()

    describer = Describer(settings, perceiver, publish, lambda level, sentence: None)
    running = asyncio.ensure_future(describer.run())
    wanted = 1
    describer.add(frames[0])
    await done.wait()
    done.clear()
    wanted = len(frames)
    begun_s = time.monotonic()
    for frame in frames[1:]:
        describer.add(frame)
    await done.wait()
    span_s = time.monotonic() - begun_s
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await perceiver.aclose()
    return span_s


if __name__ == '__main__':
    raise SystemExit(main())
