"""What camera_node costs at 30 Hz 1280x720: for `ingest_raw` and `ingest_jpeg`.

A camera in this process, camera_node, and beside it a bare subscriber to the same images as the baseline.
"""

from __future__ import annotations

import argparse
import array
import os
import time
from collections.abc import Sequence
from typing import Any

from embodied_r_interfaces import msg as messages
from sensor_msgs.msg import CompressedImage, Image

from benchmarks._figure import times
from benchmarks._pictures import jpeg, pan
from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import header, ns_from_stamp
from embodied_r_ros.ros_client.graph import Graph
from embodied_r_ros.share import share_path

HZ, WIDTH, HEIGHT = 30, 1280, 720
WARM_UP_S = 5.0
LISTENER = 'benchmarks._listener'


def measure(name: str, transport: str, arguments: Sequence[str] | None) -> dict[str, Any]:
    """The figure: CPU of camera_node in per cent of a core, second by second, against that of the bare subscriber."""
    parser = argparse.ArgumentParser(prog=f'python -m benchmarks.{name}', description='30 Hz 1280x720 images.')
    parser.add_argument('--seconds', type=int, default=60, help='length of the measurement (default 60)')
    seconds = parser.parse_args(arguments).seconds
    graph = Graph({'camera_node': {'image_transport': transport}}, programs={LISTENER: [transport]})
    # What the camera's process, this one, needs for raw images, and the nodes are not to have; the file says why.
    profile = str(share_path('config/fastdds_large_images.xml'))
    os.environ.update(dict.fromkeys(('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'), profile))
    with graph:
        camera = _Camera(graph, transport)
        graph.spin_until(lambda: camera.publisher.get_subscription_count() == 2, 'both subscribers')
        camera.run(WARM_UP_S)
        before, sent = _received(graph), camera.sent
        camera.ages_s.clear()
        ours, bare, resident_mb = [], [], []
        for _ in range(seconds):
            used_s = {process: graph.processes.cpu_s(process) for process in ('camera_node', LISTENER)}
            begun_s = time.monotonic()
            camera.run(1.0)
            span_s = time.monotonic() - begun_s
            ours.append(100.0 * (graph.processes.cpu_s('camera_node') - used_s['camera_node']) / span_s)
            bare.append(100.0 * (graph.processes.cpu_s(LISTENER) - used_s[LISTENER]) / span_s)
            resident_mb.append(graph.processes.resident_mb('camera_node'))
        received = _received(graph) - before
    return times(
        ours,
        bare,
        '% of a core',
        sent=camera.sent - sent,
        lost=camera.sent - sent - received,
        stamp_to_key_frame_p50_ms=percentile([1e3 * age for age in camera.ages_s], 50),
        stamp_to_key_frame_p99_ms=percentile([1e3 * age for age in camera.ages_s], 99),
        key_frames=len(camera.ages_s),
        resident_mb=[resident_mb[len(resident_mb) * quarter // 4 - 1] for quarter in (1, 2, 3, 4)],
    )


def _received(graph: Graph) -> int:
    """The images that camera_node has counted up to its next diagnostics."""
    graph.spin(1.5)
    return int(graph.status['camera_node']['images_received'])


class _Camera:
    """Pans along a wall to and fro; most images are no key frame, some are."""

    def __init__(self, graph: Graph, transport: str) -> None:
        self._graph = graph
        kind, topic = (Image, 'image') if transport == 'raw' else (CompressedImage, 'image/compressed')
        self.publisher = graph.node.create_publisher(kind, topic, qos.images('best_effort', 5))
        there = pan(HZ, 0.07 * WIDTH, WIDTH, HEIGHT, seed=0)
        self._messages = [_message(transport, picture) for picture in (*there, *there[::-1])]
        self.sent = 0
        self.ages_s: list[float] = []
        graph.node.create_subscription(messages.KeyFrame, 'key_frames', self._on_key_frame, qos.KEY_FRAMES)
        self._next_s = time.monotonic()

    def run(self, duration_s: float) -> None:
        """Send images at their times for so long."""
        self._next_s = max(self._next_s, time.monotonic() - 1.0 / HZ)
        end_s = time.monotonic() + duration_s
        while self._next_s < end_s:
            self._graph.spin(max(0.0, self._next_s - time.monotonic()))
            # Each view is shown four times: 7.5 views a second at 30 Hz.
            message = self._messages[self.sent // 4 % len(self._messages)]
            message.header = header(time.time_ns(), 'camera')
            self.publisher.publish(message)
            self.sent += 1
            self._next_s += 1.0 / HZ

    def _on_key_frame(self, key: messages.KeyFrame) -> None:
        self.ages_s.append((time.time_ns() - ns_from_stamp(key.header.stamp)) / 1e9)


def _message(transport: str, picture: Any) -> Image | CompressedImage:
    if transport == 'raw':
        message = Image(width=WIDTH, height=HEIGHT, step=3 * WIDTH, encoding='bgr8')
        message.data = array.array('B', picture.tobytes())
    else:
        message = CompressedImage(format='jpeg')
        message.data = array.array('B', jpeg(picture))
    return message
