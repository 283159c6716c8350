"""The motion since the last key frame, as part of what the reasoner reads."""

from __future__ import annotations

import dataclasses

import pytest

from embodied_r_ros.core.latest_motion import LATEST_MOTION, is_key_frame, with_latest_motion
from embodied_r_ros.core.memory import Window
from embodied_r_ros.core.records import Pose
from embodied_r_ros.evaluation.phrase_reader import from_words


def pose(x_m):
    return Pose(x_m=x_m, y_m=0.0, z_m=0.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)


SEEN = Window(
    [
        from_words(session=1, index=3, stamp_ns=10, action='', text='sofa straight ahead', pose=pose(0.0)),
        from_words(session=1, index=4, stamp_ns=20, action='moved forward 1.00 m', text='nothing new', pose=pose(1.0)),
    ]
)


def test_the_motion_since_the_last_key_frame_is_an_observation_of_its_own():
    *before, latest = with_latest_motion(SEEN, 30, pose(2.5))
    assert before == SEEN
    assert (latest.stamp_ns, latest.source) == (30, LATEST_MOTION)
    assert (latest.action, latest.view) == ('moved forward 1.50 m', 'nothing new')
    assert latest.pose == pose(2.5)


@pytest.mark.parametrize(
    ('seen', 'stamp_ns', 'x_m'),
    [
        pytest.param(SEEN, 30, 1.01, id='stood still'),
        pytest.param(SEEN, 20, 2.5, id='the pose is no newer'),
        pytest.param(Window([dataclasses.replace(SEEN[0], pose=None)]), 30, 2.5, id='a key frame without pose'),
    ],
)
def test_nothing_is_added(seen, stamp_ns, x_m):
    assert with_latest_motion(seen, stamp_ns, pose(x_m)) == seen


def test_it_stands_for_no_key_frame():
    assert [is_key_frame(one) for one in with_latest_motion(SEEN, 30, pose(2.5))] == [True, True, False]
