"""Looking again: off, auto and always, by an asker in an asyncio loop of its own."""

import pytest
from asker_bench import Bench, ask_once, scene
from fake_models import SESSION

from embodied_r_ros.core.errors import BackendUnavailable, CannotTell
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.records import ErrorCode


@scene
async def test_focus_always_adds_the_second_look_to_what_was_written(bench):
    bench.peers.readings = {9: 'a red door on the left'}
    answer = await bench.ask(focus='always')
    assert answer.error_code is ErrorCode.OK
    assert 'thing 9 straight ahead at 2.0 m; a red door on the left' in bench.prompt
    session, indices, question, timeout_s = bench.peers.focused[0]
    assert (session, len(indices), question) == (SESSION, 4, 'Which way?')
    assert timeout_s == pytest.approx(1.0)  # half of the time left
    assert bench.asker.memory.window()[-1].view == 'thing 9 straight ahead at 2.0 m'


def test_focus_auto_looks_again_only_where_the_reasoner_cannot_tell():
    bench = Bench()
    assert ask_once(bench, focus='auto').error_code is ErrorCode.OK
    assert bench.peers.focused == []
    letters = iter('AB' * 4)
    unsure = Bench(reply=lambda: f'<think>Frame 1</think><answer>{next(letters)}</answer>', min_confidence=1.0)
    answer = ask_once(unsure, focus='auto', votes=2)
    assert answer.error_code is ErrorCode.CANNOT_TELL
    assert len(unsure.peers.focused) == 1


def test_focus_auto_looks_not_again_after_a_thought_that_could_not_be_read():
    replies = iter(['<think>Frame 1 and', 'B', '<think>Frame 1 and', 'A'])
    bench = Bench(reply=lambda: next(replies))
    answer = ask_once(bench, focus='auto')
    assert (answer.error_code, answer.choice, answer.forced) == (ErrorCode.CANNOT_TELL, 1, True)
    assert bench.peers.focused == []
    assert len(bench.lm.requests) == 2


@scene
async def test_focus_auto_looks_again_first_at_what_shares_words_with_the_question(bench):
    bench.see(3, text='a red door on the left')
    bench.see(6, text='a red door, far')
    bench.peers.readings = {3: 'the red door is ajar'}
    answer = await bench.ask('Is the red door open?', ('yes', 'no'), focus='auto')
    assert answer.error_code is ErrorCode.OK
    assert [indices for _, indices, _, _ in bench.peers.focused] == [[3, 6]]
    assert len(bench.lm.requests) == 1
    assert 'a red door on the left; the red door is ajar' in bench.prompt


@scene
async def test_focus_auto_answers_without_a_second_look_where_that_fails(bench):
    bench.see(3, text='a red door on the left')
    bench.peers.readings = BackendUnavailable("nobody offers the service '/focus'")
    answer = await bench.ask('Is the red door open?', ('yes', 'no'), focus='auto')
    assert answer.error_code is ErrorCode.OK
    assert bench.asker.counters['focus_failed'] == 1
    assert "answered without a second look: nobody offers the service '/focus'" in bench.said[-1][1]
    assert (await bench.ask('Is the red door open?', focus='always')).error_code is ErrorCode.SERVER_DOWN


class Forgetful(PaperFormat):
    """Cannot tell until a second look was taken."""

    def ask(self, question, observations, places=()):
        if not any('red door' in seen.text for seen in observations):
            raise CannotTell('no red door was seen; look again')
        return super().ask(question, observations)


@pytest.mark.parametrize(
    ('focus', 'readings', 'code'),
    [
        pytest.param('off', {9: 'a red door'}, ErrorCode.CANNOT_TELL, id='no second look'),
        pytest.param('auto', {9: 'a red door'}, ErrorCode.OK, id='a second look that helps'),
        pytest.param('auto', {}, ErrorCode.CANNOT_TELL, id='a second look that does not'),
    ],
)
def test_what_was_not_written_down_is_looked_for_again(focus, readings, code):
    bench = Bench(prompt_format=Forgetful())
    bench.peers.readings = readings
    assert ask_once(bench, focus=focus).error_code is code
