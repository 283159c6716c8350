"""Key frames that wait for their depth, in simulated time."""

import asyncio

import pytest
from fake_models import SESSION, key_frame
from fake_time import run

from embodied_r_ros.app.depth_waiting import PATIENCE, DepthWaiting, DepthWaitSettings
from embodied_r_ros.app.key_frame_store import KeyFrameStore
from embodied_r_ros.core.records import EncodedImage

DEPTH = EncodedImage(data=b'depth', mime='image/png')


class Bench:
    def __init__(self, wait_s=0.5):
        self.passed = []
        self.waiting = DepthWaiting(DepthWaitSettings(depth_wait_s=wait_s), self.note)
        self.begun_s = asyncio.get_running_loop().time()

    def note(self, frame):
        at_s = asyncio.get_running_loop().time() - self.begun_s
        self.passed.append((frame.index, round(at_s, 3), frame.depth is not None))


def stamp(index):
    return key_frame(index).stamp_ns


def test_a_key_frame_waits_for_its_depth_and_goes_on_with_it():
    async def scene():
        bench = Bench()
        bench.waiting.key_frame(key_frame(0), True)
        await asyncio.sleep(0.1)
        bench.waiting.depth(SESSION + 1, DEPTH)
        assert bench.passed == []
        bench.waiting.depth(stamp(0), DEPTH)
        assert bench.passed == [(0, 0.1, True)]

    run(scene())


def test_depth_may_come_first():
    async def scene():
        bench = Bench()
        bench.waiting.depth(stamp(0), DEPTH)
        bench.waiting.key_frame(key_frame(0), True)
        assert bench.passed == [(0, 0.0, True)]

    run(scene())


def test_a_key_frame_goes_on_at_once_where_nobody_sends_depth_and_after_a_short_time_where_none_comes():
    async def scene():
        bench = Bench()
        bench.waiting.key_frame(key_frame(0), False)
        bench.waiting.key_frame(key_frame(1), True)
        await asyncio.sleep(1.0)
        assert bench.passed == [(0, 0.0, False), (1, 0.5, False)]
        assert bench.waiting.missed == 1

    run(scene())


def test_key_frames_keep_their_order():
    async def scene():
        bench = Bench()
        for index in range(2):
            bench.waiting.key_frame(key_frame(index), True)
            await asyncio.sleep(0.1)
        bench.waiting.depth(stamp(1), DEPTH)
        await asyncio.sleep(1.0)
        assert bench.passed == [(0, 0.5, False), (1, 0.5, True)]

    run(scene())


def test_after_several_waits_in_vain_none_waits_until_depth_comes_again():
    async def scene():
        bench = Bench()
        for index in range(PATIENCE + 1):
            bench.waiting.key_frame(key_frame(index), True)
            await asyncio.sleep(1.0)
        waits = [round(at_s - index, 3) for index, at_s, _ in bench.passed]
        assert waits == [0.5] * PATIENCE + [0.0]
        bench.waiting.depth(stamp(0), DEPTH)
        bench.waiting.key_frame(key_frame(PATIENCE + 1), True)
        await asyncio.sleep(1.0)
        assert bench.passed[-1][1] == pytest.approx(PATIENCE + 1.5)

    run(scene())


def test_depth_counts_among_the_bytes_that_are_held():
    store = KeyFrameStore(10_000)
    frame = key_frame(0)
    store.add(frame)
    without = store.nbytes
    store.add(key_frame(0, depth=DEPTH))
    assert store.nbytes == without + len(DEPTH.data)
