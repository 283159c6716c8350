"""Describer while descriptions fail for a time, for good, or never end; in simulated time."""

import asyncio

import pytest
from describer_bench import Bench, now_s
from fake_models import key_frame
from fake_time import run

from embodied_r_ros.core.errors import BackendRefused, ReplyError


@pytest.mark.parametrize('error', [BackendRefused('no such model'), ReplyError('nothing in it', raw='')])
def test_what_fails_for_some_seconds_is_described_later_after_pauses_that_grow(error):
    async def scene():
        async with Bench() as bench:
            begun_s = now_s()
            bench.perceiver.failures = {index: [error] * 3 for index in range(3)}
            for index in range(3):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: len(bench.indices) == 3)
            assert now_s() - begun_s == pytest.approx(7.0, abs=0.1)
            assert (bench.given_up, bench.describer.waiting, bench.describer.trouble) == ([], 0, '')

    run(scene())


def test_what_fails_for_good_is_given_up_in_the_end_and_the_trouble_is_told():
    async def scene():
        async with Bench() as bench:
            bench.perceiver.failures[0] = [BackendRefused('too many images')] * 9
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.given_up == [0])
            assert len(bench.perceiver.calls) == 5
            assert bench.describer.trouble == 'key frame 0 could not be described: too many images'

    run(scene())


def test_descriptions_that_never_end_do_not_hold_up_those_that_follow_and_are_made_anew():
    async def scene():
        async with Bench(max_concurrent_descriptions=2) as bench:
            for index in range(3):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: len(bench.indices) == 3)
            bench.perceiver.gate.clear()
            for index in range(3, 5):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: bench.perceiver.at_once == 2)
            bench.perceiver.gate = asyncio.Event()  # those two wait for the old one for ever
            bench.perceiver.gate.set()
            begun_s = now_s()
            bench.describer.add(key_frame(5))
            await bench.until(lambda: 5 in bench.indices)
            assert now_s() - begun_s == pytest.approx(3.0, abs=0.1)
            bench.describer.add(key_frame(6))
            await bench.until(lambda: sorted(bench.indices) == list(range(7)))
            assert now_s() - begun_s < 10.0
            assert bench.given_up == []

    run(scene())


def test_a_fault_in_which_no_description_ends_is_over_soon_after_its_end():
    async def scene():
        async with Bench(max_concurrent_descriptions=2) as bench:
            for index in range(3):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: len(bench.indices) == 3)
            bench.perceiver.gate.clear()
            for index in range(3, 12):
                bench.describer.add(key_frame(index))
                await asyncio.sleep(0.5)
            bench.perceiver.gate = asyncio.Event()  # what is under way waits for the old one for ever
            bench.perceiver.gate.set()
            ended_s = now_s()
            await bench.until(lambda: len(bench.indices) > 3)
            assert now_s() - ended_s < 4.0

    run(scene())


def test_a_later_key_frame_does_not_wait_for_one_that_rests():
    async def scene():
        async with Bench(max_concurrent_descriptions=1) as bench:
            begun_s = now_s()
            bench.perceiver.failures[0] = [ReplyError('nothing in it', raw='')]
            bench.describer.add(key_frame(0))
            await bench.until(lambda: bench.describer.counters['retried'] == 1)
            bench.describer.add(key_frame(1))
            await bench.until(lambda: bench.indices == [1])
            assert now_s() - begun_s < 0.5
            await bench.until(lambda: bench.indices == [1, 0])

    run(scene())


def test_a_model_that_has_become_slow_is_given_its_time():
    async def scene():
        async with Bench(max_concurrent_descriptions=2) as bench:
            for index in range(3):
                bench.describer.add(key_frame(index))
            await bench.until(lambda: len(bench.indices) == 3)
            bench.perceiver.latency_s = 20.0
            for index in range(3, 60):
                bench.describer.add(key_frame(index))
                await asyncio.sleep(2.0)
            assert len(bench.indices) > 6

    run(scene())
