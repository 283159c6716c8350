"""How it stands with a model: reached or not, and in doubt or not; found out by probing it."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from embodied_r_ros.app.waiting import let_go, wait_or_cancel
from embodied_r_ros.core.errors import BackendError, BackendRefused, EmbodiedRError, SettingsError

# Takes a level ('info', 'warning', 'error') and a sentence for people.
Log = Callable[[str, str], None]

RETRY_FIRST_S = 0.5
RETRY_LONGEST_S = 2.0
# A server that hung and is back answers what is asked from then on, not what it was asked before: a probe that hangs is
# repeated beside itself after this time.
REPEAT_S = 2.0
PING_S = 5.0
_PATIENCE_S = 10.0


class Backend(str, enum.Enum):
    """How it stands with the model.

    LOADING: it was never reached yet. READY: the last probe or request went well. DOUBTED: a request failed in a way
    that may be the model's fault, and it is being probed. DOWN: a probe failed, and it is probed until one goes well.
    """

    LOADING = 'loading'
    READY = 'ready'
    DOUBTED = 'doubted'
    DOWN = 'down'


class Probed(Protocol):
    """A model whose health can be found out."""

    @property
    def name(self) -> str:
        """Id of the model."""

    async def probe(self) -> None:
        """Make sure that the model can be used; raises BackendError where it cannot."""

    async def ping(self) -> None:
        """See cheaply whether the model is still there; raises BackendError where it is not."""


class ModelHealth:
    """Probes a model until it can be used, pings it while nobody uses it, and probes again when in doubt.

    Args:
        model: whose health it is.
        purpose: what the model is for, such as 'think', for the log.
        log: gets a level and a sentence for people.
        fault: gets a bug that a probe ran into, and returns a sentence about it.
        probe_s: wall-clock seconds that one probe may take; loading a model is part of the first.
        now_s: the steady clock, the one that the asyncio loop keeps, in seconds.

    Attributes:
        backend: how it stands.
        trouble: why the model cannot be used, or is in doubt; '' while nothing is wrong.
        refuses: whether what is down is a server that declines what it is asked.
        outages: how often it was found down.
    """

    def __init__(
        self,
        model: Probed,
        purpose: str,
        log: Log,
        fault: Callable[[BaseException], str],
        probe_s: float,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend = Backend.LOADING
        self.trouble = ''
        self.refuses = False
        self.outages = 0
        self._model = model
        self._purpose = purpose
        self._log = log
        self._fault = fault
        self._probe_s = probe_s
        self._now_s = now_s
        self._worked_s = -PING_S
        self._hurry = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Watch over the model until cancelled.

        Raises:
            SettingsError: the model can never be used as it is set up.
        """
        while True:
            if self.backend is Backend.READY:
                await self._watch()
            else:
                await self._recover()

    def worked(self) -> None:
        """A request was answered."""
        self._worked_s = self._now_s()

    def doubt(self, error: BackendError) -> None:
        """A request failed in a way that may be the model's fault: it is probed at once."""
        if self.backend is Backend.READY:
            self._change(Backend.DOUBTED, str(error))
            self._hurry.set()

    async def until(self, *states: Backend) -> None:
        """Wait until it stands so with the model."""
        while self.backend not in states:
            await self._news.wait()

    async def soon_ready(self, timeout_s: float) -> bool:
        """Probe a model that is down once more at once, and wait for the outcome, at most so long."""
        self._hurry.set()
        end_s = self._now_s() + timeout_s
        while self.backend is not Backend.READY and (left_s := end_s - self._now_s()) > 0.0:
            news = self._news
            await wait_or_cancel([asyncio.ensure_future(news.wait())], left_s)
            if news.is_set():
                break
        return self.backend is Backend.READY

    async def _watch(self) -> None:
        """Ping the model each time that nobody has used it for long; returns when it is in doubt."""
        idle_s = self._now_s() - self._worked_s
        if idle_s < PING_S:
            await self._pause(PING_S - idle_s)
            return
        trouble = await self._outcome(self._model.ping())
        if trouble:
            self._change(Backend.DOUBTED, trouble)
        else:
            self.worked()

    async def _recover(self) -> None:
        pause_s = RETRY_FIRST_S
        while trouble := await self._probe():
            if self.backend is not Backend.DOWN:
                self.outages += 1
                self._log('error', f'{trouble}; it is tried again until it works')
            self._change(Backend.DOWN, trouble)
            await self._pause(pause_s)
            pause_s = min(2.0 * pause_s, RETRY_LONGEST_S)
        if self.backend is not Backend.DOUBTED:
            self._log('info', f'{self._model.name} is ready to {self._purpose}')
        self.worked()
        self._change(Backend.READY, '')

    async def _probe(self) -> str:
        """Probe once; '' where the model can be used, otherwise why not."""
        self._hurry.clear()
        begun_s = self._now_s()
        patient = asyncio.ensure_future(self._model.probe())
        probes = [patient]
        try:
            while (left_s := begun_s + self._probe_s - self._now_s()) > 0.0:
                done, _ = await asyncio.wait(probes, timeout=min(REPEAT_S, left_s), return_when=asyncio.FIRST_COMPLETED)
                if done:
                    return await self._outcome(done.pop())
                self._tell_waiting(self._now_s() - begun_s)
                for repeated in probes[1:]:
                    let_go(repeated)
                probes = [patient, asyncio.ensure_future(self._model.probe())]
            return f'the model does not answer within {self._probe_s:.0f} s; see whether its server hangs'
        finally:
            for probe in probes:
                let_go(probe)

    async def _outcome(self, probe: Awaitable[None]) -> str:
        """What a probe or ping finds; '' where nothing is wrong."""
        self.refuses = False
        try:
            await probe
        except SettingsError:
            raise
        except EmbodiedRError as error:
            self.refuses = isinstance(error, BackendRefused)
            return str(error)
        except Exception as error:  # noqa: BLE001 - a bug must not end the watch
            return self._fault(error)
        return ''

    def _tell_waiting(self, waited_s: float) -> None:
        if waited_s < _PATIENCE_S:
            return
        waiting = f'the model has not answered for {_PATIENCE_S:.0f} s; it is waited for'
        if not self.trouble:
            self._log('warning', waiting)
            self.trouble = waiting

    def _change(self, backend: Backend, trouble: str) -> None:
        self.backend, self.trouble = backend, trouble
        self._news.set()
        self._news = asyncio.Event()

    async def _pause(self, duration_s: float) -> None:
        """Wait so long, or until somebody is in a hurry."""
        await wait_or_cancel([asyncio.ensure_future(self._hurry.wait())], duration_s)
