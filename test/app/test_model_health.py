"""ModelHealth in simulated time: what is probed when, and what is told."""

import asyncio

import pytest
from fake_time import FakeClock, run

from embodied_r_ros.app.model_health import PING_S, REPEAT_S, RETRY_LONGEST_S, Backend, ModelHealth
from embodied_r_ros.core.errors import BackendRefused, BackendTimeout, BackendUnavailable, SettingsError


class FakeModel:
    """A model whose server does as told.

    Attributes:
        down: the error that a probe or ping raises; None for none.
        hangs: what is asked meanwhile is never answered, also later.
        probed_s, pinged_s: when, by the loop's clock.
    """

    name = 'fake-model'

    def __init__(self):
        self.down = None
        self.hangs = False
        self.answer_s = 0.01
        self.probed_s, self.pinged_s = [], []

    async def probe(self):
        self.probed_s.append(now_s())
        await self._answer()

    async def ping(self):
        self.pinged_s.append(now_s())
        await self._answer()

    async def _answer(self):
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(self.answer_s)
        if self.down is not None:
            raise self.down


class Bench:
    def __init__(self, clock):
        self.model = FakeModel()
        self.said = []
        self.health = ModelHealth(self.model, 'think', self._say, repr, 60.0, clock)

    def _say(self, *words):
        self.said.append(words)

    async def __aenter__(self):
        self.running = asyncio.ensure_future(self.health.run())
        return self

    async def __aexit__(self, *_):
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


def now_s():
    return asyncio.get_running_loop().time()


def scene(coroutine):
    def test():
        clock = FakeClock()
        run(coroutine(Bench(clock)), clock)

    test.__name__ = coroutine.__name__
    return test


@scene
async def test_a_model_that_can_be_used_is_ready_after_one_probe(bench):
    async with bench:
        assert bench.health.backend is Backend.LOADING
        await bench.health.until(Backend.READY)
        assert (len(bench.model.probed_s), bench.health.trouble) == (1, '')
        assert bench.said == [('info', 'fake-model is ready to think')]


@scene
async def test_a_server_that_comes_back_is_ready_within_seconds(bench):
    bench.model.down = BackendUnavailable('nobody answers')
    async with bench:
        await asyncio.sleep(100.0)
        assert (bench.health.backend, bench.health.trouble) == (Backend.DOWN, 'nobody answers')
        assert [level for level, _ in bench.said] == ['error']
        assert bench.health.outages == 1
        bench.model.down = None
        begun_s = now_s()
        await bench.health.until(Backend.READY)
        assert now_s() - begun_s <= RETRY_LONGEST_S + 0.1
        assert bench.health.trouble == ''


@scene
async def test_a_server_that_hung_at_the_start_is_ready_soon_after_it_answers_again(bench):
    bench.model.hangs = True
    async with bench:
        await asyncio.sleep(5.0)
        bench.model.hangs = False
        begun_s = now_s()
        await bench.health.until(Backend.READY)
        assert now_s() - begun_s <= REPEAT_S + 0.1


@scene
async def test_a_model_that_takes_long_is_waited_for_and_that_is_told(bench):
    bench.model.answer_s = 45.0
    async with bench:
        await asyncio.sleep(30.0)
        assert bench.health.backend is Backend.LOADING
        assert bench.said == [('warning', 'the model has not answered for 10 s; it is waited for')]
        await bench.health.until(Backend.READY)
        assert now_s() - bench.model.probed_s[0] == pytest.approx(45.0)


@scene
async def test_one_that_never_answers_is_down(bench):
    bench.model.hangs = True
    async with bench:
        await bench.health.until(Backend.DOWN)
        assert bench.health.trouble == 'the model does not answer within 60 s; see whether its server hangs'


@scene
async def test_a_model_that_nobody_uses_is_pinged_and_one_that_is_used_is_not(bench):
    async with bench:
        await bench.health.until(Backend.READY)
        for _ in range(40):
            await asyncio.sleep(1.0)
            bench.health.worked()
        assert bench.model.pinged_s == []
        await asyncio.sleep(4.5 * PING_S)
        assert len(bench.model.pinged_s) == 4


@scene
async def test_a_server_that_dies_while_nobody_asks_is_noticed(bench):
    async with bench:
        await bench.health.until(Backend.READY)
        bench.model.down = BackendUnavailable('connection refused')
        await asyncio.sleep(PING_S + 0.1)
        assert (bench.health.backend, bench.health.trouble) == (Backend.DOWN, 'connection refused')


@scene
async def test_a_doubt_is_told_and_settled_by_a_probe(bench):
    async with bench:
        await bench.health.until(Backend.READY)
        bench.health.doubt(BackendTimeout('a question was not answered'))
        assert (bench.health.backend, bench.health.trouble) == (Backend.DOUBTED, 'a question was not answered')
        await bench.health.until(Backend.READY)
        assert (len(bench.model.probed_s), bench.health.outages, bench.health.trouble) == (2, 0, '')
        assert [level for level, _ in bench.said] == ['info']


@scene
async def test_a_refusal_that_goes_on_is_down_with_its_sentence(bench):
    async with bench:
        await bench.health.until(Backend.READY)
        bench.model.down = BackendRefused('it wants another key')
        bench.health.doubt(bench.model.down)
        await bench.health.until(Backend.DOWN)
        assert (bench.health.trouble, bench.health.refuses) == ('it wants another key', True)


@scene
async def test_whoever_cannot_wait_has_a_model_that_is_down_probed_at_once(bench):
    bench.model.down = BackendUnavailable('nobody answers')
    async with bench:
        await asyncio.sleep(20.0)
        assert not await bench.health.soon_ready(2.0)
        bench.model.down = None
        begun_s = now_s()
        assert await bench.health.soon_ready(2.0)
        assert now_s() - begun_s < 0.1


@scene
async def test_whoever_cannot_wait_waits_no_longer_than_told(bench):
    bench.model.down = BackendUnavailable('nobody answers')
    async with bench:
        await bench.health.until(Backend.DOWN)
        bench.model.hangs = True
        await asyncio.sleep(1.0)
        begun_s = now_s()
        assert not await bench.health.soon_ready(2.0)
        assert now_s() - begun_s == pytest.approx(2.0)


@scene
async def test_a_bug_in_a_probe_does_not_end_the_watch(bench):
    bench.model.down = KeyError('bug')
    async with bench:
        await bench.health.until(Backend.DOWN)
        assert bench.health.trouble == "KeyError('bug')"
        bench.model.down = None
        await bench.health.until(Backend.READY)


@scene
async def test_a_model_that_can_never_be_used_as_it_is_set_up_ends_the_watch(bench):
    bench.model.down = SettingsError('torch is missing')
    with pytest.raises(SettingsError, match='torch is missing'):
        await bench.health.run()
