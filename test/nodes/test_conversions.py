"""Messages to records and back."""

from __future__ import annotations

import dataclasses
import math
import time

import pytest

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Duration, Time
from embodied_r_interfaces import msg as messages
from embodied_r_interfaces.srv import Capture, Focus
from geometry_msgs.msg import Point, Quaternion
from geometry_msgs.msg import Pose as PoseMessage
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import (
    Answer,
    Calibration,
    EncodedImage,
    ErrorCode,
    Evidence,
    KeyFrame,
    Landmark,
    Motion,
    MotionSource,
    Move,
    Pose,
    Question,
    Sighting,
)
from embodied_r_ros.nodes import conversions, requests

pytestmark = pytest.mark.ros

JPEG = b'\xff\xd8\xff\xe0 and so on'
POSE = Pose(x_m=1.0, y_m=-2.0, z_m=0.5, qx=0.0, qy=0.0, qz=math.sqrt(0.5), qw=math.sqrt(0.5))
STAMP_NS = 1_700_000_000_123_456_789


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def same(one, other):
    """Equal, where NaN is the same as NaN."""
    return repr(dataclasses.asdict(one)) == repr(dataclasses.asdict(other))


KEY_FRAMES = {
    'first': KeyFrame(
        session=STAMP_NS, index=0, stamp_ns=STAMP_NS, frame_id='camera', image=EncodedImage(data=JPEG), reason='first'
    ),
    'way': KeyFrame(
        session=STAMP_NS,
        index=3,
        stamp_ns=STAMP_NS,
        frame_id='camera',
        image=EncodedImage(data=JPEG),
        reason='overlap',
        pose=POSE,
        motion=Motion(
            name='rotate left',
            forward_m=1.0,
            left_m=2.0,
            up_m=0.0,
            rotate_left_deg=90.0,
            tilt_up_deg=0.0,
            source=MotionSource.ODOMETRY,
            moves=(
                Move(kind='forward', amount=1.25),
                Move(kind='turn', amount=-90.5),
                Move(kind='left', amount=-0.5),
                Move(kind='forward', amount=0.1),
            ),
        ),
    ),
    'full': KeyFrame(
        session=STAMP_NS - 5,
        index=7,
        stamp_ns=STAMP_NS,
        frame_id='camera',
        image=EncodedImage(data=b'\x89PNG\r\n\x1a\n and so on', mime='image/png'),
        reason='requested',
        overlap=0.25,
        calibration=Calibration(
            width=1280,
            height=960,
            distortion_model='rational_polynomial',
            d=(0.1, -0.2, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4),
            k=(500.0, 0.0, 640.0, 0.0, 501.0, 480.0, 0.0, 0.0, 1.0),
            r=(0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
            p=tuple(map(float, range(12))),
            binning_x=2,
            binning_y=1,
            roi=(8, 16, 640, 480),
            roi_rectified=True,
            stamp_ns=STAMP_NS - 9,
            frame_id='lens',
        ),
        camera_pose=POSE,
        pose=POSE,
        motion=Motion(name='move forward', forward_m=1.5, left_m=0.0, up_m=0.0, source=MotionSource.ODOMETRY),
    ),
}


@pytest.mark.parametrize('name', KEY_FRAMES)
def test_a_key_frame_survives_the_wire(name):
    frame = KEY_FRAMES[name]
    assert same(conversions.key_frame_from_message(over_the_wire(conversions.key_frame_to_message(frame))), frame)


LANDMARK = Landmark(
    id='7',
    name='chair',
    number=2,
    stamp_ns=STAMP_NS,
    frame_id='odom',
    position_m=(1.0, -2.0, 0.5),
    covariance_m2=(0.01, 0.0, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.03),
    distance_m=2.5,
    bearing_left_deg=-63.4,
    first_seen_ns=STAMP_NS,
    last_seen_ns=STAMP_NS + 1,
    sightings=3,
    evidence=(Evidence(session=3, index=4, stamp_ns=STAMP_NS, text='a chair'),),
)
SEEN = Observation(
    session=3,
    index=4,
    stamp_ns=STAMP_NS,
    camera='front',
    motion=Motion(
        name='move forward',
        forward_m=1.0,
        source=MotionSource.IMAGES,
        moves=(Move(kind='forward', amount=1.0, estimated=True), Move(kind='turn', amount=-3.0)),
    ),
    sightings=(
        Sighting(
            name='sofa', ray=(0.6, 0.0, 0.8), distance_m=3.2, track_id='17', source='tag', box_px=(1.0, 2.0, 3.0, 4.0)
        ),
        Sighting.level('lamp', 20.0),
    ),
    text='a sofa and a lamp',
    source='openai',
    model='m',
    latency_s=0.5,
    pose=POSE,
    camera_pose=POSE,
)


@pytest.mark.parametrize(
    'seen',
    [
        SEEN,
        Observation(session=3, index=4, stamp_ns=STAMP_NS),
        Observation(session=3, index=4, stamp_ns=1, given_up=True),
    ],
    ids=['all of it', 'nothing new', 'given up'],
)
def test_an_observation_survives_the_wire(seen):
    assert same(conversions.observation_from_message(over_the_wire(conversions.observation_to_message(seen))), seen)


def test_an_observation_tells_people_in_words():
    message = conversions.observation_to_message(SEEN)
    assert message.words == (
        'moved forward about 1.00 m, rotated right 3 deg: sofa straight ahead at 1.9 m; lamp 20 deg left; '
        'a sofa and a lamp'
    )


@pytest.mark.parametrize('ray', [(0.0, 0.0, 0.0), (math.nan, 0.0, 0.0), (math.inf, 1.0, 0.0)])
def test_a_sighting_without_a_direction_is_refused(ray):
    message = conversions.sighting_to_message(Sighting(name='sofa', ray=ray))
    with pytest.raises(InputError, match='a sighting needs a name and a finite unit vector as its ray, got'):
        conversions.sighting_from_message(message)


def test_a_reply_that_nobody_filled_in_is_an_internal_error():
    assert messages.SpatialAnswer().error_code == ErrorCode.INTERNAL
    assert Capture.Response().error_code == Focus.Response().error_code == ErrorCode.INTERNAL


def test_an_answer_survives_the_wire():
    answer = Answer(
        error_code=ErrorCode.CANNOT_TELL,
        error_msg='the thoughts disagree',
        answer='left',
        choice=1,
        thinking='Frame 0 shows it.',
        confidence=0.4,
        evidence=(Evidence(session=3, index=4, stamp_ns=STAMP_NS, text='a sofa', pose=POSE, camera='front'),),
        landmarks=(LANDMARK,),
        stale_s=1.5,
        used=3,
        available=5,
        seen_until_ns=STAMP_NS,
        timings_s={'think': 0.5, 'total': 0.75},
        model='m',
        prompt_id='p',
    )
    assert same(requests.answer_from_message(over_the_wire(requests.answer_to_message(answer))), answer)


def test_a_request_survives_the_wire():
    request = requests.Request(
        question=Question(text='Where?', choices=('here', 'there'), votes=5, check_consistency=True),
        start_ns=STAMP_NS,
        end_ns=STAMP_NS + 1,
        as_of_ns=STAMP_NS + 2,
        focus='always',
        fresh=True,
        deadline_s=2.5,
    )
    assert requests.request_from_message(over_the_wire(requests.request_to_message(request))) == request


@pytest.mark.parametrize('unused', [0.0, math.nan])
def test_a_message_with_the_question_alone_leaves_the_rest_to_the_node(unused):
    request = requests.request_from_message(messages.SpatialQuestion(question='Where?', window_last_s=unused))
    assert request == requests.Request(question=Question(text='Where?'))


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'window_last_s': -1.0}, "a window's length must be above 0 and below 2147483648 s, got -1.0"),
        ({'window_last_s': math.inf}, "a window's length must be above 0 and below 2147483648 s, got inf"),
        ({'window_last_s': 1e300}, "a window's length must be above 0 and below 2147483648 s, got 1e.300"),
        ({'window_last_s': 1.0, 'window_end': Time(sec=1)}, 'bounds or a length, got both'),
        ({'window_start': Time(sec=2), 'window_end': Time(sec=1)}, 'must not end before it starts, got 2000000000'),
        ({'deadline': Duration(sec=-1)}, 'deadline must be positive, .* got -1.0 s'),
        ({'focus': 9}, 'focus mode must be 0 to 2, got 9'),
    ],
    ids=[
        'negative length',
        'endless',
        'longer than time',
        'window given twice',
        'ending before it starts',
        'deadline',
        'focus',
    ],
)
def test_a_bad_request_is_refused_with_the_rule_it_breaks(fields, message):
    with pytest.raises(InputError, match=message):
        requests.request_from_message(messages.SpatialQuestion(question='Where?', **fields))


@pytest.mark.parametrize(
    ('position', 'orientation'),
    [
        (Point(x=math.nan), Quaternion(w=1.0)),
        (Point(y=math.inf), Quaternion(w=1.0)),
        (Point(), Quaternion(w=math.nan)),
        (Point(), Quaternion(w=0.0)),
    ],
    ids=['NaN', 'infinite', 'NaN turn', 'no quaternion'],
)
def test_a_pose_that_cannot_be_is_refused(position, orientation):
    with pytest.raises(InputError, match='a pose must be finite with a unit quaternion, within 1e[+]08 m, got'):
        conversions.pose_from_message(PoseMessage(position=position, orientation=orientation))


def test_a_quaternion_is_brought_to_unit_length():
    pose = conversions.pose_from_message(PoseMessage(orientation=Quaternion(z=0.9, w=0.9)))
    assert math.hypot(pose.qx, pose.qy, pose.qz, pose.qw) == pytest.approx(1.0)


def test_a_camera_that_says_nothing_of_itself_has_no_calibration():
    assert conversions.calibration_from_message(CameraInfo()) is None


def test_endless_distortion_coefficients_are_refused():
    info = CameraInfo(width=640, height=480, d=[0.1] * 65)
    with pytest.raises(InputError, match='camera_info has at most 64 distortion coefficients, got 65; correct'):
        conversions.calibration_from_message(info)


@pytest.mark.parametrize('data', [b'', b'GIF89a'], ids=['empty', 'gif'])
def test_bytes_that_are_no_image_are_refused(data):
    message = CompressedImage(format='jpeg')
    message.data = data
    with pytest.raises(InputError, match='must be JPEG or PNG, got'):
        conversions.image_from_message(message)


def test_the_kind_of_an_image_is_read_from_its_bytes_not_from_its_format():
    message = CompressedImage(format='bgr8; jpeg compressed bgr8')
    message.data = JPEG
    assert conversions.image_from_message(message).mime == 'image/jpeg'


def test_an_unknown_reason_names_the_likely_cause():
    message = conversions.key_frame_to_message(KEY_FRAMES['first'])
    message.reason = 9
    with pytest.raises(InputError, match='key frame reason must be 0 to 3, got 9; build the sender'):
        conversions.key_frame_from_message(message)


def test_constants_are_those_of_the_records():
    constants = {name: getattr(messages.SpatialAnswer, name) for name in ErrorCode.__members__}
    assert constants == {code.name: code.value for code in ErrorCode}
    for reason in ('first', 'overlap', 'max_gap', 'requested'):
        frame = dataclasses.replace(KEY_FRAMES['first'], reason=reason)
        assert conversions.key_frame_to_message(frame).reason == getattr(messages.KeyFrame, reason.upper())
    for source in MotionSource:
        motion = conversions.motion_to_message(dataclasses.replace(SEEN.motion, source=source))
        assert motion.source == getattr(messages.Motion, source.name)
    assert requests.FOCUS_MODES[messages.SpatialQuestion.FOCUS_ALWAYS] == 'always'


def test_a_large_image_becomes_a_message_without_a_look_at_each_byte():
    image = EncodedImage(data=JPEG[:4] + bytes(50_000_000))
    start_s = time.thread_time()
    conversions.image_to_message(image, conversions.header(STAMP_NS))
    assert time.thread_time() - start_s < 0.5  # of this thread's own work, however busy the machine is
