"""The tree of transforms: found along any path, between stamps, and what of it is refused."""

from __future__ import annotations

import math

import pytest
from builders import pose

from embodied_r_ros.core.frames import NS_PER_S, Transform
from embodied_r_ros.core.poses import pose_from_angles, position
from embodied_r_ros.core.records import Pose
from embodied_r_ros.core.transforms import MAX_FRAMES, MAX_KEPT, TransformTree


def told(child: str, parent: str, at: Pose | None = None, stamp_s: float | None = None) -> Transform:
    stamp_ns = 0 if stamp_s is None else round(stamp_s * NS_PER_S)
    return Transform(parent=parent, child=child, pose=at or pose(), stamp_ns=stamp_ns, fixed=stamp_s is None)


def tree(*transforms: Transform) -> TransformTree:
    one = TransformTree(0.2)
    assert [one.push(transform) for transform in transforms] == [''] * len(transforms)
    return one


def x_m(one: TransformTree, stamp_s: float, child: str = 'camera', target: str = 'base') -> float | None:
    found, _ = one.find(child, target, round(stamp_s * NS_PER_S))
    return None if found is None else found.x_m


def test_a_chain_is_followed_up_and_down() -> None:
    one = tree(
        told('mast', 'base', pose(1.0, 0.0, yaw_deg=90)),
        told('camera', 'mast', pose(0.5, 0.0)),
        told('lidar', 'base', pose(0.0, 2.0)),
    )
    found, missing = one.find('camera', 'lidar', 0)
    assert missing == ''
    assert found is not None
    assert position(found) == pytest.approx([1.0, -1.5, 0.0])
    assert math.degrees(found.yaw_rad) == pytest.approx(90)
    back, _ = one.find('lidar', 'camera', 0)
    assert back is not None
    assert position(back) == pytest.approx([1.5, 1.0, 0.0])


def test_a_frame_is_where_it_is_in_itself() -> None:
    assert TransformTree(0.2).find('base', '/base', 0) == (pose(), '')


def test_names_may_begin_with_a_slash() -> None:
    assert x_m(tree(told('/camera', '/base', pose(0.3))), 5.0) == 0.3


MOVING = (told('camera', 'base', pose(0.0), 10.0), told('camera', 'base', pose(1.0), 10.1))


@pytest.mark.parametrize(
    ('stamp_s', 'expected_m'),
    [(9.7, None), (9.9, 0.0), (10.0, 0.0), (10.025, 0.25), (10.1, 1.0), (10.2, 2.0), (10.4, None)],
    ids=['long before', 'just before', 'first', 'between', 'last', 'just after', 'long after'],
)
def test_a_moving_frame_is_read_at_the_stamp(stamp_s: float, expected_m: float | None) -> None:
    assert x_m(tree(*MOVING), stamp_s) == (None if expected_m is None else pytest.approx(expected_m))


def test_transforms_out_of_order_are_put_in_order() -> None:
    assert x_m(tree(*reversed(MOVING)), 10.05) == pytest.approx(0.5)


def test_a_stamp_told_twice_is_as_told_last() -> None:
    assert x_m(tree(*MOVING, told('camera', 'base', pose(7.0), 10.1)), 10.1) == 7.0


def test_a_gap_is_bridged_and_not_gone_on_from() -> None:
    one = tree(told('camera', 'base', pose(0.0), 10.0), told('camera', 'base', pose(1.0), 14.0))
    assert x_m(one, 12.0) == pytest.approx(0.5)
    assert x_m(one, 14.1) == 1.0


def test_a_recording_that_is_looped_begins_anew() -> None:
    one = tree(*MOVING, *(told('camera', 'base', pose(5.0), stamp_s) for stamp_s in (40.0, 40.1)))
    assert one.push(MOVING[0]) == ''
    assert x_m(one, 10.0) == 0.0
    assert x_m(one, 40.0) is None


def test_what_is_kept_is_bounded_in_time_and_number() -> None:
    one = tree(*(told('camera', 'base', pose(float(step)), 10.0 + step / 10) for step in range(200)))
    assert x_m(one, 15.0) is None
    assert x_m(one, 25.0) == pytest.approx(150.0)
    one = tree(*(told('camera', 'base', pose(float(step)), 10.0 + step / 1000) for step in range(MAX_KEPT + 500)))
    assert x_m(one, 10.2) is None


def test_the_number_of_frames_is_bounded() -> None:
    one = tree(*(told(f'frame {number}', 'base') for number in range(MAX_FRAMES)))
    assert one.push(told('one more', 'base')).startswith(f'at most {MAX_FRAMES} frames are kept, got one more')


@pytest.mark.parametrize(
    ('before', 'transform', 'sentence'),
    [
        ([], told('', 'base'), "must name two frames, got 'base' and ''"),
        ([], told('x' * 300, 'base'), 'must name two frames'),
        ([], told('base', 'base'), "must form a tree, got a loop through frame 'base' in 'base'"),
        ([told('b', 'a'), told('c', 'b')], told('a', 'c'), "got a loop through frame 'a' in 'c'"),
        (
            [],
            told('camera', 'base', Pose(x_m=0, y_m=0, z_m=0, qx=0, qy=0, qz=0, qw=0)),
            'a quaternion that is not zero',
        ),
        ([], told('camera', 'base', pose(math.nan)), 'must be finite'),
        ([told('camera', 'base')], told('camera', 'odom'), "one parent, got frame 'camera' in 'odom' after 'base'"),
        ([*MOVING], told('camera', 'odom', pose(), 10.2), "one parent, got frame 'camera' in 'odom' after 'base'"),
    ],
    ids=['no name', 'endless name', 'in itself', 'loop', 'zero quaternion', 'NaN', 'two parents', 'two moving parents'],
)
def test_what_cannot_be_is_refused(before: list[Transform], transform: Transform, sentence: str) -> None:
    one = tree(*before)
    assert sentence in one.push(transform)
    assert one.refused == 1
    if before:
        assert one.find(before[-1].child, before[-1].parent, before[-1].stamp_ns)[0] == before[-1].pose


@pytest.mark.parametrize(
    ('before', 'transform', 'sentence'),
    [
        (told('camera', 'base'), told('camera', 'base', pose(3.0)), 'a fixed transform must stay the same'),
        (told('camera', 'base'), told('camera', 'base', pose(3.0), 10.0), 'got both for'),
        (told('camera', 'base', pose(), 10.0), told('camera', 'base', pose(3.0)), 'got both for'),
    ],
    ids=['two fixed ones', 'moving after fixed', 'fixed after moving'],
)
def test_what_contradicts_itself_is_said_and_the_last_counts(
    before: Transform, transform: Transform, sentence: str
) -> None:
    one = tree(before)
    assert sentence in one.push(transform)
    assert (x_m(one, 10.0), one.refused) == (3.0, 0)


def test_a_fixed_transform_may_be_told_again() -> None:
    assert x_m(tree(told('camera', 'base'), told('camera', 'base', pose(0.001))), 0.0) == 0.001


def test_a_parent_that_is_told_no_more_gives_way() -> None:
    one = tree(*MOVING, told('camera', 'gripper', pose(0.3), 13.0))
    assert x_m(one, 13.0, target='gripper') == 0.3


def test_what_is_missing_is_said() -> None:
    one = tree(told('camera', 'mast', pose(), 10.0), told('base', 'odom', pose(), 10.0), told('mast', 'body', pose()))
    assert one.find('camera', 'base', 10 * NS_PER_S) == (
        None, "no transforms lead from 'camera' to 'base': above them are camera < mast < body and base < odom",
    )  # fmt: skip
    one.push(told('body', 'base', pose()))
    found, missing = one.find('camera', 'base', 13 * NS_PER_S)
    assert found is None
    assert missing == "the transform of 'camera' in 'mast' is told 3.0 s away from the image"


def test_frames_that_were_told_are_known() -> None:
    one = tree(told('camera', 'base', pose_from_angles(0, 0, 0, 0, 0, 1)))
    assert 'camera' in one
    assert '/base' in one
    assert 'odom' not in one
