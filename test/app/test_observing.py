"""From a described key frame to an observation, in one way for all."""

import dataclasses

from fake_models import FakePerceiver, key_frame, observation, pose_at

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.app.observing import given_up, looked_again, observation_of, pairs, with_detections
from embodied_r_ros.core.records import Motion, MotionSource, Sighting

TURN, WALK = Motion(name='rotate left', rotate_left_deg=30.0), Motion(name='move forward', forward_m=1.0, left_m=0.0)
SOFA, LAMP = Sighting.level('sofa', 20.0, 3.2, track_id='1'), Sighting.level('lamp', 0.0, 1.0, track_id='2')


def test_an_observation_has_what_the_key_frame_and_the_perceiver_know():
    frame = key_frame(3, pose=pose_at(1.0), camera_pose=pose_at(0.2), camera='front', motion=WALK)
    description = Description(motion=TURN, sightings=(SOFA,), text='prose', latency_s=0.5)
    seen = observation_of(frame, description, FakePerceiver())
    assert (seen.key, seen.stamp_ns) == (('front', frame.session, 3), frame.stamp_ns)
    assert (seen.motion, seen.sightings, seen.text) == (TURN, (SOFA,), 'prose')
    assert (seen.pose, seen.camera_pose) == (frame.pose, frame.camera_pose)
    assert (seen.source, seen.model, seen.latency_s) == ('openai', 'fake-vlm', 0.5)
    assert not seen.given_up


def test_the_motion_of_the_camera_counts_where_perception_tells_none():
    assert observation_of(key_frame(3, motion=WALK), Description(), FakePerceiver()).motion == WALK


def test_where_odometry_jumped_no_other_motion_counts():
    jumped = Motion(name='', source=MotionSource.ODOMETRY)
    assert observation_of(key_frame(3, motion=jumped), Description(motion=TURN), FakePerceiver()).motion == jumped


def test_the_latency_is_as_it_was_waited_for():
    assert observation_of(key_frame(0), Description(latency_s=0.5), FakePerceiver(), 2.0).latency_s == 2.0


def test_a_key_frame_that_is_given_up_keeps_its_key():
    seen = given_up(key_frame(3, camera='front'), 'openai')
    assert (seen.key[0], seen.index, seen.given_up) == ('front', 3, True)


def test_a_second_look_adds_what_was_not_told():
    seen = dataclasses.replace(observation(1), sightings=(SOFA,), text='a wall')
    again = looked_again(seen, Description(sightings=(SOFA, LAMP), text='a red door'))
    assert (again.sightings, again.text) == ((SOFA, LAMP), 'a wall; a red door')
    assert looked_again(seen, Description()) == seen


def test_what_a_detector_told_stays_when_a_key_frame_is_described_again():
    chair = Sighting.level('chair', 5.0, source='detection')
    before = dataclasses.replace(observation(1), sightings=(SOFA, chair))
    again = dataclasses.replace(observation(1), sightings=(SOFA, LAMP))
    assert with_detections(again, before).sightings == (SOFA, LAMP, chair)
    told = dataclasses.replace(again, sightings=(LAMP, chair))
    assert with_detections(told, before) == told


def test_a_pair_never_crosses_sessions_cameras_or_gaps():
    frames = [key_frame(0), key_frame(1), key_frame(3), key_frame(0, session=5), key_frame(1, session=5)]
    frames.append(key_frame(1, camera='rear'))
    before = [None if previous is None else previous.key for previous, _ in pairs(frames)]
    assert before == [None, frames[0].key, None, None, frames[3].key, None]
