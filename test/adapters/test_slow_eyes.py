"""Eyes that take long: a thread of their own, the newest key frame first, and never in the way of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from embodied_r_ros.adapters.codec import encode_jpeg
from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.adapters.looking import LookingSettings
from embodied_r_ros.adapters.newest_first import NewestFirst
from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver
from embodied_r_ros.core.records import KeyFrame, Sighting

IMAGE = encode_jpeg(np.zeros((48, 64, 3), np.uint8))


class Boxes:
    name, takes_long = 'boxes', False

    def look(self, picture: Picture) -> tuple[Sighting, ...]:
        return (Sighting.level('desk', 30.0, source='box'),)


class Signs:
    """Sees a sign in each picture once it is let to; the empty picture of the probe apart.

    Attributes:
        looks: pictures that it was shown.
    """

    name, takes_long = 'signs', True

    def __init__(self) -> None:
        self.may_see = threading.Event()
        self.looks = 0

    def look(self, picture: Picture) -> tuple[Sighting, ...]:
        self.looks += 1
        assert self.may_see.wait(30.0)
        return (Sighting.level('ROOM 12', 0.0, source='sign'),)


def key_frame(index: int) -> KeyFrame:
    return KeyFrame(session=1, index=index, stamp_ns=index + 1, frame_id='', image=IMAGE, reason='first')


def describe(signs: Signs, limit_s: float, then: Callable[[int], None], count: int = 1) -> list[Description]:
    """What is told of so many key frames in turn; `then` is called after each."""

    async def describe_all() -> list[Description]:
        perceiver = OpenCVPerceiver([signs, Boxes()], LookingSettings(slow_eyes_s=limit_s))
        described = []
        for index in range(count):
            described.append(await perceiver.describe(key_frame(index - 1) if index else None, key_frame(index)))
            then(index)
        await perceiver.aclose()
        return described

    return asyncio.run(describe_all())


def names(described: Description) -> list[str]:
    return [seen.name for seen in described.sightings]


def test_a_key_frame_waits_for_a_slow_eye_that_is_in_time() -> None:
    signs = Signs()
    signs.may_see.set()
    (described,) = describe(signs, 30.0, lambda index: None)
    assert names(described) == ['desk', 'ROOM 12']
    assert described.left_out == {}


def test_a_slow_eye_that_is_late_costs_its_sightings_alone_and_is_told_once_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    signs = Signs()
    described = describe(signs, 0.0, lambda index: None, count=3)
    signs.may_see.set()
    assert list(map(names, described)) == [['desk']] * 3
    assert [one.left_out for one in described] == [{'late': 1}] * 3
    (record,) = caplog.records
    assert record.message.startswith('a key frame waits at most 0 s for eyes that take long, got nothing from one by')


def test_a_thing_that_was_seen_too_late_for_one_key_frame_is_new_in_the_next() -> None:
    signs = Signs()
    described = describe(signs, 3.0, lambda index: signs.may_see.set(), count=2)
    assert names(described[0]) == ['desk']
    assert {seen.name: seen.in_view_before for seen in described[1].sightings} == {'desk': True, 'ROOM 12': False}


def test_each_picture_is_shown_to_a_slow_eye_once() -> None:
    signs = Signs()
    signs.may_see.set()
    describe(signs, 30.0, lambda index: None, count=4)
    assert signs.looks == 4


def test_the_start_does_not_wait_for_a_slow_eye() -> None:
    async def start() -> None:
        perceiver = OpenCVPerceiver([signs])
        await perceiver.probe()
        await perceiver.aclose()

    signs = Signs()
    asyncio.run(start())
    signs.may_see.set()


def test_of_what_waits_the_newest_is_done_first_and_what_was_given_up_never() -> None:
    begun, go, done = threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        assert go.wait(30.0)

    lane = NewestFirst('test')
    running = lane.submit(1, first)
    assert begun.wait(30.0)
    later = [lane.submit(stamp_ns, lambda stamp_ns=stamp_ns: done.append(stamp_ns)) for stamp_ns in (2, 5, 3, 4)]
    assert later[3].cancel()
    go.set()
    for future in (running, *later[:3]):
        future.result(30.0)
    assert done == [5, 3, 2]
    lane.close()


def test_what_work_raises_is_raised_where_its_result_is_asked_for_and_the_next_is_done() -> None:
    lane = NewestFirst('test')
    with pytest.raises(ZeroDivisionError):
        lane.submit(1, lambda: 1 // 0).result(30.0)
    assert lane.submit(2, lambda: 'done').result(30.0) == 'done'
    lane.close()


def test_after_the_end_nothing_is_done_any_more() -> None:
    begun, go = threading.Event(), threading.Event()
    lane = NewestFirst('test')

    def first() -> str:
        begun.set()
        assert go.wait(30.0)
        return 'done'

    running = lane.submit(1, first)
    assert begun.wait(30.0)
    waiting = lane.submit(2, lambda: 'never')
    lane.close()
    go.set()
    assert running.result(30.0) == 'done'
    assert waiting.cancelled() and lane.submit(3, lambda: 'never').cancelled()
