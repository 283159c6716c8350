"""Boxes from a server and depth from a topic: key frames go in, an answer with a place comes out."""

import array
import random

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')

from embodied_r_interfaces import msg as messages  # noqa: E402
from robots import Robot  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402

from embodied_r_ros.adapters.depth_images import encode_depth  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import header, key_frame_to_message  # noqa: E402
from embodied_r_ros.nodes.perception_node import PerceptionNode  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402
from training.world.box_eyes import EyeNoise, noisy_depth  # noqa: E402
from training.world.box_server import BoxModel, serving  # noqa: E402
from training.world.path import Leg, Path  # noqa: E402
from training.world.recording import key_frames, station_of  # noqa: E402
from training.world.scene import Scene, SceneObject, Walk  # noqa: E402
from training.world.sightlines import look  # noqa: E402

SOFA = SceneObject(name='sofa', center_m=(4.0, 0.5, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=17)
SCENE = Scene(seed=7, kind='room', objects=(SOFA,), bounds_m=(-5.0, -5.0, 7.0, 5.0))
WALK = Walk(scene=SCENE, path=Path((Leg(kind='forward', amount=0.5), Leg(kind='turn', amount=90.0))))


def test_boxes_of_a_server_and_depth_lead_to_an_answer_with_a_place(graph):
    robot = Robot(graph)
    depths = robot.node.create_publisher(CompressedImage, 'key_frame_depth', qos.KEY_FRAMES)
    model = BoxModel(EyeNoise(jitter=0.05), 0)
    frames = key_frames(WALK)
    seen = []
    robot.node.create_subscription(messages.Observation, 'observations', seen.append, qos.observations(100))
    with serving(model) as url:
        graph.start(PerceptionNode, url=url, eyes='boxes', depth_wait_s=30.0)
        graph.start(ReasoningNode)
        for frame in frames:
            station = station_of(WALK, frame.stamp_ns)
            model.note(frame.image.data, SCENE, station)
            depth = CompressedImage(header=header(frame.stamp_ns), format='16UC1; png')
            measured = noisy_depth(look(SCENE, station), EyeNoise(), random.Random(frame.index))
            depth.data = array.array('B', encode_depth(measured).data)
            depths.publish(depth)
            robot.key_frames.publish(key_frame_to_message(frame))
        graph.spin_until(lambda: len(seen) == len(frames), 'all observations', 30.0)
        asking = {'text': 'Where is the sofa now?', 'choices': ('ahead', 'left', 'right'), 'deadline_s': 20.0}
        graph.spin_until(lambda: robot.ask(**asking).landmarks, 'an answer with a place', 30.0)
        answer = robot.ask(**asking)
    assert (answer.answer, model.unknown) == ('right', 0)
    (sofa,) = answer.landmarks
    assert (sofa.position.point.x, sofa.position.point.y) == pytest.approx((4.0, 0.5), abs=0.3)
