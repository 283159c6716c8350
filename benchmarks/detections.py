"""Whether what a detector tells through the graph answers as many questions as boxes with depth that are just there.

Simulated walks are seen by boxes with depth and noise: edges off by 5 %, 5 % missed, 3 % false, poses as recorded. The
baseline asks about these observations offline. For `ours` a detector tells the same things as Detection3DArray to
perception_node, and reasoning_node is asked.

    python -m benchmarks.detections [--questions N] [--seed N]
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import math
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from embodied_r_interfaces import msg as messages
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from benchmarks._figure import tell
from embodied_r_ros.adapters.codec import encode_jpeg
from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer, KeyFrame, Sighting
from embodied_r_ros.evaluation.intervals import interval
from embodied_r_ros.evaluation.samples import Sample, read_samples, to_observations
from embodied_r_ros.evaluation.scoring import score
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import header, key_frame_to_message
from embodied_r_ros.ros_client.graph import Graph
from embodied_r_ros.share import share_path
from training.evaluate import answer_all
from training.prepare import main as prepare
from training.world.path import CAMERA

SAMPLES = pathlib.Path('out/detections.jsonl')
FRAME_ID = 'camera'
PICTURE = encode_jpeg(np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8))
# Walks are played one after the other, each as a session that begins so much later than the one before.
APART_NS = 1_000_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.detections', description='Detections in the graph.')
    parser.add_argument('--questions', type=int, default=200, help='how many (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=11, help='of walks and questions (default: %(default)s)')
    options = parser.parse_args(arguments)
    drawn = ['--questions', str(options.questions), '--seed', str(options.seed)]
    status = prepare(['world', *drawn, '--eyes', 'boxes', '--out', str(SAMPLES)])
    if status:
        return status
    samples = read_samples(SAMPLES)
    scenes = np.array([sample['scene'] for sample in samples])
    replies = asyncio.run(answer_all(samples, NumpyLanguageModel(share_path('data/reasoner')), CompactFormat()))
    offline = [reply.answer for reply in replies]
    with Graph({'perception_node': {'eyes': 'detections'}, 'reasoning_node': {}}) as graph:
        through = list(Robot(graph).answers(samples))
    ours, baseline = (np.array(list(map(score, samples, answers))) for answers in (through, offline))
    figure = {
        'ours': round(float(ours.mean()), 3),
        'baseline': round(float(baseline.mean()), 3),
        'ratio': round(float(ours.mean() / baseline.mean()), 3),
        'unit': 'share of questions right',
        'spread': interval(ours, scenes),
        'baseline_spread': interval(baseline, scenes),
        'same_choice': round(float(np.mean([a.choice == b.choice for a, b in zip(through, offline)])), 3),
        'questions': len(samples),
    }
    return tell(detections=figure)


class Robot:
    """Publishes key frames as camera_node does, and what a detector tells of them; asks when all is described."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._frames = graph.node.create_publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES)
        self._places = graph.node.create_publisher(Detection3DArray, 'detections_3d', 10)
        self._told: dict[tuple[int, int], int] = {}
        graph.node.create_subscription(
            messages.Observation, 'observations', self._on_observation, qos.observations(2000)
        )
        for publisher in (self._frames, self._places):
            graph.spin_until(publisher.get_subscription_count, 'the nodes')

    def answers(self, samples: Sequence[Sample]) -> Iterator[Answer]:
        """The answer to each sample, whose walk is played before the first question about it."""
        before, walks = None, 0
        for sample in samples:
            if sample['observations'] != before:
                before, walks = sample['observations'], walks + 1
                self._play(to_observations(sample), walks * APART_NS)
            yield self._graph.ask(sample['question'], sample['choices'], deadline_s=60.0)

    def _play(self, walk: Sequence[Observation], later_ns: int) -> None:
        for seen in walk:
            frame = _key_frame(seen, later_ns)
            self._frames.publish(key_frame_to_message(frame))
            found = [_detection(one) for one in seen.sightings if not math.isnan(one.distance_m)]
            told = Detection3DArray(header=header(frame.stamp_ns, FRAME_ID), detections=found)
            self._places.publish(told)
            wanted = functools.partial(self._has_told, (frame.session, frame.index), len(found))
            self._graph.spin_until(wanted, f'key frame {frame.index} with {len(found)} things')

    def _has_told(self, key: tuple[int, int], count: int) -> bool:
        return self._told.get(key, -1) >= count

    def _on_observation(self, message: messages.Observation) -> None:
        self._told[message.session, message.index] = len(message.sightings)


def _key_frame(seen: Observation, later_ns: int) -> KeyFrame:
    return KeyFrame(
        session=seen.session + later_ns,
        index=seen.index,
        stamp_ns=seen.stamp_ns + later_ns,
        frame_id=FRAME_ID,
        image=PICTURE,
        reason='overlap' if seen.index else 'first',
        calibration=CAMERA.calibration,
        pose=seen.pose,
        camera_pose=seen.camera_pose,
        motion=seen.motion,
    )


def _detection(seen: Sighting) -> Detection3D:
    """The thing in the camera's optical frame; the simulated camera looks level, ahead."""
    likeliest = ObjectHypothesisWithPose()
    likeliest.hypothesis.class_id = seen.name
    found, (x, y, z) = Detection3D(results=[likeliest]), (part * seen.distance_m for part in seen.ray)
    at = found.bbox.center.position
    at.x, at.y, at.z = -y, -z, x
    return found


if __name__ == '__main__':
    raise SystemExit(main())
