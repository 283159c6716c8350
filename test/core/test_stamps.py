"""Which stamps are sound, and which clocks agree."""

from __future__ import annotations

import math

import pytest

from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.stamps import ClockDifference, StampGate

DAY_S = 86400.0


def ns(stamp_s: float) -> int:
    return round(stamp_s * NS_PER_S)


def through(stamps_s: list[float]) -> tuple[list[float], int, int]:
    """The stamps that came through, how many were wrong, and how many time bases began."""
    gate: StampGate[float] = StampGate()
    came: list[float] = []
    jumps = 0
    for stamp_s in stamps_s:
        if not gate.late(ns(stamp_s)):
            came += gate.push(ns(stamp_s), stamp_s)
            jumps += gate.jumped
    return came, gate.outliers, jumps


def run(start_s: float, count: int = 5, period_s: float = 0.1) -> list[float]:
    return [start_s + period_s * step for step in range(count)]


@pytest.mark.parametrize(
    'wrong', [100.0 + DAY_S, 100.0 + 1200.0, 90.0, 1.0], ids=['a day ahead', '20 min ahead', '10 s back', 'near zero']
)
@pytest.mark.parametrize('period_s', [0.02, 0.1, 1.0, 4.0])
def test_a_single_wrong_stamp_is_left_out(wrong: float, period_s: float) -> None:
    good = run(100.0, 12, period_s)
    assert through([*good[:6], wrong, *good[6:]]) == (good, 1, 0)


def test_two_wrong_stamps_that_do_not_agree_are_left_out() -> None:
    good = run(100.0, 10)
    assert through([*good[:5], 5000.0, 20.0, *good[5:]]) == (good, 2, 0)
    assert through([*good[:5], 20.0, 90000.0, 21.0, *good[5:]]) == (good, 3, 0)


@pytest.mark.parametrize(
    'start_s', [90.0, 50.0, 0.0, 100.0 + DAY_S], ids=['10 s back', '50 s', 'to zero', 'a day ahead']
)
@pytest.mark.parametrize('period_s', [0.02, 0.1, 1.0, 10.0])
def test_a_clock_set_for_good_begins_a_time_base_and_loses_nothing(start_s: float, period_s: float) -> None:
    old, new = run(200.0, 20, period_s), run(start_s, 5, period_s)
    if start_s > 200.0:
        new = run(old[-1] + DAY_S, 5, period_s)
    assert through([*old, *new]) == (old + new, 0, 1)


@pytest.mark.parametrize('pause_s', [1.5, 5.5, 30.0, 1800.0])
def test_a_pause_is_no_outlier_and_no_new_time_base(pause_s: float) -> None:
    stamps = run(100.0) + run(100.4 + pause_s)
    assert through(stamps) == (stamps, 0, 0)


def test_a_wrong_stamp_after_a_pause_costs_one_message() -> None:
    after = run(130.0)
    assert through([*run(100.0), after[0], 130.0 + DAY_S, *after[1:]]) == (run(100.0) + after[1:], 2, 0)


@pytest.mark.parametrize('period_s', [5.5, 10.0, 60.0, 600.0])
def test_a_slow_sender_waits_once(period_s: float) -> None:
    stamps = run(100.0, 6, period_s)
    gate: StampGate[float] = StampGate()
    assert [len(gate.push(ns(stamp_s), stamp_s)) for stamp_s in stamps] == [1, 0, 2, 1, 1, 1]


def test_stamps_that_begin_with_a_wrong_one_are_taken_from_the_third_on() -> None:
    assert through([100.0 + DAY_S, *run(100.0)]) == ([100.0 + DAY_S, *run(100.0)], 0, 1)


@pytest.mark.parametrize('stamp_s', [100.4, 100.0, 99.5], ids=['again', 'earlier', 'back by almost a second'])
def test_a_stamp_out_of_order_is_late_and_no_sign_of_more(stamp_s: float) -> None:
    assert through([*run(100.0), *[stamp_s] * 5]) == (run(100.0), 0, 0)


def test_a_stamp_that_stands_still_on_a_new_time_base_confirms_nothing() -> None:
    assert through([*run(100.0), *[50.0] * 10]) == (run(100.0), 0, 0)


@pytest.mark.parametrize(('last_s', 'taken', 'wrong'), [(130.0, [130.0], 0), (100.0 + DAY_S, [], 1), (50.0, [], 1)])
def test_at_the_end_a_pause_is_believed_and_another_time_is_not(last_s: float, taken: list[float], wrong: int) -> None:
    gate: StampGate[float] = StampGate()
    for stamp_s in [*run(100.0), last_s]:
        gate.push(ns(stamp_s), stamp_s)
    assert gate.held == 1
    assert (gate.finish(), gate.outliers, gate.held) == (taken, wrong, 0)


# Clocks.


def drive(ahead_s: float, seconds: float = 10.0, pose_hz: float = 20.0, image_hz: float = 10.0) -> ClockDifference:
    """Images and odometry as they come, the odometry's stamps being ahead."""
    clocks = ClockDifference(pose_max_age_s=0.2)
    times = [(step / image_hz, False) for step in range(round(seconds * image_hz))]
    times += [(step / pose_hz, True) for step in range(round(seconds * pose_hz))]
    for now_s, is_pose in sorted(times):
        if is_pose:
            clocks.pose(ns(1000.0 + now_s + ahead_s), now_s)
        else:
            clocks.image(ns(1000.0 + now_s), now_s)
    return clocks


@pytest.mark.parametrize('ahead_s', [12.3, -12.3, 1.5, 1e6])
@pytest.mark.parametrize(('pose_hz', 'image_hz'), [(20.0, 10.0), (1.0, 10.0), (50.0, 0.5)])
def test_clocks_that_differ_are_noticed(ahead_s: float, pose_hz: float, image_hz: float) -> None:
    clocks = drive(ahead_s, pose_hz=pose_hz, image_hz=image_hz)
    assert clocks.odometry_ahead_s == pytest.approx(ahead_s, abs=0.01)


def test_the_sentence_has_both_values_and_a_way_out() -> None:
    assert drive(12.3).sentence() == (
        'odometry is stamped 12.3 s ahead of the images (newest stamps 1022.2 s and 1009.9 s); key frames carry no '
        'pose; let both use one clock'
    )
    assert 'stamped 3.0 s behind the images' in drive(-3.0).sentence()


@pytest.mark.parametrize('ahead_s', [0.0, 0.9, -0.9])
@pytest.mark.parametrize('pose_hz', [1.0, 20.0])
def test_clocks_that_agree_are_no_matter(ahead_s: float, pose_hz: float) -> None:
    assert drive(ahead_s, pose_hz=pose_hz).sentence() == ''


def test_less_than_five_seconds_say_nothing() -> None:
    assert math.isnan(drive(12.3, seconds=4.5).odometry_ahead_s)


def test_a_sender_that_stopped_says_nothing() -> None:
    clocks = drive(12.3)
    clocks.image(ns(1014.0), 14.0)
    assert clocks.sentence() == ''


def test_clocks_that_agree_again_are_no_matter_any_more() -> None:
    clocks = drive(12.3)
    clocks.pose(ns(1010.0), 10.0)
    assert clocks.sentence() == ''
