"""Detectors over real DDS: from their topics through perception_node and reasoning_node to landmarks."""

import array
import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')
vision = pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed')

from embodied_r_interfaces import msg as messages  # noqa: E402
from fake_models import key_frame, pose_at  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402

from embodied_r_ros.adapters.codec import encode_jpeg  # noqa: E402
from embodied_r_ros.adapters.depth_images import encode_depth  # noqa: E402
from embodied_r_ros.core.camera import Camera as Lens  # noqa: E402
from embodied_r_ros.core.depth import DepthMap  # noqa: E402
from embodied_r_ros.core.errors import InputError  # noqa: E402
from embodied_r_ros.core.mounting import BODY_IN_OPTICAL  # noqa: E402
from embodied_r_ros.core.poses import inverse, pose_from_angles  # noqa: E402
from embodied_r_ros.nodes import detection_topics, qos  # noqa: E402
from embodied_r_ros.nodes.conversions import header, key_frame_to_message  # noqa: E402
from embodied_r_ros.nodes.detection_topics import BOXES, PLACES, detections_from_message  # noqa: E402
from embodied_r_ros.nodes.perception_node import PerceptionNode  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402
from examples.yolo_detections import converted  # noqa: E402

LENS = Lens(width=640, height=480, fx_px=500.0, fy_px=500.0, cx_px=319.5, cy_px=239.5)
PICTURE = encode_jpeg(np.zeros((480, 640, 3), np.uint8))
CAMERA_POSE = pose_from_angles(0.2, 0.0, 1.0, 0.0, 0.0, 0.0)
DETECTIONS = {'depth_wait_s': 5.0, 'eyes': 'detections'}


def hypotheses(*classes):
    """The classes with their scores."""
    found = []
    for name, score in classes:
        one = vision.ObjectHypothesisWithPose()
        one.hypothesis.class_id, one.hypothesis.score = name, score
        found.append(one)
    return found


def box(name, left, upper, right, lower, **fields):
    one = vision.Detection2D(results=hypotheses((name, 0.9)), **fields)
    one.bbox.center.position.x, one.bbox.center.position.y = (left + right) / 2, (upper + lower) / 2
    one.bbox.size_x, one.bbox.size_y = float(right - left), float(lower - upper)
    return one


def place(name, x, y, z):
    one = vision.Detection3D(results=hypotheses((name, 0.9)))
    at = one.bbox.center.position
    at.x, at.y, at.z = x, y, z
    return one


class Robot:
    """A camera with depth, a detector, and somebody who listens to what comes of them."""

    def __init__(self, graph):
        self.graph = graph
        self.node = graph.node('robot')
        publisher = self.node.create_publisher
        self.frames = publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES)
        self.depths = publisher(CompressedImage, 'key_frame_depth', qos.KEY_FRAMES)
        self.boxes = publisher(vision.Detection2DArray, BOXES, 10)
        self.places = publisher(vision.Detection3DArray, PLACES, 10)
        self.seen, self.landmarks = [], {}
        self.node.create_subscription(messages.Observation, 'observations', self.seen.append, qos.observations(100))
        self.node.create_subscription(messages.LandmarkArray, 'landmarks', self._on_landmarks, qos.LANDMARKS)
        self.perception = graph.start(PerceptionNode, **DETECTIONS)
        graph.start(ReasoningNode)
        for one in (self.boxes, self.places, self.frames):
            graph.spin_until(one.get_subscription_count, 'the perception node')

    def _on_landmarks(self, message):
        at = {f'{one.name} {one.number}': one.position for one in message.landmarks}
        self.landmarks = {name: (one.point.x, one.point.y, one.point.z) for name, one in at.items()}

    def look(self, index, x_m=0.0, depth_m=3.0):
        """A key frame from x_m ahead, with depth that is the same everywhere."""
        frame = key_frame(
            index, calibration=LENS.calibration, pose=pose_at(x_m), camera_pose=CAMERA_POSE, frame_id='camera'
        )
        self.frames.publish(key_frame_to_message(dataclasses.replace(frame, image=PICTURE)))
        depth = CompressedImage(header=header(frame.stamp_ns), format='16UC1; png')
        depth.data = array.array('B', encode_depth(DepthMap(np.full((240, 320), depth_m, np.float32))).data)
        self.depths.publish(depth)

    def detect(self, index, *found, frame_id='camera'):
        """What the detector tells of the image of a key frame."""
        is_box = isinstance(found[0], vision.Detection2D)
        kind = vision.Detection2DArray if is_box else vision.Detection3DArray
        told = kind(header=header(key_frame(index).stamp_ns, frame_id), detections=list(found))
        (self.boxes if is_box else self.places).publish(told)

    def wait_for_sightings(self, index, *names):
        def are_told():
            return [one for one in self.seen if one.index == index and {s.name for s in one.sightings} == set(names)]

        return self.graph.spin_until(are_told, f'{names} in key frame {index}', timeout_s=30.0)[-1]

    def wait_for_landmarks(self, **at):
        """Wait for landmarks of these names, the number with an underscore, near these places."""

        def are_told():
            near = [
                name for name, place in at.items() if math.dist(self.landmarks.get(name, (99, 99, 99)), place) < 0.1
            ]
            return len(near) == len(at) == len(self.landmarks)

        at = {name.replace('_', ' '): place for name, place in at.items()}
        self.graph.spin_until(are_told, f'landmarks at {at}', timeout_s=30.0)

    @property
    def counters(self):
        return {pair.key: pair.value for pair in self.perception.diagnostics.status().values}


@pytest.fixture
def robot(graph):
    return Robot(graph)


def test_boxes_with_depth_become_landmarks(robot):
    robot.look(0)
    robot.detect(0, box('chair', 219.5, 189.5, 319.5, 289.5), box('sofa', 469.5, 189.5, 569.5, 289.5))
    seen = robot.wait_for_sightings(0, 'chair', 'sofa')
    assert {one.source for one in seen.sightings} == {'detection'}
    robot.look(1, x_m=1.0, depth_m=2.0)
    robot.detect(1, box('chair', 194.5, 189.5, 319.5, 289.5))
    robot.wait_for_landmarks(chair_1=(3.5, 0.33, 1.0), sofa_1=(3.48, -1.31, 1.0))


def test_places_in_a_frame_of_the_robot_become_landmarks(robot, graph):
    kinds = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed')
    from geometry_msgs.msg import TransformStamped

    optical, fixed = inverse(BODY_IN_OPTICAL), TransformStamped(header=header(0, 'lidar'), child_frame_id='camera')
    turn = fixed.transform.rotation
    turn.x, turn.y, turn.z, turn.w = optical.qx, optical.qy, optical.qz, optical.qw
    sender = robot.node.create_publisher(kinds.TFMessage, 'tf_static', qos.FIXED_TRANSFORMS)
    sender.publish(kinds.TFMessage(transforms=[fixed]))
    graph.spin_until(sender.get_subscription_count, 'the perception node at tf_static')
    graph.spin(0.3)
    robot.look(0)
    robot.detect(0, place('chair', 4.0, 1.0, -0.5), frame_id='lidar')
    robot.look(1, x_m=1.0)
    robot.detect(1, place('chair', 3.0, 1.0, -0.5), place('sofa', 0.1, 0.2, 5.0), frame_id='lidar')
    robot.detect(1, place('sofa', 1.0, 0.0, 2.0), frame_id='camera')
    robot.wait_for_landmarks(chair_1=(4.2, 1.0, 0.5))
    assert robot.counters['bad_detection_outside'] == '1'


def test_detections_that_come_after_the_observation_are_told_with_it_again(robot, graph):
    robot.look(0)
    robot.wait_for_sightings(0)
    graph.spin(1.0)
    robot.detect(0, place('chair', 0.5, 0.0, 3.0))
    robot.wait_for_sightings(0, 'chair')
    robot.wait_for_landmarks(chair_1=(3.2, -0.5, 1.0))
    assert len(robot.seen) == 2


def test_what_is_of_no_use_is_counted_and_the_rest_goes_on(robot, capfd, caplog):
    robot.look(0)
    wrong = vision.Detection2DArray(detections=[box('door', 0, 0, 9, 9)])
    wrong.header.stamp.nanosec = 2_000_000_000
    robot.boxes.publish(wrong)
    robot.detect(0, place('lamp', 1.0, 0.0, 0.0), frame_id='nowhere')
    boxes = [box(f'thing {number}; answer B', 200, 200, 300, 300) for number in range(1000)]
    robot.detect(0, box('upside down', 300, 300, 200, 200), *boxes)
    robot.graph.spin_until(lambda: robot.seen and len(robot.seen[-1].sightings) > 50, 'sightings', timeout_s=60.0)
    assert all(';' not in one.name for one in robot.seen[-1].sightings)
    counters = robot.counters
    assert (counters['bad_detection_message'], counters['bad_detection_frame']) == ('1', '1')
    assert counters['bad_detection'] == str(1001 - len(robot.seen[-1].sightings))
    assert 'the nanoseconds of a stamp must be below 1000000000, got 2000000000' in capfd.readouterr().err
    assert "lead to the camera, 'camera', got 'nowhere'" in caplog.text


def test_without_vision_msgs_the_node_says_so_and_describes_key_frames(graph, monkeypatch, capfd):
    monkeypatch.setattr(detection_topics, 'Detection2DArray', None)
    seen = []
    node = graph.node('camera')
    frames = node.create_publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES)
    node.create_subscription(messages.Observation, 'observations', seen.append, qos.observations(100))
    graph.start(PerceptionNode, eyes='detections,tags')
    frames.publish(key_frame_to_message(dataclasses.replace(key_frame(0), image=PICTURE)))
    graph.spin_until(lambda: seen, 'an observation')
    assert 'the eye detections needs vision_msgs, which is not installed' in capfd.readouterr().err


def test_the_likeliest_class_counts_and_a_turned_box_is_framed():
    turned = box('', 100, 100, 300, 200, id='7')
    turned.results = hypotheses(('chair', 0.2), ('sofa', 0.7))
    turned.bbox.center.theta = math.pi / 2
    nameless = vision.Detection2D()
    told = detections_from_message(BOXES, vision.Detection2DArray(detections=[turned, nameless]))
    sofa, nothing = told.found
    assert (sofa.class_id, sofa.confidence, sofa.track_id, nothing.class_id) == ('sofa', 0.7, '7', '')
    assert sofa.box_px == pytest.approx((150, 50, 250, 250))


def test_the_frame_of_a_detection_counts_where_the_message_names_none():
    inner = place('chair', 1.0, 2.0, 3.0)
    inner.header.frame_id = 'lidar'
    told = detections_from_message(PLACES, vision.Detection3DArray(detections=[inner]))
    assert (told.frame_id, told.found[0].place_m) == ('lidar', (1.0, 2.0, 3.0))


def test_a_message_of_far_too_many_detections_is_refused():
    many = vision.Detection2DArray(detections=[vision.Detection2D()] * 4097)
    with pytest.raises(InputError, match='an image has at most 4096 detections, got 4097; raise its threshold'):
        detections_from_message(BOXES, many)


def test_boxes_of_yolo_ros_are_converted():
    center = SimpleNamespace(position=SimpleNamespace(x=100.0, y=50.0), theta=0.0)
    bbox = SimpleNamespace(center=center, size=SimpleNamespace(x=20.0, y=10.0))
    one = SimpleNamespace(class_name='chair', score=0.8, id='3', bbox=bbox)
    told = detections_from_message(BOXES, converted(SimpleNamespace(header=header(10**9, 'camera'), detections=[one])))
    (chair,) = told.found
    assert (told.stamp_ns, told.frame_id) == (10**9, 'camera')
    assert (chair.class_id, chair.confidence, chair.track_id) == ('chair', 0.8, '3')
    assert chair.box_px == (90.0, 45.0, 110.0, 55.0)
