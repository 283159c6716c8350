"""Asker in an asyncio loop of its own: hand-written reasoner and neighbours, no graph."""

import asyncio
import dataclasses
import math

import pytest
from asker_bench import Bench, ask_once, scene
from fake_models import NS, SESSION, observation, pose_at

from embodied_r_ros.app.model_health import Backend
from embodied_r_ros.app.peer_services import Declined
from embodied_r_ros.core.errors import BackendRefused, BackendUnavailable, ReplyError
from embodied_r_ros.core.records import ErrorCode, Sighting


def test_an_answer_carries_choice_thinking_evidence_counts_timings_and_ids():
    bench = Bench(seen=0)
    for index in range(3):
        bench.see(index, pose=pose_at(float(index)))
    answer = ask_once(bench)
    assert (answer.error_code, answer.choice, answer.answer) == (ErrorCode.OK, 0, 'left')
    assert answer.thinking == 'Frame 1 shows it.'
    cited = answer.evidence[0]
    assert (cited.session, cited.index, cited.stamp_ns, cited.pose) == (SESSION, 1, SESSION + NS, pose_at(1.0))
    assert (answer.used, answer.available, answer.seen_until_ns) == (3, 3, SESSION + 2 * NS)
    assert {'window', 'think', 'total'} <= set(answer.timings_s)
    assert (answer.model, answer.prompt_id) == ('fake-lm', 'paper')
    assert math.isnan(answer.confidence)


@pytest.mark.parametrize(
    ('request_', 'words'),
    [
        pytest.param({'text': '  '}, 'a question in words was wanted', id='empty question'),
        pytest.param({'choices': ['left']}, 'got 1', id='1 choice'),
        pytest.param({'choices': [f'c{i}' for i in range(27)]}, 'got 27', id='27 choices'),
        pytest.param({'choices': ['left', 'Left ']}, 'each choice must be given once', id='a choice given twice'),
        pytest.param({'votes': 33}, 'votes must lie in', id='too many votes'),
    ],
)
def test_a_malformed_question_is_a_bad_question(request_, words):
    answer = ask_once(Bench(), **request_)
    assert answer.error_code is ErrorCode.BAD_QUESTION
    assert words in answer.error_msg
    assert answer.answer == ''


def test_no_camera_yet_is_no_frames():
    answer = ask_once(Bench(seen=0))
    assert answer.error_code is ErrorCode.NO_FRAMES
    assert 'no key frame has come yet' in answer.error_msg


def test_no_camera_yet_is_no_frames_also_while_sim_time_has_not_begun():
    bench = Bench(seen=0)
    bench.peers.now = 0
    assert ask_once(bench, start_ns=SESSION, end_ns=SESSION + NS).error_code is ErrorCode.NO_FRAMES


def test_a_window_may_begin_at_as_of():
    answer = ask_once(Bench(), start_ns=SESSION + 8 * NS, end_ns=SESSION + 9 * NS, as_of_ns=SESSION + 8 * NS)
    assert answer.error_code is ErrorCode.OK


def test_a_window_in_the_future_is_window_empty():
    answer = ask_once(Bench(), start_ns=SESSION + 40 * NS)
    assert answer.error_code is ErrorCode.WINDOW_EMPTY
    assert 'begins 30.0 s in the future of as_of' in answer.error_msg


def test_a_window_with_no_frames_is_window_empty_and_says_where_they_are():
    bench = Bench()
    bench.peers.now = SESSION + 50 * NS
    answer = ask_once(bench, last_s=20.0)
    assert answer.error_code is ErrorCode.WINDOW_EMPTY
    assert 'this session has 10, from 50.0 s to 41.0 s before as_of' in answer.error_msg


def test_the_last_seconds_count_from_ros_time():
    answer = ask_once(Bench(), last_s=3.0)
    assert (answer.available, answer.seen_until_ns) == (3, SESSION + 9 * NS)


def test_as_of_leaves_out_what_came_later():
    answer = ask_once(Bench(), last_s=3.0, as_of_ns=SESSION + 5 * NS)
    assert (answer.available, answer.seen_until_ns) == (4, SESSION + 5 * NS)


def test_the_last_seconds_count_from_the_newest_stamp_when_a_bag_is_played_without_clock():
    bench = Bench(seen=0)
    bench.peers.now = SESSION + 10**18
    for index in range(10):
        bench.see(index)
    assert ask_once(bench, last_s=3.0).available == 4


def test_the_last_seconds_count_from_the_newest_stamp_while_sim_time_has_not_begun():
    bench = Bench(seen=0)
    bench.peers.now = 0
    for index in range(10):
        bench.see(index)
    assert ask_once(bench, last_s=3.0).available == 4


def test_windows_never_cross_sessions_even_when_time_jumped_back():
    bench = Bench()
    earlier = SESSION - 500 * NS
    for index in range(2):
        bench.see(index, session=earlier)
    bench.peers.now = earlier + 2 * NS
    answer = ask_once(bench)
    assert (answer.available, answer.seen_until_ns) == (2, earlier + NS)


def test_a_respawned_perception_that_repeats_itself_changes_nothing():
    bench = Bench(seen=3)
    for index in range(3):
        bench.see(index)
    assert ask_once(bench).available == 3


@scene
async def test_key_frames_in_flight_are_waited_for(bench):
    bench.see(10, described=False)

    asyncio.get_running_loop().call_later(0.1, bench.asker.note_observation, observation(10))
    answer = await bench.ask()
    assert answer.available == 11
    assert answer.timings_s['describe'] == pytest.approx(0.1)


GIVEN_UP = {'given_up': True}


@pytest.mark.parametrize('first', ['the key frame', 'word that it is given up'])
def test_a_key_frame_that_perception_gave_up_is_not_waited_for(first):
    bench = Bench()
    if first == 'the key frame':
        bench.see(10, described=False)
    bench.asker.note_observation(observation(10, **GIVEN_UP))
    bench.see(10, described=False)
    answer = ask_once(bench)
    assert (answer.error_code, answer.available) == (ErrorCode.OK, 10)
    assert 'describe' not in answer.timings_s


@scene
async def test_a_key_frame_that_is_only_late_is_waited_for_though_another_was_given_up(bench):
    bench.see(10, described=False)
    bench.see(11, described=False)
    bench.asker.note_observation(observation(10, **GIVEN_UP))
    asyncio.get_running_loop().call_later(0.1, bench.asker.note_observation, observation(11))
    answer = await bench.ask(as_of_ns=SESSION + 11 * NS)
    assert (answer.available, answer.seen_until_ns) == (11, SESSION + 11 * NS)
    assert answer.timings_s['describe'] == pytest.approx(0.1)


@scene
async def test_a_question_that_waits_goes_on_when_its_key_frame_is_given_up(bench):
    bench.see(10, described=False)
    asyncio.get_running_loop().call_later(0.1, bench.asker.note_observation, observation(10, **GIVEN_UP))
    answer = await bench.ask()
    assert (answer.error_code, answer.available) == (ErrorCode.OK, 10)
    assert answer.timings_s['describe'] == pytest.approx(0.1)


@scene
async def test_a_key_frame_given_up_once_and_described_later_counts(bench):
    bench.see(10, described=False)
    bench.asker.note_observation(observation(10, **GIVEN_UP))
    bench.asker.note_observation(observation(10))
    assert (await bench.ask()).available == 11


@scene
async def test_key_frames_in_flight_outside_the_window_are_not_waited_for(bench):
    bench.see(10, described=False)
    answer = await bench.ask(end_ns=SESSION + 5 * NS)
    assert answer.available == 6
    assert 'describe' not in answer.timings_s


@scene
async def test_waiting_for_key_frames_in_flight_ends_at_its_share_of_the_deadline(bench):
    bench.see(10, described=False)
    answer = await bench.ask(deadline_s=0.4)
    assert (answer.error_code, answer.available) == (ErrorCode.OK, 10)
    assert answer.timings_s['describe'] == pytest.approx(0.2)


def test_a_key_frame_that_stays_undescribed_is_waited_for_only_so_long():
    bench = Bench(deadline_s=100.0, in_flight_s=3.0)
    bench.see(10, described=False)
    answer = ask_once(bench)
    assert (answer.error_code, answer.available) == (ErrorCode.OK, 10)
    assert answer.timings_s['describe'] == pytest.approx(3.0, abs=0.25)


@scene
async def test_key_frames_that_none_described_are_no_frames_with_the_reason(bench):
    later = SESSION + 100 * NS
    bench.see(0, session=later, described=False)
    answer = await bench.ask(deadline_s=0.1)
    assert answer.error_code is ErrorCode.NO_FRAMES
    assert '1 key frames of this session have come, but none is described yet' in answer.error_msg


@scene
async def test_fresh_captures_and_waits_for_the_description(bench):
    bench.peers.captured = (('', SESSION, 10), SESSION + 10 * NS)

    described = observation(10, text='a yellow taxi')
    asyncio.get_running_loop().call_later(0.1, bench.asker.note_observation, described)
    answer = await bench.ask(fresh=True)
    assert answer.error_code is ErrorCode.OK
    assert 'a yellow taxi' in bench.prompt
    assert answer.timings_s['describe'] == pytest.approx(0.1) and 'capture' in answer.timings_s


@scene
async def test_fresh_without_a_frame_or_a_camera_node_is_an_error_not_an_old_answer(bench):
    bench.peers.captured = Declined(ErrorCode.NO_FRAMES, 'no image yet')
    answer = await bench.ask(fresh=True)
    assert (answer.error_code, answer.error_msg) == (ErrorCode.NO_FRAMES, 'no image yet')
    bench.peers.captured = BackendUnavailable("nobody offers the service 'capture'")
    answer = await bench.ask(fresh=True)
    assert answer.error_code is ErrorCode.SERVER_DOWN
    assert 'capture' in answer.error_msg


@scene
async def test_fresh_that_is_never_described_is_a_timeout(bench):
    bench.peers.captured = (('', SESSION, 10), SESSION + 10 * NS)
    answer = await bench.ask(fresh=True, deadline_s=0.2)
    assert answer.error_code is ErrorCode.TIMEOUT
    assert "'describe'" in answer.error_msg


@scene
async def test_fresh_whose_key_frame_is_given_up_is_no_frames_at_once(bench):
    bench.peers.captured = (('', SESSION, 10), SESSION + 10 * NS)
    asyncio.get_running_loop().call_later(0.1, bench.asker.note_observation, observation(10, **GIVEN_UP))
    answer = await bench.ask(fresh=True)
    assert answer.error_code is ErrorCode.NO_FRAMES
    assert 'key frame 10, taken for this question, is given up' in answer.error_msg
    assert answer.timings_s['total'] == pytest.approx(0.1)


@scene
async def test_a_deadline_is_kept_to_and_says_what_took_so_long(bench):
    bench.lm.latency_s = 60.0
    begin_s = bench.clock()
    answer = await bench.ask(deadline_s=0.2)
    assert bench.clock() - begin_s == pytest.approx(0.2)
    assert answer.error_code is ErrorCode.TIMEOUT
    assert "deadline of 0.2 s, spent last on 'think'" in answer.error_msg
    await asyncio.sleep(0.01)
    assert len(bench.lm.cancelled_s) == 1


@scene
async def test_a_cancel_reaches_the_model_call_at_once(bench):
    bench.lm.latency_s = 60.0
    asking = asyncio.ensure_future(bench.ask())
    await asyncio.sleep(0.05)
    cancelled_s = bench.clock()
    asking.cancel()
    answer = await asking
    assert answer.error_code is ErrorCode.CANCELLED
    await asyncio.sleep(0.01)
    assert bench.lm.cancelled_s == [cancelled_s]


@scene
async def test_an_interrupt_answers_every_question_under_way(bench):
    bench.lm.latency_s = 60.0
    asking = [asyncio.ensure_future(bench.ask()) for _ in range(5)]
    await asyncio.sleep(0.05)
    await bench.asker.interrupt()
    codes = {answer.error_code for answer in await asyncio.gather(*asking)}
    assert codes == {ErrorCode.NOT_ACTIVE}
    assert bench.asker.open_questions == 0


def test_more_questions_than_allowed_at_once_are_busy_at_once_and_all_are_answered():
    bench = Bench(max_questions=8)
    bench.lm.latency_s = 0.2

    async def whole():
        await bench.ready()
        return await asyncio.gather(*(bench.ask() for _ in range(100)))

    answers = bench.run(whole())
    codes = [answer.error_code for answer in answers]
    assert codes.count(ErrorCode.OK) == 8 and codes.count(ErrorCode.BUSY) == 92
    busy = answers[-1]
    assert '8 questions are under way, as many as max_questions allows' in busy.error_msg
    assert busy.timings_s['total'] == 0.0


def test_a_model_that_loads_is_model_loading_at_once():
    bench = Bench()
    bench.lm.hang_probe = True

    async def whole():
        running = asyncio.ensure_future(bench.asker.run())
        await asyncio.sleep(0.02)
        answer = await bench.ask()
        running.cancel()
        return answer

    answer = bench.run(whole())
    assert answer.error_code is ErrorCode.MODEL_LOADING
    assert answer.timings_s['total'] == 0.0


def test_a_server_unreachable_at_start_is_server_down_and_recovers():
    bench = Bench()
    bench.lm.down = 'no server at http://x'

    async def whole():
        running = asyncio.ensure_future(bench.asker.run())
        await asyncio.sleep(0.05)
        down = await bench.ask()
        bench.lm.down = ''
        up = await bench.ask()  # is not kept waiting for the next try
        running.cancel()
        return down, up

    down, up = bench.run(whole())
    assert (down.error_code, down.error_msg) == (ErrorCode.SERVER_DOWN, 'no server at http://x')
    assert up.error_code is ErrorCode.OK
    assert bench.asker.health.backend is Backend.READY
    complaints = [words for level, words in bench.said if level == 'error']
    assert complaints == ['no server at http://x; it is tried again until it works']


@scene
async def test_a_server_that_goes_away_is_server_down_and_recovers(bench):
    bench.lm.down = 'connection refused'
    assert (await bench.ask()).error_code is ErrorCode.SERVER_DOWN
    bench.lm.down = ''
    assert (await bench.ask()).error_code is ErrorCode.OK


@pytest.mark.parametrize(
    ('error', 'code'),
    [
        (BackendRefused('too long'), ErrorCode.SERVER_REFUSED),
        (ReplyError('no answer in it', raw='?'), ErrorCode.BAD_REPLY),
    ],
)
def test_what_the_model_does_wrong_has_its_code_and_sentence(error, code):
    answer = ask_once(Bench(reply=error))
    assert (answer.error_code, answer.error_msg, answer.answer) == (code, str(error), '')


def test_nonsense_from_the_server_is_a_bad_reply():
    assert ask_once(Bench(reply='%$&/ lorem')).error_code is ErrorCode.BAD_REPLY


@scene
async def test_progress_tells_stages_and_the_thinking_without_its_tags(bench):
    told = []
    bench.lm.reply = '<think>Frame 1 shows it, so the way leads left.</think><answer>A</answer>'
    bench.lm.latency_s = 0.15
    await bench.ask(on_progress=lambda *words: told.append(words))
    assert told[0] == ('think', '')
    assert told[-1][0] == 'think' and told[-1][1].startswith('Frame 1 shows')
    assert all('<' not in words for _, words in told)


def test_the_motion_since_the_last_key_frame_is_told_and_never_cited():
    bench = Bench(seen=0, reply='<think>Frame 2 shows it.</think><answer>A</answer>')
    for index in range(2):
        bench.see(index, pose=pose_at(float(index)))
    bench.asker.note_pose(SESSION + 9 * NS, pose_at(4.0))
    answer = ask_once(bench)
    assert 'Frame 2: After Move forward 3.00 m, Observe: nothing new' in bench.prompt
    assert answer.evidence == ()
    assert answer.thinking == 'now shows it.'
    assert (answer.seen_until_ns, answer.stale_s) == (SESSION + NS, 9.0)


@pytest.mark.parametrize(
    ('window', 'pose_m'),
    [
        pytest.param({}, 1.0, id='no motion since'),
        pytest.param({'end_ns': SESSION + NS}, 4.0, id='the window ends before'),
    ],
)
def test_no_motion_is_told_where_there_is_none(window, pose_m):
    bench = Bench(seen=0)
    for index in range(2):
        bench.see(index, pose=pose_at(float(index)))
    bench.asker.note_pose(SESSION + 9 * NS, pose_at(pose_m))
    answer = ask_once(bench, **window)
    assert answer.available == 2


def test_an_observation_that_comes_again_keeps_what_a_detector_told():
    bench = Bench(seen=0)
    chair = Sighting.level('chair', 5.0, 2.0, source='detection')
    bench.asker.note_observation(dataclasses.replace(observation(0), sightings=(chair,)))
    bench.see(0)
    _, _, landmarks = bench.asker.landmarks()
    assert 'chair' in [landmark.name for landmark in landmarks]
