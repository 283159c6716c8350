"""The poses of odometry, read at any stamp, and where it jumped."""

from __future__ import annotations

import math

import pytest
from builders import drive, ns, pose

from embodied_r_ros.core import pose_track
from embodied_r_ros.core.pose_track import POSES_KEPT, PoseTrack


def track(max_age_s: float = 0.2) -> PoseTrack:
    """Turning left by 10 degrees and going 1 m ahead in each tenth of a second, across the seam at 180 degrees."""
    one = PoseTrack(max_age_s)
    for step in range(5):
        one.push(ns(10.0 + 0.1 * step), pose(x_m=float(step), yaw_deg=165.0 + 10 * step))
    return one


@pytest.mark.parametrize(
    ('stamp_s', 'step'),
    [(10.0, 0.0), (10.13, 1.3), (10.15, 1.5), (10.4, 4.0), (10.5, 5.0), (10.59, 5.9), (9.9, 0.0)],
    ids=['exact', 'between', 'across the seam', 'last', 'the pose comes late', 'just in time', 'just before the first'],
)
def test_pose_at_a_stamp(stamp_s: float, step: float) -> None:
    found = track().at(ns(stamp_s))
    assert found is not None
    assert found.x_m == pytest.approx(step, abs=1e-6)
    assert math.degrees(found.yaw_rad) % 360 == pytest.approx(165 + 10 * step)


@pytest.mark.parametrize('stamp_s', [9.7, 10.7, 50.0])
def test_no_pose_where_none_is_near(stamp_s: float) -> None:
    assert track().at(ns(stamp_s)) is None


def test_no_pose_in_the_middle_of_a_gap() -> None:
    one = PoseTrack(0.2)
    one.push(ns(1.0), pose(x_m=0.0))
    one.push(ns(4.0), pose(x_m=3.0))
    assert one.at(ns(2.0)) is None
    near = one.at(ns(1.1))
    assert near is not None
    assert near.x_m == pytest.approx(0.1)


def test_a_single_pose_stands_for_its_neighbourhood() -> None:
    one = PoseTrack(0.2)
    assert one.at(ns(1.0)) is None
    one.push(ns(1.0), pose(x_m=1.0))
    assert one.at(ns(1.1)) == pose(x_m=1.0)


def test_poses_repeated_or_late_are_ignored_and_counted() -> None:
    one = track()
    assert not one.push(ns(10.4), pose())
    assert not one.push(ns(10.2), pose())
    assert one.ignored == 2


def test_poses_of_a_time_set_back_start_the_track_anew() -> None:
    one = track()
    assert [one.push(ns(5.0 + step / 10), pose(x_m=7.0 + step)) for step in range(3)] == [False, False, True]
    assert one.at(ns(10.2)) is None
    assert one.at(ns(5.0)) == pose(x_m=7.0)


@pytest.mark.parametrize('rate_hz', [7.0, 60.0, 333.0])
def test_a_thinned_track_tells_the_same_way_as_all_poses(rate_hz: float, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = []
    for kept in (POSES_KEPT, 10**6):
        monkeypatch.setattr(pose_track, 'POSES_KEPT', kept)
        one = PoseTrack(0.2)
        one.keep_from(ns(100.07))
        for stamp_ns, at in drive(rate_hz, 90.0):
            one.push(stamp_ns, at)
        ways.append(one.between(ns(100.07), ns(190.03)))
    assert ways[0] == ways[1]
    assert len(ways[0]) > 300


def test_poses_are_bounded_over_a_gap_without_end() -> None:
    one = PoseTrack(0.2)
    one.keep_from(ns(1.0))
    for step in range(6 * POSES_KEPT):
        one.push(ns(1.0 + step), pose(x_m=step / 2.0))
    assert len(one) < 2 * POSES_KEPT
    way = one.between(ns(1.0), ns(6.0 * POSES_KEPT))
    assert way[0] == pose()
    assert len(way) > POSES_KEPT / 4


def test_poses_before_the_way_are_forgotten() -> None:
    one = PoseTrack(0.2)
    for step in range(3 * POSES_KEPT):
        one.push(ns(1.0 + step), pose())
    assert one.at(ns(1.0)) is None


def test_one_pose_with_a_wrong_stamp_does_not_push_out_the_others() -> None:
    one = track()
    assert not one.push(ns(1e6), pose(x_m=99.0))
    assert one.push(ns(10.5), pose(x_m=5.0, yaw_deg=215.0))
    assert (one.outliers, one.ignored) == (1, 1)
    found = one.at(ns(10.45))
    assert found is not None
    assert found.x_m == pytest.approx(4.5)
    assert one.newest == (ns(10.5), pose(x_m=5.0, yaw_deg=215.0))


def test_poses_of_a_time_set_ahead_start_the_track_anew() -> None:
    one = track()
    assert [one.push(ns(1e6 + step / 10), pose(x_m=float(step))) for step in range(3)] == [False, False, True]
    assert one.at(ns(10.2)) is None
    assert one.at(ns(1e6)) == pose(x_m=0.0)
    assert one.ignored == 0


# Odometry that comes seldom, and odometry that jumps.


def seldom(period_s: float = 1.0) -> PoseTrack:
    """1 m/s ahead."""
    one = PoseTrack(0.2)
    for step in range(5):
        one.push(ns(10.0 + step * period_s), pose(x_m=step * period_s))
    return one


@pytest.mark.parametrize('stamp_s', [10.0, 10.5, 12.25, 13.9, 14.4, 15.4])
def test_odometry_once_a_second_is_interpolated_and_goes_on(stamp_s: float) -> None:
    found = seldom().at(ns(stamp_s))
    assert found is not None
    assert found.x_m == pytest.approx(stamp_s - 10.0)


@pytest.mark.parametrize(('period_s', 'stamp_s'), [(1.0, 15.6), (1.0, 9.5), (3.0, 11.5), (3.0, 22.6), (0.1, 10.7)])
def test_odometry_is_not_bridged_or_gone_on_from_for_longer(period_s: float, stamp_s: float) -> None:
    assert seldom(period_s).at(ns(stamp_s)) is None


def jumping() -> PoseTrack:
    """1 m/s ahead at 10 Hz, and 5 m to the left between 10.2 s and 10.3 s."""
    one = PoseTrack(0.2, max_speed_m_s=20.0, max_turn_deg_s=360.0)
    for step in range(6):
        one.push(ns(10.0 + 0.1 * step), pose(x_m=0.1 * step, y_m=0.0 if step < 3 else 5.0))
    return one


def test_a_jump_is_counted_and_known() -> None:
    one = jumping()
    assert one.jumps == 1
    assert one.jumped(ns(10.0), ns(10.5))
    assert one.jumped(ns(10.2), ns(10.3))
    assert not one.jumped(ns(10.0), ns(10.2))
    assert not one.jumped(ns(10.3), ns(10.5))


def test_no_pose_is_made_up_within_a_jump_or_beyond_it() -> None:
    one = jumping()
    within = one.at(ns(10.25))
    assert within is not None
    assert within.y_m == 0.0
    one.push(ns(10.6), pose(x_m=50.0))
    beyond = one.at(ns(10.65))
    assert beyond is not None
    assert beyond.x_m == 50.0


@pytest.mark.parametrize(('yaw_deg', 'jumps'), [(30.0, 0), (40.0, 1), (-40.0, 1), (180.0, 1)])
def test_a_turn_that_is_too_fast_is_a_jump(yaw_deg: float, jumps: int) -> None:
    one = PoseTrack(0.2, max_turn_deg_s=360.0)
    for stamp_s, turned_deg in ((10.0, 0.0), (10.1, yaw_deg)):
        one.push(ns(stamp_s), pose(yaw_deg=turned_deg))
    assert one.jumps == jumps


def test_stamps_that_are_near_to_each_other_make_no_jump() -> None:
    one = PoseTrack(0.2, max_speed_m_s=20.0)
    for stamp_s, x_m in ((10.0, 0.0), (10.0001, 0.1)):
        one.push(ns(stamp_s), pose(x_m=x_m))
    assert one.jumps == 0
