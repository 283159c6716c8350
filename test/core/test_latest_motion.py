"""The motion since the last key frame, as part of what the reasoner reads."""

from __future__ import annotations

import dataclasses

import pytest

from embodied_r_ros.core.latest_motion import LATEST_MOTION, with_latest_motion, without_latest_motion
from embodied_r_ros.core.records import Answer, Evidence, Observation, Pose


def pose(x_m):
    return Pose(x_m=x_m, y_m=0.0, z_m=0.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)


SEEN = [
    Observation(session=1, index=3, stamp_ns=10, action='', text='sofa straight ahead', pose=pose(0.0)),
    Observation(session=1, index=4, stamp_ns=20, action='moved forward 1.00 m', text='nothing new', pose=pose(1.0)),
]


def test_the_motion_since_the_last_key_frame_is_an_observation_of_its_own():
    *before, present = with_latest_motion(SEEN, 30, pose(2.5))
    assert before == SEEN
    assert (present.index, present.stamp_ns, present.source) == (5, 30, LATEST_MOTION)
    assert (present.action, present.text) == ('moved forward 1.50 m', 'nothing new')
    assert present.pose == pose(2.5)


@pytest.mark.parametrize(
    ('seen', 'stamp_ns', 'x_m'),
    [
        pytest.param(SEEN, 30, 1.01, id='stood still'),
        pytest.param(SEEN, 20, 2.5, id='the pose is no newer'),
        pytest.param([dataclasses.replace(SEEN[0], pose=None)], 30, 2.5, id='a key frame without pose'),
    ],
)
def test_nothing_is_added(seen, stamp_ns, x_m):
    assert with_latest_motion(seen, stamp_ns, pose(x_m)) == seen


def test_the_present_is_no_evidence():
    seen = with_latest_motion(SEEN, 30, pose(2.5))
    cited = tuple(Evidence(session=1, index=one.index, stamp_ns=one.stamp_ns, text=one.text) for one in seen)
    assert without_latest_motion(Answer(evidence=cited), seen).evidence == cited[:2]
