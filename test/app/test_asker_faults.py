"""What a question meets when something is wrong: bugs, old observations, odd clocks, doubts about the model."""

import asyncio

import pytest
from asker_bench import Bench, ask_once, scene
from fake_models import NS, SESSION, observation, pose_at

from embodied_r_ros.app.model_health import Backend
from embodied_r_ros.core.errors import BackendRefused, ReplyError
from embodied_r_ros.core.records import ErrorCode


def test_a_bug_is_answered_internal_and_the_next_question_is_answered():
    bench = Bench()
    bug = KeyError('bug')
    bench.lm.reply = ['<think>Frame 1 shows it.</think><answer>A</answer>', bug].pop

    async def whole():
        await bench.ready()
        return [await bench.ask(), await bench.ask()]

    failed, answered = bench.run(whole())
    assert (failed.error_code, failed.answer) == (ErrorCode.INTERNAL, '')
    assert answered.error_code is ErrorCode.OK
    assert bench.faults == [bug]


def test_an_answer_from_old_observations_says_how_old_they_are():
    bench = Bench()
    bench.peers.now = SESSION + 59 * NS
    answer = ask_once(bench)
    assert (answer.error_code, answer.stale_s) == (ErrorCode.OK, 50.0)
    assert answer.error_msg == 'the newest observation is 50 s old; see whether the camera still runs'


def test_an_answer_from_new_observations_says_nothing():
    answer = ask_once(Bench())
    assert (answer.stale_s, answer.error_msg) == (1.0, '')


@scene
async def test_an_answer_says_that_perception_is_behind(bench):
    bench.see(10, described=False)
    bench.peers.now += 15 * NS
    await asyncio.sleep(15.0)
    answer = await bench.ask(deadline_s=2.0)
    assert answer.error_code is ErrorCode.OK
    assert answer.error_msg == 'a key frame of 16 s ago is not described yet; see what perception_node says'
    assert bench.asker.staleness


@scene
async def test_a_key_frame_undescribed_for_long_is_not_waited_for_but_still_told(bench):
    bench.see(10, described=False)
    await asyncio.sleep(60.0)
    answer = await bench.ask(deadline_s=2.0)
    assert 'describe' not in answer.timings_s
    assert 'a key frame of 60 s ago is not described yet' in answer.error_msg


@scene
async def test_what_was_asked_about_the_past_says_nothing_about_the_present(bench):
    bench.see(10, described=False)
    await asyncio.sleep(60.0)
    answer = await bench.ask(as_of_ns=SESSION + 9 * NS)
    assert (answer.error_code, answer.error_msg) == (ErrorCode.OK, '')


@pytest.mark.parametrize('ahead_s', [5, 40, 100, 10**7])
def test_odometry_ahead_of_the_images_does_not_empty_the_window(ahead_s):
    bench = Bench()
    for step in range(20):
        bench.asker.note_pose(SESSION + (9 + ahead_s) * NS + step * NS // 20, pose_at(step * 0.1))
    answer = ask_once(bench, last_s=5.0)
    assert (answer.error_code, answer.available) == (ErrorCode.OK, 5)
    assert bench.asker.counters['poses_ignored'] == 20


def test_one_pose_a_day_ahead_leaves_the_others_as_they_are():
    bench = Bench(seen=0)
    for index in range(2):
        bench.see(index, pose=pose_at(float(index)))
    bench.asker.note_pose(SESSION + 86400 * NS, pose_at(9.0))
    bench.asker.note_pose(SESSION + 9 * NS, pose_at(4.0))
    ask_once(bench)
    assert 'Frame 2: After Move forward 3.00 m' in bench.prompt


def test_odometry_ahead_in_a_bag_without_clock_does_not_empty_the_window():
    bench = Bench(seen=0)
    bench.peers.now = SESSION + 10**18
    for index in range(10):
        bench.see(index)
    bench.asker.note_pose(SESSION + 60 * NS, pose_at(1.0))
    assert ask_once(bench, last_s=3.0).available == 4


@scene
async def test_a_model_that_goes_away_is_doubted_and_its_trouble_told(bench):
    bench.lm.down = 'connection refused'
    assert (await bench.ask()).error_code is ErrorCode.SERVER_DOWN
    await bench.asker.health.until(Backend.DOWN)
    assert bench.asker.health.trouble == 'connection refused'
    bench.lm.down = ''
    await bench.asker.health.until(Backend.READY)
    assert bench.asker.health.trouble == ''


@scene
async def test_a_thought_that_takes_longer_than_its_question_may_casts_doubt_on_the_model(bench):
    bench.lm.latency_s = 60.0
    assert (await bench.ask(deadline_s=2.0)).error_code is ErrorCode.TIMEOUT
    assert bench.asker.health.backend is Backend.DOUBTED


@scene
async def test_a_deadline_that_no_model_can_keep_casts_no_doubt(bench):
    bench.lm.latency_s = 60.0
    assert (await bench.ask(deadline_s=0.005)).error_code is ErrorCode.TIMEOUT
    assert bench.asker.health.backend is Backend.READY


@pytest.mark.parametrize(
    'error', [BackendRefused('too long'), ReplyError('no answer in it', raw='?')], ids=['refused', 'unreadable']
)
def test_what_became_of_the_last_question_is_told_until_one_is_answered(error):
    bench = Bench()
    bench.lm.reply = ['<think>Frame 1 shows it.</think><answer>A</answer>', error].pop

    async def whole():
        await bench.ready()
        failed = await bench.ask()
        assert bench.asker.trouble == f'the last question got {failed.error_code.name}: {error}'
        await bench.ask()
        assert bench.asker.trouble == ''

    bench.run(whole())


@scene
async def test_a_question_to_a_model_that_hangs_while_down_is_answered_before_its_deadline(bench):
    bench.lm.down = 'connection refused'
    await bench.ask()
    await bench.asker.health.until(Backend.DOWN)
    bench.lm.hang_probe = True
    await asyncio.sleep(3.0)
    answer = await bench.ask(deadline_s=1.0)
    assert (answer.error_code, answer.timings_s['total']) == (ErrorCode.SERVER_DOWN, pytest.approx(0.5))


@scene
async def test_a_cancel_in_the_moment_in_which_a_description_comes_is_not_lost(bench):
    bench.see(10, described=False)
    timeline = bench.asker.timeline
    waiting = asyncio.ensure_future(timeline.wait_until(lambda: False, bench.clock() + 30.0))
    await asyncio.sleep(0.1)
    bench.asker.note_observation(observation(10))
    waiting.cancel()
    await asyncio.sleep(1.0)
    assert waiting.cancelled()
