"""Describer in simulated time: no ROS, a hand-written perceiver."""

import asyncio
import dataclasses
import math

import pytest
from describer_bench import Bench, keys, now_s
from fake_models import NS, SESSION, key_frame
from fake_time import run

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.app.describer import DescriberSettings, ReadingStatus
from embodied_r_ros.app.key_frame_store import KeyFrameStore
from embodied_r_ros.app.model_health import Backend
from embodied_r_ros.app.peer_services import Declined
from embodied_r_ros.core.errors import InputError, ReplyError, SettingsError
from embodied_r_ros.core.records import ErrorCode, Motion, MotionSource


def test_the_first_key_frame_is_described_alone_and_later_ones_as_a_pair():
    async def scene():
        async with Bench(max_concurrent_descriptions=1) as bench:
            for index in range(3):
                bench.describer.add(key_frame(index))
                await bench.until(lambda count=index + 1: len(bench.published) == count)
            assert bench.perceiver.calls == [(None, 0), (0, 1), (1, 2)]
            first = bench.published[0]
            assert (first.session, first.stamp_ns, first.source, first.model) == (
                SESSION,
                SESSION,
                'openai',
                'fake-vlm',
            )

    run(scene())


def test_a_key_frame_whose_predecessor_never_came_is_described_alone():
    async def scene():
        async with Bench() as bench:
            bench.describer.add(key_frame(7))
            await bench.until(lambda: bench.indices == [7])
            assert bench.perceiver.calls == [(None, 7)]

    run(scene())


def test_a_pair_is_described_even_if_its_predecessor_was_not():
    async def scene():
        async with Bench(attempts=1) as bench:
            bench.perceiver.failures[0] = [ReplyError('unreadable', raw='')]
            bench.describer.add(key_frame(0))
            bench.describer.add(key_frame(1))
            await bench.until(lambda: bench.indices == [1])
            assert (0, 1) in bench.perceiver.calls

    run(scene())


def test_measured_motion_is_the_action_where_the_perceiver_names_none():
    motion = Motion(
        name='move forward', forward_m=1.0, left_m=0.0, up_m=0.0, rotate_left_deg=0.0, source=MotionSource.ODOMETRY
    )

    async def scene():
        async with Bench() as bench:

            async def wordless(previous, current):
                return Description(text='a sofa')

            bench.perceiver.describe = wordless
            bench.describer.add(key_frame(3, motion=motion))
            await bench.until(lambda: bench.published)
            assert bench.published[0].action == 'moved forward 1.00 m'

    run(scene())


def test_requests_run_side_by_side_up_to_the_limit_and_are_published_as_they_finish():
    async def scene():
        async with Bench(max_concurrent_descriptions=3) as bench:
            bench.perceiver.gate.clear()
            for index in range(8):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: bench.perceiver.at_once == 3)
            bench.perceiver.gate.set()
            await bench.until(lambda: len(bench.published) == 8)
            assert bench.perceiver.max_at_once == 3

    run(scene())


def test_with_a_backlog_the_newest_is_described_first_and_the_oldest_dropped_and_counted():
    async def scene():
        async with Bench(max_concurrent_descriptions=1, backlog=3) as bench:
            bench.perceiver.gate.clear()
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.perceiver.at_once == 1)
            for index in range(1, 7):
                bench.describer.add(key_frame(index))
            bench.perceiver.gate.set()
            await bench.until(lambda: len(bench.published) == 4)
            assert bench.indices == [0, 6, 5, 4]
            assert bench.describer.counters['dropped'] == 3
            assert bench.given_up == [1, 2, 3]
            assert any('dropped undescribed: more than 3 key frames wait' in words for _, words in bench.said)

    run(scene())


def test_a_key_frame_that_comes_twice_is_described_once():
    async def scene():
        async with Bench() as bench:
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.indices == [0])
            bench.describer.add(key_frame(0))
            bench.describer.add(key_frame(1))
            await bench.until(lambda: 1 in bench.indices)
            assert bench.indices == [0, 1]

    run(scene())


def test_a_new_session_clears_what_is_pending_and_ends_what_is_under_way():
    later = SESSION - 50 * NS  # simulated time that jumped back: newer, though its number is smaller

    async def scene():
        async with Bench(max_concurrent_descriptions=1) as bench:
            bench.perceiver.gate.clear()
            for index in range(3):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: bench.perceiver.at_once == 1)
            bench.describer.add(key_frame(0, session=later))
            bench.perceiver.gate.set()
            await bench.until(lambda: bench.published)
            await asyncio.sleep(0.05)
            assert [(seen.session, seen.index) for seen in bench.published] == [(later, 0)]
            assert bench.perceiver.cancelled == [2]
            assert sorted(bench.given_up) == [0, 1, 2]
            assert bench.describer.counters['dropped'] == 3
            assert bench.describer.waiting == 0

    run(scene())


async def described(bench, *frames):
    """Add key frames, and wait until all that wait are settled."""
    for frame in frames:
        bench.describer.add(frame)
    await bench.until(lambda: bench.describer.waiting == 0)


def test_sessions_that_are_heard_again_are_not_described_again():
    earlier = SESSION - 50 * NS  # of simulated time that jumped back

    async def scene():
        async with Bench() as bench:
            first = [key_frame(index) for index in range(3)]
            second = [key_frame(index, session=earlier) for index in range(3)]
            await described(bench, *first)
            await described(bench, *second)
            for _ in range(2):
                await described(bench, *first, *second)
            await described(bench, key_frame(3, session=earlier))
            assert len(bench.perceiver.calls) == 7
            assert bench.perceiver.calls[-1] == (2, 3)
            assert (bench.given_up, bench.perceiver.cancelled) == ([], [])

    run(scene())


def test_another_frame_with_the_number_of_one_that_is_described_is_described():
    async def scene():
        async with Bench() as bench:
            await described(bench, key_frame(0), key_frame(1))
            other = dataclasses.replace(key_frame(1), stamp_ns=SESSION + 3 * NS)
            await described(bench, other)
            stamps_ns = [seen.stamp_ns - SESSION for seen in bench.published if seen.index == 1]
            assert stamps_ns == [NS, 3 * NS]

    run(scene())


def test_a_late_key_frame_of_an_older_session_is_given_up_and_ends_nothing():
    later = SESSION + 50 * NS

    async def scene():
        async with Bench() as bench:
            await described(bench, key_frame(0))
            bench.perceiver.gate.clear()
            bench.describer.add(key_frame(0, session=later))
            await bench.until(lambda: bench.perceiver.at_once == 1)
            bench.describer.add(key_frame(1))
            assert bench.given_up == [1]
            bench.perceiver.gate.set()
            await described(bench, key_frame(1))
            assert [(seen.session, seen.index) for seen in bench.published] == [(SESSION, 0), (later, 0)]
            assert (bench.perceiver.cancelled, bench.given_up) == ([], [1])

    run(scene())


def test_a_key_frame_that_was_given_up_is_not_tried_again_when_it_comes_again():
    async def scene():
        async with Bench(attempts=1) as bench:
            bench.perceiver.failures[0] = [ReplyError('unreadable', raw='')]
            await described(bench, key_frame(0))
            await described(bench, key_frame(0))
            assert (len(bench.perceiver.calls), bench.given_up, bench.indices) == (1, [0], [])

    run(scene())


def test_what_was_under_way_when_the_work_ended_is_described_when_it_goes_on():
    async def scene():
        bench = Bench(max_concurrent_descriptions=1)
        bench.perceiver.gate.clear()
        async with bench:
            for index in range(3):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: bench.perceiver.at_once == 1)
        bench.perceiver.gate.set()
        async with bench:
            await described(bench, *map(key_frame, range(3)))
        assert bench.indices == [2, 1, 0]

    run(scene())


def test_images_are_kept_within_the_bound_in_bytes():
    store = KeyFrameStore(max_bytes=1000)
    for index in range(5):
        store.add(key_frame(index, nbytes=300))
    assert len(store) == 3 and store.nbytes == 900
    assert store.get(('', SESSION, 1)) is None and store.get(('', SESSION, 4)) is not None
    store.add(key_frame(9, nbytes=5000))
    assert len(store) == 1 and store.get(('', SESSION, 9)) is not None


def test_a_key_frame_whose_image_had_to_go_before_its_turn_is_given_up():
    async def scene():
        async with Bench(max_concurrent_descriptions=1, held_mb=0.1) as bench:
            bench.perceiver.gate.clear()
            bench.describer.add(key_frame(0, nbytes=30_000))
            await bench.until(lambda: bench.perceiver.at_once == 1)
            for index in range(1, 6):
                bench.describer.add(key_frame(index, nbytes=30_000))
            bench.perceiver.gate.set()
            await bench.until(lambda: bench.describer.waiting == 0)
            assert (bench.indices, bench.given_up) == ([0, 5, 4, 3], [2, 1])
            assert any('its image had to go before its turn came' in words for _, words in bench.said)

    run(scene())


def test_a_failed_key_frame_is_tried_again_so_often_and_never_published_as_text():
    async def scene():
        async with Bench(attempts=3) as bench:
            bench.perceiver.failures[0] = [ReplyError('unreadable', raw='%%%')] * 3
            bench.perceiver.failures[1] = [ReplyError('unreadable', raw='%%%')] * 2
            bench.describer.add(key_frame(0))
            bench.describer.add(key_frame(1))
            await bench.until(lambda: bench.describer.counters['failed'] == 1 and bench.published)
            assert (bench.indices, bench.given_up) == ([1], [0])
            assert bench.published[0].text == 'saw 1'
            assert bench.describer.counters['retried'] == 4
            assert ('error', 'key frame 0 is given up after 3 attempts: unreadable') in bench.said

    run(scene())


def test_an_image_that_cannot_be_read_is_not_tried_again():
    async def scene():
        async with Bench(attempts=3) as bench:
            bench.perceiver.failures[0] = [InputError('a truncated JPEG')]
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.given_up == [0])
            assert len(bench.perceiver.calls) == 1
            assert (bench.describer.counters['failed'], bench.describer.waiting) == (1, 0)

    run(scene())


def test_a_server_that_hangs_costs_attempts():
    async def scene():
        async with Bench(describe_s=1.0, attempts=2) as bench:
            bench.perceiver.gate.clear()
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.describer.counters['failed'] == 1)
            given_up = 'key frame 0 is given up after 2 attempts: no description within 1.0 s, or before later ones'
            assert bench.said[-1] == ('error', given_up)

    run(scene())


def test_a_server_unreachable_at_start_is_said_once_and_waited_for():
    async def scene():
        bench = Bench()
        bench.perceiver.down = 'no server at http://x'
        async with bench:
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.perceiver.probes >= 4)
            assert bench.describer.health.backend is Backend.DOWN
            assert bench.describer.health.trouble == 'no server at http://x'
            complaints = [words for level, words in bench.said if level == 'error']
            assert complaints == ['no server at http://x; it is tried again until it works']
            bench.perceiver.down = ''
            await bench.until(lambda: bench.indices == [0])
            assert bench.describer.health.backend is Backend.READY
            assert ('info', 'fake-vlm is ready to describe key frames') in bench.said

    run(scene())


def test_a_server_that_goes_away_and_comes_back_loses_no_key_frame():
    async def scene():
        async with Bench(attempts=1) as bench:
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.indices == [0])
            bench.perceiver.down = 'connection refused'
            for index in range(1, 5):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: bench.describer.health.backend is Backend.DOWN)
            await asyncio.sleep(0.05)
            assert (bench.indices, bench.describer.waiting) == ([0], 4)
            bench.describer.add(key_frame(4))
            bench.perceiver.down = ''
            await bench.until(lambda: sorted(bench.indices) == [0, 1, 2, 3, 4])
            assert (bench.describer.counters['failed'], bench.given_up) == (0, [])
            assert bench.describer.counters['key_frames'] == 5

    run(scene())


def test_focus_looks_again_side_by_side_and_says_gone_for_what_is_no_longer_held():
    async def scene():
        async with Bench(held_mb=0.1) as bench:
            for index in range(4):
                bench.describer.add(key_frame(index, nbytes=30_000))
            await bench.until(lambda: len(bench.published) + bench.describer.counters['dropped'] == 4)
            bench.perceiver.focus_latency_s = 0.1
            begin_s = now_s()
            readings = await bench.describer.focus(keys(3, 0, 2, 99), 'where?', 1.0)
            assert now_s() - begin_s == pytest.approx(0.1)
            status = [reading.status for reading in readings]
            assert status == [ReadingStatus.FOUND, ReadingStatus.GONE, ReadingStatus.FOUND, ReadingStatus.GONE]
            assert readings[0].found.text == "with 'where?' in mind: 3"
            assert 'key frame 0 is no longer held' in readings[1].error_msg

    run(scene())


def test_focus_keeps_to_its_time_and_says_late_and_failed():
    async def scene():
        async with Bench() as bench:
            for index in range(2):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: len(bench.published) == 2)
            bench.perceiver.failures[1] = [ReplyError('unreadable', raw='')]
            readings = await bench.describer.focus(keys(1), 'where?', 1.0)
            assert (readings[0].status, readings[0].error_msg) == (ReadingStatus.FAILED, 'unreadable')
            bench.perceiver.focus_latency_s = 60.0
            begin_s = now_s()
            readings = await bench.describer.focus(keys(0, 1), 'where?', 0.1)
            assert now_s() - begin_s == pytest.approx(0.1)
            assert [reading.status for reading in readings] == [ReadingStatus.LATE] * 2

    run(scene())


def test_a_bug_costs_the_key_frame_that_it_was_met_with_and_nothing_else():
    async def scene():
        async with Bench(max_concurrent_descriptions=1) as bench:
            bug = KeyError('bug')
            bench.perceiver.failures[0] = [bug]
            bench.describer.add(key_frame(0))
            bench.describer.add(key_frame(1))
            await bench.until(lambda: (bench.given_up, bench.indices) == ([0], [1]))
            assert bench.faults == [bug]

    run(scene())


def test_looks_of_all_requests_together_keep_to_the_limit():
    async def scene():
        async with Bench(max_concurrent_descriptions=2) as bench:
            for index in range(4):
                bench.describer.add(key_frame(index))
            bench.perceiver.focus_latency_s = 1.0
            begun_s = now_s()
            await asyncio.gather(*(bench.describer.focus(keys(index), 'a question') for index in range(4)))
            assert now_s() - begun_s == pytest.approx(2.0)

    run(scene())


def test_more_looks_than_may_be_under_way_are_busy():
    async def scene():
        async with Bench() as bench:
            bench.describer.add(key_frame(0))
            bench.perceiver.focus_latency_s = 1.0
            looking = asyncio.ensure_future(bench.describer.focus(keys(0) * 200, 'a question', 0.5))
            await asyncio.sleep(0.1)
            with pytest.raises(Declined, match='200 looks are under way, and at most 256 may be') as declined:
                await bench.describer.focus(keys(0) * 57, 'a question')
            assert declined.value.code is ErrorCode.BUSY
            await looking
            assert len(await bench.describer.focus(keys(0), 'a question', 9.0)) == 1

    run(scene())


@pytest.mark.parametrize(
    'values', [{'max_concurrent_descriptions': 0}, {'backlog': 0}, {'held_mb': math.nan}, {'attempts': 0}]
)
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(SettingsError, match=next(iter(values))):
        DescriberSettings(**values)
