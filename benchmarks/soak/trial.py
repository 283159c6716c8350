"""One soak: the graph, the robot, two faulty model servers, askers, and one fault after another."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Sequence

from embodied_r_interfaces import msg as messages
from lifecycle_msgs.msg import Transition
from std_msgs.msg import String

from benchmarks.soak import camera, server_faults
from benchmarks.soak.asking import DEADLINES_S, Asker
from benchmarks.soak.server import FaultyServer
from benchmarks.soak.tally import Episode, Soak, Usage
from embodied_r_ros.core.records import Key
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import NS_PER_S, ns_from_stamp
from embodied_r_ros.ros_client.graph import Graph
from embodied_r_ros.ros_client.processes import BrokenGraph

NODES = ('camera_node', 'perception_node', 'reasoning_node')
SIDES = ('lm', 'vlm')
SERVER = {f'{side}:{name}': (side, name) for side in SIDES for name in server_faults.FAULTS}
CAMERA = {f'camera:{name}': name for name in camera.FAULTS}
KILLS = {f'kill:{name}': name for name in NODES}
CYCLES = {f'cycle:{name}': name for name in NODES}
FAULTS = (*SERVER, *CAMERA, *KILLS, *CYCLES)

MEMORY = {'memory_observations': 200}
FAULT_S = (1.0, 6.0)
CALM_S = 1.0
# Longer than this is never.
LONGEST_S = 30.0
# A node must not grow once so long has passed since its start, when its stores are full.
SETTLE_S = 300.0
# Nodes are killed in the first part of that time alone, so that most of a soak counts.
KILLS_SHARE = 0.6
ANSWERED_S = 60.0
LAST_S = max(DEADLINES_S) + 1.5
SAMPLE_S = 1.0


class Trial:
    """Runs a soak.

    Args:
        duration_s: of the faults, all together.
        seed: of what is asked, and of which fault comes when.
        faults: of FAULTS, the ones to have.

    Attributes:
        noted: what came of it.
    """

    def __init__(self, duration_s: float, seed: int, faults: Sequence[str]) -> None:
        self.noted = Soak()
        self._duration_s = duration_s
        self._seed = seed
        self._random = random.Random(seed)
        self._faults = faults
        # When the description of a key frame came by the steady clock, and the stamp of the key frame.
        self._described: dict[Key, tuple[float, int]] = {}
        self._next_sample_s = 0.0

    def run(self) -> None:
        """Run it to its end.

        Raises:
            BrokenGraph: the graph does not answer even before the first fault.
        """
        with contextlib.ExitStack() as stack:
            self._servers = {side: stack.enter_context(FaultyServer()) for side in SIDES}
            self._graph = stack.enter_context(self._make_graph())
            self._camera = self._graph.node.create_publisher(String, camera.FAULT_TOPIC, 10)
            profile = qos.observations(MEMORY['memory_observations'])
            self._graph.node.create_subscription(messages.Observation, 'observations', self._on_observation, profile)
            self._asker = stack.enter_context(Asker(self._graph.node, self._seed))
            self._graph.spin_until(lambda: self._asker.first_ok_s(0.0), 'the first answer', ANSWERED_S)
            self._asker.asked.clear()
            begun_s = time.monotonic()
            self._settle_s = min(SETTLE_S, self._duration_s / 2)
            self._settled_s = dict.fromkeys(NODES, begun_s + self._settle_s)
            self._have_faults(begun_s, begun_s + self._duration_s)
            self._asker.stop()
            self._spin(LAST_S)
            self.noted.asked = self._asker.asked

    def _make_graph(self) -> Graph:
        return Graph(
            {
                'camera_node': {'image_reliability': 'reliable', 'max_gap_s': 0.5, 'buffer_mb': 4.0},
                'perception_node': {'backend': 'openai', 'url': self._servers['vlm'].url, 'held_mb': 4.0, **MEMORY},
                'reasoning_node': {'backend': 'openai', 'url': self._servers['lm'].url, **MEMORY},
            },
            programs={'benchmarks.soak.camera': ()},
        )

    def _have_faults(self, begun_s: float, end_s: float) -> None:
        kills_end_s = begun_s + KILLS_SHARE * self._settle_s
        kills = [name for name in self._faults if name in KILLS]
        others = [name for name in self._faults if name not in KILLS]
        waiting: dict[bool, list[str]] = {True: [], False: []}
        kill = True
        while time.monotonic() < end_s:
            # In turn while nodes may be killed; all of a kind come once before any comes again.
            kill = bool(kills) and (kill or not others) and time.monotonic() < kills_end_s
            names = kills if kill else others
            if not names:
                self._spin(min(SAMPLE_S, max(0.0, end_s - time.monotonic())))
                continue
            bag = waiting[kill]
            if not bag:
                bag.extend(self._random.sample(names, len(names)))
            self._have(bag.pop())
            kill = not kill

    def _have(self, name: str) -> None:
        """One fault from its begin until all is back, then a moment of calm."""
        episode = Episode(name=name, begun_s=time.monotonic(), server=name in SERVER)
        length_s = self._random.uniform(*FAULT_S)
        self.noted.episodes.append(episode)
        try:
            self._begin_and_end(name, length_s)
        except BrokenGraph as error:
            self.noted.deaths.append(f'{name}: {error}')
        mended_s = time.monotonic()
        # What a camera took before its fault may still be described; the camera's stamps are wall-clock time.
        taken_ns = time.time_ns() if _touched(name) == 'camera_node' else 0
        touches_answers = not name.startswith(('vlm:', 'camera:'))
        touches_descriptions = not name.startswith('lm:')
        while time.monotonic() < mended_s + LONGEST_S:
            self._spin(0.05)
            if touches_answers:
                episode.to_answer_s = _since(self._asker.first_ok_s(mended_s), mended_s)
            if touches_descriptions:
                episode.to_description_s = _since(self._first_described_s(mended_s, taken_ns), mended_s)
            if math.isfinite(episode.recovery_s):
                break
        if not math.isfinite(episode.recovery_s):
            # The faults to come are to be met by nodes that work.
            self._restart(_touched(name))
        self._spin(CALM_S)
        episode.ended_s = time.monotonic()
        print(f'{name} for {mended_s - episode.begun_s:.1f} s, back after {episode.recovery_s:.2f} s', flush=True)

    def _begin_and_end(self, name: str, length_s: float) -> None:
        if name in SERVER:
            side, fault = SERVER[name]
            self._servers[side].have(fault)
            self._spin(length_s)
            self._servers[side].mend()
        elif name in CAMERA:
            self._camera.publish(String(data=CAMERA[name]))
            self._spin(length_s)
            self._camera.publish(String(data=''))
        elif name in CYCLES:
            self._graph.change(CYCLES[name], Transition.TRANSITION_DEACTIVATE)
            self._spin(length_s / 2)
            self._graph.change(CYCLES[name], Transition.TRANSITION_ACTIVATE)
        else:
            self._restart(KILLS[name])

    def _restart(self, node: str) -> None:
        killed_s = time.monotonic()
        self._graph.restart(node)
        self.noted.usage.pop(node, None)
        self._settled_s[node] = time.monotonic() + self._settle_s
        if node == 'reasoning_node':
            self.noted.outages.append((killed_s, time.monotonic()))

    def _spin(self, duration_s: float) -> None:
        """Let the graph work for so long; nodes that end are noted and started again, and what they use is noted."""
        self._graph.spin(duration_s)
        processes = self._graph.processes
        for name in NODES:
            if processes.status(name) is not None:
                self.noted.deaths.append(f'{name} ended by itself: {processes.last_line(name)}')
                self._restart(name)
        now_s = time.monotonic()
        if now_s >= self._next_sample_s:
            self._next_sample_s = now_s + SAMPLE_S
            for name in (name for name in NODES if now_s >= self._settled_s[name]):
                used = Usage(
                    at_s=now_s,
                    resident_mb=processes.resident_mb(name),
                    threads=processes.threads(name),
                    descriptors=processes.descriptors(name),
                )
                self.noted.usage.setdefault(name, []).append(used)

    def _on_observation(self, message: messages.Observation) -> None:
        if not message.given_up and message.text:
            key, stamp_ns = (message.camera, message.session, message.index), ns_from_stamp(message.header.stamp)
            self._described.setdefault(key, (time.monotonic(), stamp_ns))

    def _first_described_s(self, since_s: float, taken_ns: int) -> float | None:
        """When the first description after this moment came of a key frame taken after that stamp, within an hour."""
        for described_s, stamp_ns in self._described.values():
            if described_s >= since_s and (not taken_ns or taken_ns <= stamp_ns < taken_ns + 3600 * NS_PER_S):
                return described_s
        return None


def _touched(name: str) -> str:
    """The node that a fault is about."""
    if name in SERVER:
        return {'lm': 'reasoning_node', 'vlm': 'perception_node'}[SERVER[name][0]]
    return 'camera_node' if name in CAMERA else {**KILLS, **CYCLES}[name]


def _since(moment_s: float | None, since_s: float) -> float:
    return math.inf if moment_s is None else moment_s - since_s
