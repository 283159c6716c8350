"""An asker with ten observations, a hand-written reasoner and hand-written neighbours, in simulated time, for tests."""

import asyncio

import fake_time
from fake_models import NS, SESSION, FakeReasoner, observation

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.app.asker import Asker, AskerSettings
from embodied_r_ros.app.model_health import Backend
from embodied_r_ros.app.request import Request
from embodied_r_ros.core.memory import ObservationMemory
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings
from embodied_r_ros.core.records import Question

CHOICES = ('left', 'right')


class FakePeerServices:
    """A camera and a perception that do as told."""

    def __init__(self):
        self.now = SESSION + 10 * NS
        self.captured = None
        self.readings = {}
        self.focused = []

    def now_ns(self):
        return self.now

    async def capture(self, timeout_s):
        if isinstance(self.captured, Exception):
            raise self.captured
        return self.captured

    async def focus(self, keys, question, timeout_s):
        self.focused.append((keys[0][1], [index for _, _, index in keys], question, timeout_s))
        if isinstance(self.readings, Exception):
            raise self.readings
        return {key: Description(text=self.readings[key[2]]) for key in keys if key[2] in self.readings}


class Bench:
    """An asker with ten observations, one a second, unless told otherwise."""

    def __init__(self, seen=10, prompt_format=None, reply=None, **values):
        self.lm = FakeReasoner() if reply is None else FakeReasoner(reply)
        self.peers = FakePeerServices()
        self.clock = fake_time.FakeClock()
        self.said = []
        self.faults = []
        reasoning = {name: values.pop(name) for name in ('min_confidence',) if name in values}
        settings = AskerSettings(**{'deadline_s': 2.0, **values})
        memory = ObservationMemory(100)
        self.asker = Asker(
            settings,
            ReasoningSettings(**reasoning),
            memory,
            self.lm,
            prompt_format or PaperFormat(),
            self.peers,
            self._say,
            self.faults.append,
            self.clock,
        )
        for index in range(seen):
            self.see(index)

    def _say(self, *words):
        self.said.append(words)

    def see(self, index, session=SESSION, described=True, **changes):
        self.asker.note_key_frame(('', session, index), session + index * NS)
        if described:
            self.asker.note_observation(observation(index, session, **changes))

    async def ask(self, text='Which way?', choices=CHOICES, on_progress=None, votes=1, **window):
        question = Question(text=text, choices=tuple(choices), votes=votes)
        return await self.asker.ask(Request(question=question, **window), on_progress)

    async def ready(self):
        """Have the model watched over until the end of the run; returns when it is ready."""
        self.watching = asyncio.ensure_future(self.asker.run())
        await self.asker.health.until(Backend.READY)

    def run(self, coroutine):
        return fake_time.run(coroutine, self.clock)

    @property
    def prompt(self):
        return self.lm.requests[-1].messages[-1].content


def scene(coroutine):
    """Run a test's coroutine function with a bench whose model is ready."""

    def test():
        bench = Bench()

        async def whole():
            await bench.ready()
            await coroutine(bench)

        bench.run(whole())

    test.__name__ = coroutine.__name__
    return test


def ask_once(bench, **request):
    async def whole():
        await bench.ready()
        return await bench.ask(**request)

    return bench.run(whole())
