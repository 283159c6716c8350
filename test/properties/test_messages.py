"""Whatever peers and askers send is taken or refused, and what is taken can be asked about and published again."""

import numpy as np
import pytest
from arbitrary import outcome, replies, share, texts
from fake_models import observation
from hypothesis import given
from hypothesis import strategies as st

pytestmark = [pytest.mark.slow, pytest.mark.ros]
pytest.importorskip('rclpy')

from arbitrary_messages import can_be_published, messages_of, published  # noqa: E402
from embodied_r_interfaces import msg as messages  # noqa: E402
from embodied_r_interfaces.srv import Capture, Focus  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage  # noqa: E402

from embodied_r_ros.adapters import codec  # noqa: E402
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver  # noqa: E402
from embodied_r_ros.app.observing import given_up, observation_of  # noqa: E402
from embodied_r_ros.app.request import Request  # noqa: E402
from embodied_r_ros.app.windows import cut  # noqa: E402
from embodied_r_ros.core.answers import validate_question  # noqa: E402
from embodied_r_ros.core.camera import fit_camera  # noqa: E402
from embodied_r_ros.core.compact import CompactFormat  # noqa: E402
from embodied_r_ros.core.keyframes import KeyFrameSettings  # noqa: E402
from embodied_r_ros.core.keyframing import KeyFramer  # noqa: E402
from embodied_r_ros.core.latest_motion import with_latest_motion  # noqa: E402
from embodied_r_ros.core.memory import ObservationMemory  # noqa: E402
from embodied_r_ros.core.prompts import PaperFormat, describe_prompt  # noqa: E402
from embodied_r_ros.core.reasoning import ReasoningSettings, answer  # noqa: E402
from embodied_r_ros.core.records import Completion, Question  # noqa: E402
from embodied_r_ros.nodes import conversions, requests  # noqa: E402

QUESTIONS = [
    (PaperFormat(), Question(text='Where is the lamp?', choices=('left', 'right'))),
    (CompactFormat(), Question(text='Where is the lamp now?', choices=('to my left', 'to my right'))),
]


def asked_about(seen):
    """What a question about these observations comes to, for each prompt format."""
    for prompt_format, question in QUESTIONS:
        steps = answer(question, seen, prompt_format, ReasoningSettings(max_observations=2))
        found = outcome(driven, steps)
        if found is not None:
            can_be_published(requests.answer_to_message(found))


def driven(steps):
    sent = next(steps)
    try:
        while True:
            for request in sent:
                for message in request.messages:
                    message.content.encode()
            sent = steps.send([Completion(text='<think>Frame 1</think><answer>A</answer>')] * len(sent))
    except StopIteration as stop:
        return stop.value


@share(8)
@given(st.lists(messages_of(messages.Observation), min_size=1, max_size=3))
def test_any_observations_are_left_out_or_can_be_asked_about_and_published(arrived):
    memory = ObservationMemory(5)
    for message in arrived:
        seen = outcome(conversions.observation_from_message, message)
        if seen is not None:
            can_be_published(conversions.observation_to_message(seen))
            memory.add(seen)
    seen = memory.window(memory.latest_session)
    if seen:
        asked_about(seen)


@share(5)
@given(st.lists(messages_of(messages.KeyFrame), min_size=1, max_size=2), st.sampled_from([b'', b'\xff\xd8\xff\xd9']))
def test_any_key_frames_are_left_out_or_can_be_described(arrived, head):
    previous = None
    perceiver = OpenCVPerceiver([])
    for message in arrived:
        message.image.data = head + bytes(message.image.data)
        frame = outcome(conversions.key_frame_from_message, message)
        if frame is None:
            continue
        can_be_published(conversions.key_frame_to_message(frame))
        can_be_published(conversions.observation_to_message(given_up(frame, 'opencv'), frame.frame_id))
        describe_prompt(previous is not None, frame.motion)
        found = outcome(perceiver.describe_now, previous, frame)
        if found is not None:
            can_be_published(conversions.observation_to_message(observation_of(frame, found, perceiver)))
        previous = frame


@share(4)
@given(messages_of(Odometry), messages_of(Odometry), messages_of(CameraInfo))
def test_any_odometry_and_calibration_are_left_out_or_used(first, second, info):
    framer = KeyFramer(KeyFrameSettings(), codec.small_grey, codec.encode_frame)
    calibration = outcome(conversions.calibration_from_message, info)
    framer.set_calibration(calibration)
    if calibration is not None:
        can_be_published(conversions.calibration_to_message(calibration))
        camera, misfit = fit_camera(calibration, 640, 480)
        assert (camera is None) == bool(misfit)
        if camera is not None:
            camera.project(camera.rays(np.array([[0.0, 0.0], [320.0, 240.0]])))
    poses = []
    for message in (first, second):
        pose = outcome(conversions.pose_from_message, message.pose.pose)
        stamp_ns = outcome(conversions.ns_from_stamp, message.header.stamp)
        if pose is not None and stamp_ns is not None:
            framer.push_pose(stamp_ns, pose)
            poses.append(pose)
    for pose in poses:
        memory = ObservationMemory(5)
        memory.add(observation(0, pose=poses[0]))
        seen = with_latest_motion(memory.window(memory.latest_session), 2**62, pose)
        asked_about(seen)


@share(3)
@given(messages_of(CompressedImage))
def test_any_compressed_image_message_is_read_or_refused(message):
    image = outcome(conversions.image_from_message, message)
    if image is not None:
        can_be_published(conversions.image_to_message(image, message.header))


@share(5)
@given(messages_of(messages.SpatialAnswer))
def test_any_answer_is_an_answer_to_a_client(message):
    found = outcome(requests.answer_from_message, message)
    if found is not None:
        can_be_published(requests.answer_to_message(found))


@share(3)
@given(messages_of(Focus.Response), messages_of(Capture.Response))
def test_any_reply_of_perception_or_camera_is_used_or_refused(focused, captured):
    for reading in focused.readings:
        for sighting in reading.sightings:
            found = outcome(conversions.sighting_from_message, sighting)
            if found is not None:
                can_be_published(conversions.sighting_to_message(found))
    outcome(conversions.ns_from_stamp, captured.stamp)


@share(6)
@given(messages_of(messages.SpatialQuestion), st.integers(0, 2**31 * 10**9), replies)
def test_any_question_is_asked_or_refused(message, now_ns, said):
    request = outcome(requests.request_from_message, message)
    if request is None:
        return
    assert requests.request_from_message(published(requests.request_to_message(request))) == request
    outcome(cut, request, now_ns)
    outcome(validate_question, request.question)
    for prompt_format, _ in QUESTIONS:
        seen = [observation(index, text='A lamp.') for index in range(3)]
        outcome(read_back, prompt_format, request.question, seen, said)


def read_back(prompt_format, question, seen, said):
    prompt = prompt_format.ask(question, seen)
    for message in prompt.messages:
        message.content.encode()
    thought = prompt.read(Completion(text=said))
    again = prompt.check(thought)
    if again is not None:
        again.read(Completion(text=said))


@share(4)
@given(texts, st.lists(texts, max_size=4), st.integers(-1, 40))
def test_any_words_of_an_asker_can_be_sent_or_are_refused(text, choices, votes):
    def message():
        question = Question(text=text, choices=tuple(choices), votes=votes)
        validate_question(question)
        return requests.request_to_message(Request(question=question))

    made = outcome(message)
    if made is not None:
        can_be_published(made)
