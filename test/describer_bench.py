"""A describer at work with a hand-written perceiver, in simulated time, for tests."""

import asyncio

from fake_models import SESSION, FakePerceiver

from embodied_r_ros.app.describer import Describer, DescriberSettings


def keys(*indices):
    return [('', SESSION, index) for index in indices]


class Bench:
    """A describer at work, and what came out of it."""

    def __init__(self, **values):
        self.perceiver = FakePerceiver()
        self.published = []
        self.given_up = []
        self.said = []
        self.faults = []
        settings = DescriberSettings(**values)
        self.describer = Describer(settings, self.perceiver, self._publish, self._say, self.faults.append)

    def _publish(self, observation, frame):
        assert (observation.session, observation.index, observation.stamp_ns) == (
            frame.session,
            frame.index,
            frame.stamp_ns,
        )
        if not observation.given_up:
            self.published.append(observation)
        else:
            self.given_up.append(observation.index)

    def _say(self, *words):
        self.said.append(words)

    @property
    def indices(self):
        return [observation.index for observation in self.published]

    async def until(self, condition):
        end_s = now_s() + 60.0
        while not condition():
            assert now_s() < end_s, 'waited in vain'
            await asyncio.sleep(0.002)

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.describer.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def now_s():
    return asyncio.get_running_loop().time()
