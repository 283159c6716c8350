"""Questions asked of real nodes while a recording is replayed to them: each by the service, when its second comes."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import math
import pathlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from embodied_r_interfaces import msg as messages
from rosgraph_msgs.msg import Clock

from embodied_r_ros.adapters.bags import find_topics, read_topics
from embodied_r_ros.adapters.eye_tags import find_labels
from embodied_r_ros.adapters.recorded_topics import COMPRESSED_IMAGE, RecordedTopics
from embodied_r_ros.app.offline import BAG_SUFFIXES
from embodied_r_ros.core.errors import BackendError, InputError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.memory import MemorySettings
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer
from embodied_r_ros.evaluation.offline_asking import Asked, Keep, medium_of
from embodied_r_ros.evaluation.pair_cache import PairCache, file_key
from embodied_r_ros.evaluation.perceiving import SHORT_BY_S, Medium, Perceived, Shown, shown
from embodied_r_ros.evaluation.progress import progress
from embodied_r_ros.evaluation.question_file import LeftOut
from embodied_r_ros.evaluation.run_folder import Reply
from embodied_r_ros.evaluation.samples import Sample
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.bag_player_node import CLOCK_TOPIC
from embodied_r_ros.nodes.conversions import key_frame_from_message, ns_from_stamp, observation_from_message
from embodied_r_ros.ros_client.graph import Graph
from embodied_r_ros.ros_client.processes import BrokenGraph

AT_ONCE = 8
DEADLINE_S = 60.0
# Where a recording without odometry is wanted, the nodes listen here.
NOT_PUBLISHED = '/not_published'

_logger = logging.getLogger(__name__)

Nodes = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a graph must be started with for a recording: one graph serves all recordings that share it."""

    labels: str
    image_topic: str
    transport: str
    camera_info_topic: str
    odom_topic: str


def ask_in_graph(options: argparse.Namespace, samples: Sequence[Sample], known: Container[str], keep: Keep) -> Asked:
    """Ask every sample that is not known of real nodes in a ROS domain of their own, to which its recording is played.

    Args:
        options: of the command line.
        samples: to be asked.
        known: ids of those to which the replies are there.
        keep: gets each reply when it is there.

    Raises:
        BackendError: the graph broke; the sentence says where the logs are.
        SettingsError: recordings cannot be read here.
    """
    left_out = [
        LeftOut(sample['id'], 'its observations are given; only what a bag shows can be played')
        for sample in samples
        if 'observations' in sample
    ]
    by_medium: dict[Medium, list[Sample]] = {}
    for sample in samples:
        if 'observations' not in sample:
            by_medium.setdefault(medium_of(sample), []).append(sample)
    setups: dict[Medium, Setup] = {}
    for medium, asking in by_medium.items():
        try:
            setups[medium] = _setup(options, medium)
        except InputError as error:
            left_out += [LeftOut(sample['id'], str(error)) for sample in asking]
    cache = PairCache(options.out / 'perceived') if options.out else None
    perceived: dict[Medium, Perceived] = {}
    with progress('questions', sum(len(by_medium[medium]) for medium in setups)) as step:
        for setup, media in itertools.groupby(sorted(setups, key=lambda one: repr(setups[one])), setups.__getitem__):
            run = _Run(options, setup, known, keep, step, cache)
            try:
                run.ask_all({medium: by_medium[medium] for medium in media})
            except BrokenGraph as error:
                raise BackendError(str(error)) from error
            perceived |= run.perceived
            left_out += run.left_out
    return Asked(perceived=perceived, left_out=left_out)


def _setup(options: argparse.Namespace, medium: Medium) -> Setup:
    path = pathlib.Path(medium.path)
    if not (path.is_dir() or path.suffix.lower() in BAG_SUFFIXES):
        raise InputError(f'nodes are played rosbag2 recordings, got the video {medium.path!r}; ask --through offline')
    topics = find_topics(path, options.image_topic, options.odom_topic, options.camera_info_topic)
    labels = str(find_labels(path) or '') if options.labels is None else options.labels
    return Setup(
        labels=labels,
        image_topic=topics.image,
        transport='compressed' if _is_compressed(path, topics) else 'raw',
        camera_info_topic=topics.camera_info or NOT_PUBLISHED,
        odom_topic=topics.odometry if medium.odometry and topics.odometry else NOT_PUBLISHED,
    )


def _is_compressed(path: pathlib.Path, topics: RecordedTopics) -> bool:
    return read_topics(path)[topics.image][0] == COMPRESSED_IMAGE


def nodes_of(options: argparse.Namespace, setup: Setup) -> Nodes:
    """The nodes with what the command line says, at simulated time."""
    given = {
        # No image is to be lost to a busy machine, or other key frames are picked than offline.
        'camera_node': {
            'image_transport': setup.transport,
            'image_reliability': 'reliable',
            'image_depth': 100,
            'base_frame': options.base_frame,
            'camera_pose': options.camera_pose,
            'depth_topic': options.depth_topic or '',
        },
        'perception_node': {
            'models': options.models,
            'backend': options.perception,
            'eyes': options.eyes,
            'url': options.vlm_url,
            'model': options.vlm_model,
            'labels': setup.labels,
            'tag_size_m': options.tag_size,
        },
        'reasoning_node': {
            'models': options.models,
            'backend': options.reasoner,
            'url': options.lm_url,
            'model': options.lm_model,
            'folder': options.lm_folder,
            'prompt_format': options.prompt_format,
            'base_frame': options.base_frame,
        },
    }
    return {
        name: {'use_sim_time': True, **{key: value for key, value in parameters.items() if value != ''}}
        for name, parameters in given.items()
    }


class _Run:
    """Recordings played one after another to one graph, and their questions asked on the way."""

    def __init__(
        self,
        options: argparse.Namespace,
        setup: Setup,
        known: Container[str],
        keep: Keep,
        step: Callable[[], object],
        cache: PairCache | None,
    ) -> None:
        self._options, self._setup, self._known, self._keep = options, setup, known, keep
        self._step, self._cache = step, cache
        self.perceived: dict[Medium, Perceived] = {}
        self.left_out: list[LeftOut] = []
        self._now_ns = 0
        self._key_frames: list[messages.KeyFrame] = []
        self._observations: list[messages.Observation] = []

    def ask_all(self, by_medium: Mapping[Medium, Sequence[Sample]]) -> None:
        """Ask about each recording, the nodes being started for the first one of which something is to be asked."""
        with contextlib.ExitStack() as stack:
            graph: Graph | None = None
            for medium, samples in by_medium.items():
                asked = [sample for sample in samples if sample['id'] not in self._known]
                for _ in range(len(samples) - len(asked)):
                    self._step()
                if not asked and self._from_cache(medium):
                    continue
                if graph is None:
                    graph = stack.enter_context(self._graph())
                    self._listen(graph)
                self._ask_about(graph, medium, asked)
                if self._cache is not None:
                    self._cache.put(file_key(medium.path, repr(medium)), self.perceived[medium].to_json())

    def _from_cache(self, medium: Medium) -> bool:
        entry = self._cache.get(file_key(medium.path, repr(medium))) if self._cache is not None else None
        if entry is not None:
            self.perceived[medium] = Perceived.from_json(entry)
        return entry is not None

    def _graph(self) -> Graph:
        setup = self._setup
        image = 'image/compressed' if setup.transport == 'compressed' else 'image'
        remaps = {image: setup.image_topic, 'camera_info': setup.camera_info_topic, 'odom': setup.odom_topic}
        return Graph(nodes_of(self._options, setup), remaps=remaps)

    def _listen(self, graph: Graph) -> None:
        node = graph.node
        node.create_subscription(Clock, CLOCK_TOPIC, self._on_clock, qos.CLOCK)
        node.create_subscription(messages.KeyFrame, 'key_frames', self._key_frames.append, qos.KEY_FRAMES)
        depth = MemorySettings().memory_observations
        node.create_subscription(
            messages.Observation, 'observations', self._observations.append, qos.observations(depth)
        )

    def _on_clock(self, message: Clock) -> None:
        self._now_ns = ns_from_stamp(message.clock)

    def _ask_about(self, graph: Graph, medium: Medium, samples: Sequence[Sample]) -> None:
        begin_ns = self._play(graph, medium)
        ordered = sorted(samples, key=lambda one: math.inf if one['media']['end_s'] is None else one['media']['end_s'])
        asked: list[tuple[Sample, int, concurrent.futures.Future[Answer]]] = []
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for sample in ordered:
                start_s, end_s = sample['media']['start_s'], sample['media']['end_s']
                if end_s is None:
                    graph.wait_played()
                elif not self._wait_for(graph, begin_ns + round(end_s * NS_PER_S)):
                    length_s = (self._now_ns - begin_ns) / NS_PER_S
                    reason = f'it asks at {end_s:g} s, but the recording ends at {length_s:.1f} s'
                    self.left_out.append(LeftOut(sample['id'], reason))
                    continue
                answer = pool.submit(
                    graph.ask,
                    sample['question'],
                    sample['choices'],
                    start_ns=begin_ns + round(start_s * NS_PER_S),
                    fresh=end_s is None,
                    deadline_s=DEADLINE_S,
                )
                asked.append((sample, self._now_ns, answer))
            for _, _, answer in asked:
                graph.spin_until(answer.done, 'an answer', DEADLINE_S + 1.0)
        graph.wait_played()
        graph.spin(0.5)  # the last observations may still be on their way
        self.perceived[medium] = perceived = self._perceived(begin_ns)
        for sample, asked_ns, answer in asked:
            start_ns = begin_ns + round(sample['media']['start_s'] * NS_PER_S)
            seen = [one.index for one in perceived.observations if start_ns <= one.stamp_ns <= asked_ns]
            self._keep(Reply(sample=sample, answer=answer.result(), begin_ns=begin_ns, seen=tuple(seen)))
            self._step()

    def _play(self, graph: Graph, medium: Medium) -> int:
        """Begin to play; the stamp of the first key frame, from which seconds count."""
        graph.begin_to_play(pathlib.Path(medium.path), self._options.rate)
        self._key_frames.clear()
        self._observations.clear()
        self._now_ns = 0
        graph.spin_until(lambda: self._key_frames or graph.has_played, 'a first key frame', math.inf)
        if not self._key_frames:
            graph.fail(f'{medium.path} was played without a key frame')
        return key_frame_from_message(self._key_frames[0]).stamp_ns

    def _wait_for(self, graph: Graph, stamp_ns: int) -> bool:
        """Whether the replayed time comes to a stamp, give or take SHORT_BY_S at the recording's end."""
        graph.spin_until(lambda: self._now_ns >= stamp_ns or graph.has_played, 'a second to come', math.inf)
        return self._now_ns >= stamp_ns - round(SHORT_BY_S * NS_PER_S)

    def _perceived(self, begin_ns: int) -> Perceived:
        frames = {frame.index: frame for frame in self._read(shown_of, self._key_frames)}
        seen = {one.index: one for one in self._read(observation_from_message, self._observations) if not one.given_up}
        observations: list[Observation] = [seen[index] for index in sorted(seen)]
        return Perceived(
            begin_ns=begin_ns,
            end_ns=max([self._now_ns, *(frame.stamp_ns for frame in frames.values())]),
            missing_s=0.0,
            observations=tuple(observations),
            track=(),
            frames=tuple(frames[index] for index in sorted(frames)),
        )

    def _read(self, read: Callable[[Any], Any], heard: Sequence[Any]) -> Iterator[Any]:
        """What messages of the last session say; one that cannot be read is left out with a line in the log."""
        session = self._key_frames[-1].session
        for message in heard:
            if message.session == session:
                try:
                    yield read(message)
                except InputError as error:
                    _logger.warning('a message is left out of the report: %s', error)


def shown_of(message: messages.KeyFrame) -> Shown:
    """What a report shows of a key frame."""
    return shown(key_frame_from_message(message))
