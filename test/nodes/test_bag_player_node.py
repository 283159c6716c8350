"""The bag player over real DDS."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy')

import pictures
from builders import pose, recorded_jpeg, recorded_transforms, write_bag
from embodied_r_interfaces.msg import KeyFrame
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.frames import Transform
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.bag_player_node import BagPlayerNode
from embodied_r_ros.nodes.camera_node import CameraNode
from embodied_r_ros.nodes.conversions import ns_from_stamp

pytestmark = pytest.mark.ros

MODULE = 'embodied_r_ros.nodes.bag_player_node'


@pytest.fixture
def recording(tmp_path):
    return pictures.record(tmp_path / 'pan', duration_s=1.0, hz=20.0)


class Audience:
    """Hears what is played, and notes when."""

    def __init__(self, graph, topic='camera/compressed', reliability='reliable'):
        self.graph = graph
        self.images, self.clock_ns, self.times_s = [], [], []
        tester = graph.node()
        tester.create_subscription(CompressedImage, topic, self._on_image, qos.images(reliability, 5))
        tester.create_subscription(Clock, '/clock', lambda m: self.clock_ns.append(ns_from_stamp(m.clock)), qos.CLOCK)

    def _on_image(self, message):
        self.images.append(message)
        self.times_s.append(time.monotonic())

    def stamps_ns(self):
        return [ns_from_stamp(image.header.stamp) for image in self.images]


def play(graph, path, **values):
    return graph.start(BagPlayerNode, path=path, **{'relative_topics': True, 'wait_s': 10.0, **values})


@pytest.mark.parametrize('reliability', ['reliable', 'best_effort'])
def test_every_message_arrives_as_it_was_recorded_and_the_node_ends(graph, recording, reliability):
    audience = Audience(graph, reliability=reliability)
    player = play(graph, recording)
    graph.spin_until(lambda: player.exit_status is not None, 'the end')
    graph.spin_until(lambda: len(audience.images) == 20, 'the last image')
    assert player.exit_status == 0
    assert audience.stamps_ns() == [pictures.START_NS + number * 50_000_000 for number in range(20)]
    assert bytes(audience.images[3].data) == pictures.jpeg(pictures.view(24))
    assert audience.images[0].header.frame_id == pictures.FRAME_ID


@pytest.mark.parametrize('rate', [0.5, 1.0, 4.0])
def test_the_rate_holds(graph, recording, rate):
    audience = Audience(graph)
    player = play(graph, recording, rate=rate)
    graph.spin_until(lambda: player.exit_status is not None, 'the end')
    last_ns = pictures.START_NS + 950_000_000
    graph.spin_until(lambda: audience.stamps_ns()[-1:] == [last_ns], 'the last image')
    played_s = (last_ns - audience.stamps_ns()[0]) / 1e9
    assert played_s >= 0.85
    assert audience.times_s[-1] - audience.times_s[0] == pytest.approx(played_s / rate, abs=0.2)


def test_the_clock_runs_with_the_recording(graph, recording):
    audience = Audience(graph)
    player = play(graph, recording)
    graph.spin_until(lambda: player.exit_status is not None, 'the end')
    graph.spin_until(lambda: audience.clock_ns[-1:] == [pictures.START_NS + 950_000_000], 'the last tick')
    assert len(audience.clock_ns) > 20
    assert audience.clock_ns == sorted(audience.clock_ns)
    assert pictures.START_NS <= audience.clock_ns[0] < pictures.START_NS + 500_000_000


def test_without_a_clock_rate_there_is_no_clock(graph, recording):
    audience = Audience(graph)
    player = play(graph, recording, clock_hz=0.0)
    graph.spin_until(lambda: player.exit_status is not None, 'the end')
    assert audience.clock_ns == []


def test_a_loop_sets_time_back_and_downstream_begins_a_new_session(graph, tmp_path):
    sessions = set()
    graph.node().create_subscription(KeyFrame, 'key_frames', lambda m: sessions.add(m.session), qos.KEY_FRAMES)
    camera = graph.start(CameraNode, image_reliability='reliable')
    player = play(graph, pictures.record(tmp_path / 'x', 4.0, 10.0, topic='/image/compressed'), loop=True, rate=8.0)
    graph.spin_until(lambda: player.rounds == 2, 'two rounds')
    graph.spin_until(lambda: len(sessions) >= 2, 'a second session')
    assert player.exit_status is None
    assert camera.diagnostics.counters['time_jumps'] >= 1


def test_it_waits_for_a_listener(graph, recording):
    graph.node()
    player = play(graph, recording)
    graph.spin(0.7)
    assert not player.played
    audience = Audience(graph)
    graph.spin_until(lambda: player.exit_status is not None, 'the end')
    graph.spin_until(lambda: len(audience.images) == 20, 'all images')


def test_it_does_not_wait_for_ever(graph, recording):
    player = play(graph, recording, wait_s=0.3)
    graph.spin_until(lambda: player.exit_status is not None, 'the end')
    assert player.played == {'/camera/compressed': 20}


def test_it_starts_after_the_delay(graph, recording):
    begin_s = time.monotonic()
    player = play(graph, recording, wait_s=0.0, start_delay_s=0.8)
    graph.spin_until(lambda: player.played, 'the beginning')
    assert time.monotonic() - begin_s >= 0.8


def test_deactivation_stops_it_and_activation_plays_from_the_beginning(graph, recording):
    audience = Audience(graph)
    player = play(graph, recording)
    graph.spin_until(lambda: len(audience.images) >= 3, 'the first images')
    player.trigger_deactivate()
    played = player.played.total()
    graph.spin_until(lambda: len(audience.images) == played, 'what was played')
    graph.spin(0.3)
    assert player.played.total() == played < 20
    player.trigger_activate()
    graph.spin_until(lambda: player.exit_status is not None, 'the end')
    graph.spin_until(lambda: len(audience.images) == played + 20, 'all images')


def test_a_type_that_is_not_installed_is_left_out(graph, tmp_path):
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg('string data', 'robots_msgs/msg/Thought'))
    with Writer(tmp_path / 'odd', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for number, kind in enumerate(('std_msgs/msg/String', 'robots_msgs/msg/Thought')):
            topic = writer.add_connection(f'/topic_{number}', kind, typestore=store)
            writer.write(topic, pictures.START_NS, store.serialize_cdr(store.types[kind](data='hm'), kind))
    heard = []
    graph.node().create_subscription(String, 'topic_0', heard.append, 10)
    player = play(graph, str(tmp_path / 'odd'))
    graph.spin_until(lambda: heard, 'the message')
    assert heard[0].data == 'hm'
    assert player.played == {'/topic_0': 1}


def unplayable(tmp_path, name):
    """A path that cannot be played."""
    path = tmp_path / name
    if name == 'unreadable':
        path.mkdir()
        (path / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: 9}')
    elif name == 'cut short':
        whole = pictures.record(path)
        (mcap,) = path.glob('*.mcap')
        mcap.write_bytes(mcap.read_bytes()[:2000])
        return whole
    elif name == 'empty':
        pictures.record(path, duration_s=0.0)
    return str(path)


@pytest.mark.parametrize('name', ['missing', 'unreadable', 'cut short', 'empty'])
def test_a_bad_bag_ends_the_process_with_status_2_and_a_sentence(node_process, tmp_path, name):
    path = unplayable(tmp_path, name)
    status, _, err = node_process(MODULE, '--ros-args', '-p', f"path:='{path}'").wait()
    assert status == 2
    assert err.startswith('bag_player_node: a recording must ')
    assert path in err
    assert 'Traceback' not in err


def test_without_rosbags_the_process_ends_with_status_2_and_a_sentence(recording):
    program = f'import sys\nsys.modules["rosbags"] = None\nfrom {MODULE} import main\nsys.exit(main())'
    command = [sys.executable, '-c', program, '--ros-args', '-p', f'path:={recording}']
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    sentence = r"bag_player_node: reading '.*' needs the Python package rosbags .*; pip install rosbags, or .*\n"
    assert re.fullmatch(sentence, done.stderr)


def test_a_bag_without_anything_to_play_is_refused(graph, tmp_path):
    path = pictures.record(tmp_path / 'clock', topic='/rosout')
    with pytest.raises(InputError, match='must hold messages of types that are .* here, got .* with none to play'):
        graph.make(BagPlayerNode, path=path)


def test_no_path_is_refused(graph):
    with pytest.raises(SettingsError, match="path must name a recording, got ''; give -p path"):
        graph.make(BagPlayerNode)


def test_the_process_ends_with_status_0_when_the_recording_is_over(node_process, recording):
    status, _, err = node_process(MODULE, '--ros-args', '-p', f'path:={recording}', '-p', 'rate:=10.0').wait()
    assert status == 0
    assert 'played 20 messages' in err


def test_every_fixed_transform_is_kept_for_listeners_that_join_late(graph, tmp_path):
    kinds = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed')
    told = [Transform(parent='base_link', child=f'sensor {number}', pose=pose(), fixed=True) for number in range(30)]
    messages = [recorded_transforms(one, recorded_s=100.0 + number / 100) for number, one in enumerate(told)]
    bag = write_bag(tmp_path / 'bag', [*messages, recorded_jpeg(pictures.jpeg(pictures.view()), 110.0)])
    node = play(graph, str(bag), wait_s=0.0)
    graph.spin_until(lambda: node.played['/tf_static'] == 30, 'the transforms')
    heard = []
    graph.node().create_subscription(kinds.TFMessage, 'tf_static', heard.append, qos.FIXED_TRANSFORMS)
    graph.spin_until(lambda: len(heard) == 30, 'all of them')
    assert [message.transforms[0].child_frame_id for message in heard] == [one.child for one in told]
