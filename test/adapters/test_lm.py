"""The loop that lets a model think."""

from __future__ import annotations

import asyncio

import fake_time
import pytest

from embodied_r_ros.adapters.lm import drive
from embodied_r_ros.core.errors import BackendUnavailable, ReplyError
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, answer
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.evaluation.phrase_reader import from_words

WINDOW = [from_words(session=1, index=0, stamp_ns=1, action='', text='a sofa')]


class ScriptedModel:
    """Says its lines in turn, an exception among them is raised; notes how many requests are under way at once."""

    name = 'scripted'

    def __init__(self, *lines, latency_s=0.0):
        self.lines = list(lines)
        self.latency_s = latency_s
        self.requests = []
        self.under_way = self.max_under_way = self.cancelled = 0

    async def probe(self):
        pass

    async def ping(self):
        pass

    async def aclose(self):
        pass

    async def generate(self, request, on_text=None):
        self.requests.append(request)
        line = self.lines[len(self.requests) - 1]
        self.under_way += 1
        self.max_under_way = max(self.max_under_way, self.under_way)
        try:
            await asyncio.sleep(0.0 if isinstance(line, Exception) else self.latency_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        if isinstance(line, Exception):
            raise line
        if on_text is not None:
            on_text(line)
        return Completion(text=line)


def think(model, on_text=None, **question):
    asked = Question(text='What is it?', choices=('sofa', 'lamp'), **question)
    return fake_time.run(drive(answer(asked, WINDOW, PaperFormat(), ReasoningSettings(), model.name), model, on_text))


def line(choice):
    return f'<think>Frame 0</think><answer>{choice}</answer>'


def test_a_question_is_answered():
    got = think(ScriptedModel(line('A')))
    assert (got.answer, got.model) == ('sofa', 'scripted')


def test_votes_run_side_by_side():
    model = ScriptedModel(*[line('A')] * 8, latency_s=0.05)
    assert think(model, votes=8).confidence == 1.0
    assert model.max_under_way == 8


def test_only_the_first_thought_is_streamed():
    pieces = []
    think(ScriptedModel(line('A'), line('B'), 'A', latency_s=0.001), pieces.append, votes=2, check_consistency=True)
    assert pieces == [line('A')]


def test_a_vote_that_fails_ends_those_beside_it():
    model = ScriptedModel(line('A'), BackendUnavailable('gone'), line('A'), latency_s=5.0)
    with pytest.raises(BackendUnavailable, match='gone'):
        think(model, votes=3)
    assert model.cancelled == 2


def test_a_failed_consistency_check_does_not_lose_the_answer():
    got = think(ScriptedModel(line('A'), BackendUnavailable('gone')), check_consistency=True)
    assert got.answer == 'sofa' and got.consistency != got.consistency


def test_an_unreadable_reply_is_raised():
    with pytest.raises(ReplyError, match='an <answer> block was wanted'):
        think(ScriptedModel('mumble', 'mumble'))


def test_cancelling_ends_the_votes():
    model = ScriptedModel(*[line('A')] * 3, latency_s=5.0)

    async def cancelled():
        asked = Question(text='What is it?', choices=('sofa', 'lamp'), votes=3)
        task = asyncio.ensure_future(drive(answer(asked, WINDOW, PaperFormat(), ReasoningSettings()), model))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    fake_time.run(cancelled())
    assert model.cancelled == 3
