"""What perception_node does with key frames, without ROS: has them described side by side, and looks again.

Everything here runs in one asyncio loop, so nothing is locked.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import time
from collections.abc import Callable, Sequence

from embodied_r_ros.adapters.perception import Description, Perceiver
from embodied_r_ros.app.key_frame_store import KeyFrameStore
from embodied_r_ros.app.readiness import Backend, probe, wait_or_cancel
from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendUnavailable, EmbodiedRError, InputError
from embodied_r_ros.core.phrases import write_motion
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Observation
from embodied_r_ros.core.settings import check, setting

_DESCRIBED_KEPT = 4096
# The same key frame would fail in the same way again.
_HOPELESS = (BackendRefused, InputError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DescriberSettings:
    """How key frames are described."""

    max_concurrent_descriptions: int = setting(
        4, 'The node makes at most so many descriptions at once.', minimum=1, maximum=64
    )
    backlog: int = setting(
        64, 'So many key frames may wait; beyond it the oldest is dropped.', minimum=1, maximum=10000
    )
    attempts: int = setting(3, 'The node gives up a key frame after so many attempts.', minimum=1, maximum=100)
    describe_s: float = setting(60.0, 'One description may take this long.', unit='s', minimum=0.01, maximum=3600.0)
    retry_first_s: float = setting(
        0.5,
        'The first wait for a server that is down takes this long; each later one is twice as long.',
        unit='s',
        minimum=0.01,
        maximum=60.0,
    )
    retry_longest_s: float = setting(
        5.0, 'A wait for a server that is down takes at most this long.', unit='s', minimum=0.01, maximum=600.0
    )
    held_mb: float = setting(
        64.0,
        'The node keeps images of this size in all for pairs and for focus; the oldest goes.',
        unit='MB',
        minimum=0.1,
        maximum=65536.0,
    )
    focus_s: float = setting(
        10.0, 'A focus request that names no deadline may take this long.', unit='s', minimum=0.01, maximum=3600.0
    )

    def __post_init__(self) -> None:
        check(self)


class ReadingStatus(enum.IntEnum):
    """What came of a second look; the numbers of `FocusReading.msg`."""

    FOUND = 0
    GONE = 1
    LATE = 2
    FAILED = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """A second look at one key frame."""

    index: int
    status: ReadingStatus
    text: str = ''
    error_msg: str = ''


class Describer:
    """Has each key frame described once, newest first when many wait.

    Args:
        settings: bounds and times.
        perceiver: who describes.
        publish: gets each observation, with the frame that it is about, as soon as it is there; one without words where
            the frame is given up, so that nobody waits for more.
        say: gets a level ('info', 'warning', 'error') and a sentence for people.
    """

    def __init__(
        self,
        settings: DescriberSettings,
        perceiver: Perceiver,
        publish: Callable[[Observation, KeyFrame], None],
        say: Callable[[str, str], None],
    ) -> None:
        self.counters: collections.Counter[str] = collections.Counter()
        self.backend = Backend.LOADING
        self.trouble = ''
        self._settings = settings
        self._perceiver = perceiver
        self._publish = publish
        self._say = say
        self._held = KeyFrameStore(round(settings.held_mb * 1e6))
        self._session: int | None = None
        # Key frames neither described nor given up; without their images, which are bounded in bytes.
        self._open: dict[int, KeyFrame] = {}
        self._pending: list[int] = []
        self._attempts: collections.Counter[int] = collections.Counter()
        self._described: collections.OrderedDict[int, None] = collections.OrderedDict()
        self._in_flight: set[asyncio.Task[Description]] = set()
        self._arrival = asyncio.Event()
        self._recovery: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        """Id of the model; a server's may be '' until it was reached."""
        return self._perceiver.name

    @property
    def waiting(self) -> int:
        """Key frames not described yet, those under way included."""
        return len(self._open)

    @property
    def held_bytes(self) -> int:
        """Bytes of the images that are kept."""
        return self._held.nbytes

    def add(self, frame: KeyFrame) -> None:
        """Take in a key frame. The first of another session ends all that is under way for the one before."""
        if frame.session != self._session:
            self._begin_session(frame.session)
        if frame.index in self._described or frame.index in self._open:
            return
        self.counters['key_frames'] += 1
        self._held.add(frame)
        self._open[frame.index] = dataclasses.replace(frame, image=EncodedImage(data=b''))
        self._pending.append(frame.index)
        self._pending_changed()

    async def run(self) -> None:
        """Describe what is pending and what comes, until cancelled. A perceiver that is down is waited for."""
        workers = [asyncio.ensure_future(self._work()) for _ in range(self._settings.max_concurrent_descriptions)]
        try:
            await asyncio.gather(self._ready(), *workers)
        finally:
            for task in (*workers, *self._in_flight):
                task.cancel()
            if self._recovery is not None:
                self._recovery.cancel()
                self._recovery = None

    async def focus(
        self, session: int, indices: Sequence[int], question: str, budget_s: float | None = None
    ) -> list[Reading]:
        """Look at key frames again with a question in mind, side by side; one reading per index, in the order asked.

        Args:
            budget_s: wall-clock seconds allowed; what is not done by then is LATE.
        """
        slots = asyncio.Semaphore(self._settings.max_concurrent_descriptions)
        tasks = [asyncio.ensure_future(self._look(slots, session, index, question)) for index in indices]
        if tasks:
            await wait_or_cancel(tasks, budget_s or self._settings.focus_s)
        late = 'the time allowed for looking again was over; allow more, or name fewer key frames'
        readings = []
        for index, task in zip(indices, tasks):
            done = task.done() and not task.cancelled()
            readings.append(task.result() if done else Reading(index=index, status=ReadingStatus.LATE, error_msg=late))
        return readings

    async def _look(self, slots: asyncio.Semaphore, session: int, index: int, question: str) -> Reading:
        frame = self._held.get(session, index)
        if frame is None:
            message = f'the image of key frame {index} is no longer held; ask about a later one, or raise held_mb'
            return Reading(index=index, status=ReadingStatus.GONE, error_msg=message)
        async with slots:
            try:
                text = await self._perceiver.focus(self._held.get(session, index - 1), frame, question)
            except EmbodiedRError as error:
                return Reading(index=index, status=ReadingStatus.FAILED, error_msg=str(error))
        return Reading(index=index, status=ReadingStatus.FOUND, text=text)

    def _begin_session(self, session: int) -> None:
        for index in list(self._open):
            self._drop(index, 'a new session began')
        self._pending.clear()
        self._session = session
        self._held.clear()
        self._attempts.clear()
        self._described.clear()
        for task in self._in_flight:
            task.cancel()

    def _drop(self, index: int, why: str) -> None:
        self.counters['dropped'] += 1
        if self.counters['dropped'] in (1, 10, 100) or self.counters['dropped'] % 1000 == 0:
            self._say('warning', f'key frame {index} is dropped undescribed: {why} ({self.counters["dropped"]} so far)')
        self._give_up(index)

    def _give_up(self, index: int) -> None:
        frame = self._open.pop(index, None)
        if frame is not None:
            source = self._perceiver.source
            wordless = Observation(
                session=frame.session, index=index, stamp_ns=frame.stamp_ns, action='', text='', source=source
            )
            self._publish(wordless, frame)

    async def _work(self) -> None:
        while True:
            while not self._pending or self.backend is not Backend.READY:
                self._arrival.clear()
                await self._arrival.wait()
            index = self._pending.pop()
            frame = self._held.get(self._session, index) if self._session is not None else None
            if frame is None:
                self._drop(index, 'its image had to go before its turn came')
                continue
            await self._describe(frame)

    async def _describe(self, frame: KeyFrame) -> None:
        begin = time.monotonic()
        previous = self._held.get(frame.session, frame.index - 1)
        task = asyncio.ensure_future(self._perceiver.describe(previous, frame))
        self._in_flight.add(task)
        try:
            await wait_or_cancel([task], self._settings.describe_s)
        finally:
            task.cancel()
            self._in_flight.remove(task)
        if frame.session != self._session:
            return
        if not task.done() or task.cancelled():
            self._failed(frame, BackendError(f'no description within {self._settings.describe_s:.1f} s'))
        elif task.exception() is None:
            self._succeeded(frame, task.result(), time.monotonic() - begin)
        elif isinstance(task.exception(), EmbodiedRError):
            await self._after(frame, task.exception())
        else:
            raise task.exception()

    def _succeeded(self, frame: KeyFrame, description: Description, latency_s: float) -> None:
        self.counters['described'] += 1
        self._open.pop(frame.index, None)
        self._described[frame.index] = None
        if len(self._described) > _DESCRIBED_KEPT:
            self._described.popitem(last=False)
        observation = Observation(
            session=frame.session,
            index=frame.index,
            stamp_ns=frame.stamp_ns,
            action=description.action or (write_motion(frame.motion) if frame.motion else ''),
            text=description.text,
            source=self._perceiver.source,
            model=self._perceiver.name,
            latency_s=latency_s,
            pose=frame.pose,
        )
        self._publish(observation, frame)

    async def _after(self, frame: KeyFrame, error: BaseException) -> None:
        """A frame costs an attempt only where the server is up; a server that is down costs patience."""
        if isinstance(error, BackendUnavailable):
            self.backend, self.trouble = Backend.LOADING, str(error)
            if await self._ready():
                self._requeue(frame)
                return
            if frame.session != self._session:
                return
        self._failed(frame, error)

    def _failed(self, frame: KeyFrame, error: BaseException) -> None:
        self._attempts[frame.index] += 1
        if self._attempts[frame.index] < self._settings.attempts and not isinstance(error, _HOPELESS):
            self.counters['retried'] += 1
            self._requeue(frame)
            return
        self.counters['failed'] += 1
        self._say('error', f'key frame {frame.index} is given up after {self._attempts[frame.index]} attempts: {error}')
        self._give_up(frame.index)

    def _requeue(self, frame: KeyFrame) -> None:
        if frame.session == self._session:
            self._pending.insert(0, frame.index)
            self._pending_changed()

    def _pending_changed(self) -> None:
        if len(self._pending) > self._settings.backlog:
            self._drop(self._pending.pop(0), f'more than {self._settings.backlog} key frames wait')
        self._arrival.set()

    async def _ready(self) -> bool:
        """Wait, all workers together, until the perceiver can be used; True when it was found down on the way."""
        if self._recovery is None or self._recovery.done():
            self._recovery = asyncio.ensure_future(self._recover())
        return await asyncio.shield(self._recovery)

    async def _recover(self) -> bool:
        wait_s = self._settings.retry_first_s
        was_down = False
        while True:
            trouble = await probe(self._perceiver.probe, self._settings.describe_s, self._say)
            if trouble is None:
                break
            if not was_down:
                self._say('error', f'{trouble}; key frames wait, and it is tried again until it works')
            was_down, self.backend, self.trouble = True, Backend.DOWN, trouble
            await asyncio.sleep(wait_s)
            wait_s = min(2.0 * wait_s, self._settings.retry_longest_s)
        if was_down or not self.counters['ready']:
            self._say('info', f'{self._perceiver.name} is ready to describe key frames')
        self.counters['ready'] += 1
        self.backend, self.trouble = Backend.READY, ''
        self._arrival.set()
        return was_down
