"""perception_node over real DDS, with OpenCV and with a model server on loopback."""

import dataclasses

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')

from builders import texture  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from embodied_r_interfaces import msg as messages  # noqa: E402
from embodied_r_interfaces.srv import Focus  # noqa: E402
from fake_models import key_frame, pose_at  # noqa: E402
from fake_openai import FakeOpenAI  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402

from embodied_r_ros.adapters.codec import encode_jpeg  # noqa: E402
from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from embodied_r_ros.core.records import ErrorCode  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import key_frame_to_message  # noqa: E402
from embodied_r_ros.nodes.perception_node import PerceptionNode  # noqa: E402

PICTURE = encode_jpeg(texture(160, 120), 80)


def frame(index, **changes):
    return dataclasses.replace(key_frame(index, **changes), image=PICTURE)


class Camera:
    """Publishes key frames as camera_node does, and listens to what is written about them."""

    def __init__(self, graph):
        self.node = graph.node('camera')
        self.publisher = self.node.create_publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES)
        self.seen = []
        self.node.create_subscription(messages.Observation, 'observations', self.seen.append, qos.observations(100))

    @property
    def indices(self):
        return sorted(message.index for message in self.seen)

    def publish(self, *frames):
        for one in frames:
            self.publisher.publish(key_frame_to_message(one))


@pytest.fixture
def camera(graph):
    return Camera(graph)


def reply(asked):
    """A description of one image or of two."""
    images = str(asked).count('image_url')
    return '{"view": "a sofa"}' if images <= 2 else '{"action": "move forward", "new": "a lamp"}'


@pytest.fixture
def server():
    with FakeOpenAI(reply=reply) as server:
        yield server


def test_key_frames_are_described_with_opencv(graph, camera):
    graph.start(PerceptionNode)
    camera.publish(frame(0), frame(1))
    graph.spin_until(lambda: camera.indices == [0, 1], 'two observations')
    first = next(seen for seen in camera.seen if seen.index == 0)
    assert (first.words, first.source, first.model) == ('nothing new', 'opencv', 'opencv-apriltag')
    assert first.header.frame_id == 'camera'


def test_key_frames_are_described_by_a_server_with_pose_stamp_and_latency(graph, camera, server):
    graph.start(PerceptionNode, url=server.url)
    camera.publish(frame(0, pose=pose_at(2.0)))
    graph.spin_until(lambda: camera.seen, 'an observation')
    seen = camera.seen[0]
    assert (seen.text, seen.source, seen.model) == ('a sofa', 'openai', 'fake-model')
    assert seen.has_pose and seen.pose.position.x == 2.0
    assert seen.latency_s > 0.0


def test_a_respawned_perception_node_refills_from_the_camera(graph, camera):
    camera.publish(frame(0), frame(1), frame(2))
    graph.start(PerceptionNode)
    graph.spin_until(lambda: camera.indices == [0, 1, 2], 'three observations')


def test_observations_reach_a_late_listener(graph, camera):
    graph.start(PerceptionNode)
    camera.publish(frame(0), frame(1))
    graph.spin_until(lambda: camera.indices == [0, 1], 'two observations')
    late = []
    graph.node('late').create_subscription(messages.Observation, 'observations', late.append, qos.observations(100))
    graph.spin_until(lambda: len(late) == 2, 'two late observations')


def test_server_unreachable_at_start_the_node_comes_up_says_so_and_recovers(graph, camera, capfd):
    gone = FakeOpenAI().start()
    url, port = gone.url, gone.port
    gone.stop()
    graph.start(PerceptionNode, url=url)
    heard = []
    graph.node('monitor').create_subscription(DiagnosticArray, '/diagnostics', heard.append, qos.DIAGNOSTICS)
    camera.publish(frame(0), frame(1))
    graph.spin_until(lambda: any(array.status[0].level == b'\x02' for array in heard), 'an error on /diagnostics')
    response = focus(graph, [0])
    assert response.error_code == ErrorCode.SERVER_DOWN and url.rsplit('/', 1)[0] in response.error_msg
    assert camera.seen == []
    server_again = FakeOpenAI(reply=reply).start(port)
    try:
        graph.spin_until(lambda: camera.indices == [0, 1], 'both observations')
    finally:
        server_again.stop()
    log = capfd.readouterr().err
    assert 'it is tried again until it works' in log
    assert 'is ready to describe key frames' in log


def test_a_server_that_answers_nonsense_publishes_no_text(graph, camera, server):
    node = graph.start(PerceptionNode, url=server.url, attempts=2)
    graph.wait_for(node)
    server.raw = b'<html>not a model server</html>'
    camera.publish(frame(0))
    graph.spin_until(lambda: camera.seen, 'word that nothing will come')
    assert node.diagnostics.status().level == b'\x01'
    assert [(seen.index, seen.given_up, seen.words) for seen in camera.seen] == [(0, True, '')]


def focus(graph, indices, question='where is the lamp?', session=None):
    request = Focus.Request(session=session or key_frame(0).session, indices=indices, question=question)
    return graph.call(Focus, 'focus', request)


def test_focus_reads_again_and_says_gone(graph, camera, server):
    graph.start(PerceptionNode, url=server.url)
    camera.publish(frame(0), frame(1))
    graph.spin_until(lambda: camera.indices == [0, 1], 'two observations')
    server.reply = '{"relevant": "the lamp stands on the left"}'
    response = focus(graph, [1, 7])
    assert response.success
    assert [(seen.index, seen.status) for seen in response.readings] == [
        (1, messages.FocusReading.FOUND),
        (7, messages.FocusReading.GONE),
    ]
    assert response.readings[0].text == 'the lamp stands on the left'
    assert 'where is the lamp?' in str(server.chats[-1].json)


def test_focus_with_an_empty_question_is_a_bad_question(graph, camera):
    node = graph.start(PerceptionNode)
    graph.wait_for(node)
    response = focus(graph, [0], question=' ')
    assert (response.success, response.error_code) == (False, ErrorCode.BAD_QUESTION)
    assert 'a question in words was wanted' in response.error_msg


def test_inactive_means_no_model_call_and_focus_is_not_active(graph, camera, server):
    node = graph.start(PerceptionNode, url=server.url)
    camera.publish(frame(0))
    graph.spin_until(lambda: camera.indices == [0], 'an observation')
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    asked = len(server.chats)
    camera.publish(frame(1))
    graph.spin(0.3)
    assert len(server.chats) == asked
    response = focus(graph, [0])
    assert (response.success, response.error_code) == (False, ErrorCode.NOT_ACTIVE)
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    graph.spin_until(lambda: camera.indices == [0, 1], 'the observation that was missed')


def test_a_reactivated_node_describes_only_what_is_new(graph, camera, server):
    node = graph.start(PerceptionNode, url=server.url)
    later = key_frame(0).session + 1
    camera.publish(*map(frame, range(3)))
    graph.spin_until(lambda: camera.indices == [0, 1, 2], 'the first session')
    camera.publish(*(frame(index, session=later) for index in range(3)))
    graph.spin_until(lambda: len(camera.seen) == 6, 'the second session')
    asked = len(server.chats)
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    camera.publish(frame(3, session=later))
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    graph.spin_until(lambda: 3 in camera.indices, 'the observation that was missed')
    graph.spin(0.3)
    assert len(camera.seen) == 7
    assert [chat.json['max_tokens'] > 1 for chat in server.chats[asked:]].count(True) == 1


def test_an_image_that_cannot_be_read_is_left_out_and_the_next_is_described(graph, camera, capfd):
    graph.start(PerceptionNode, attempts=1)
    broken = key_frame_to_message(frame(0))
    broken.image.data = b'GIF89a'
    camera.publisher.publish(broken)
    camera.publish(frame(1))
    graph.spin_until(lambda: camera.indices == [0, 1], 'the readable one, and word that nothing comes of the other')
    told = {seen.index: (seen.session, seen.header.stamp, seen.given_up, seen.words) for seen in camera.seen}
    assert told[0] == (broken.session, broken.header.stamp, True, '')
    assert told[1][3] == 'nothing new'
    assert 'key frame 0 is left out: a compressed image must be JPEG or PNG' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        pytest.param({'models': 'nowhere'}, 'a model pair file was wanted', id='model pair missing'),
        pytest.param({'url': 'gpu:8000'}, 'url must look like', id='not a url'),
        pytest.param({'max_concurrent_descriptions': 0}, 'max_concurrent_descriptions must lie in', id='out of range'),
        pytest.param({'concurency': 4}, "unknown parameter 'concurency'", id='unknown'),
    ],
)
def test_parameters_that_cannot_be_used_stop_the_node_with_a_sentence(graph, values, words):
    with pytest.raises(SettingsError, match=words):
        graph.make(PerceptionNode, **values)
