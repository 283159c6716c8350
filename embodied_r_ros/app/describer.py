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
from embodied_r_ros.app.observing import given_up, observation_of
from embodied_r_ros.app.readiness import Backend, Log, probe, wait_or_cancel
from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendUnavailable, EmbodiedRError, InputError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import EncodedImage, Key, KeyFrame
from embodied_r_ros.core.settings import Settings, setting

_SESSIONS_KEPT = 64
_SETTLED_KEPT = 4096
# The same key frame would fail in the same way again.
_HOPELESS = (BackendRefused, InputError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DescriberSettings(Settings):
    """How key frames are described."""

    max_concurrent_descriptions: int = setting(4, 'At most so many descriptions are under way.', within=(1, 64))
    backlog: int = setting(64, 'So many key frames may wait; beyond it the oldest is dropped.', within=(1, 10000))
    attempts: int = setting(3, 'The node gives up a key frame after so many attempts.', within=(1, 100))
    describe_s: float = setting(60.0, 'One description may take this long.', unit='s', within=(0.01, 3600.0))
    retry_first_s: float = setting(
        0.5, 'The first wait for a server takes this long, each later one twice as long.', unit='s', within=(0.01, 60.0)
    )
    retry_longest_s: float = setting(5.0, 'A wait for a server is at most this long.', unit='s', within=(0.01, 600.0))
    held_mb: float = setting(
        64.0, 'So much is kept of images for pairs and focus; the oldest goes.', unit='MB', within=(0.1, 65536.0)
    )
    focus_s: float = setting(10.0, 'A focus request without deadline gets this long.', unit='s', within=(0.01, 3600.0))


class ReadingStatus(enum.IntEnum):
    """What came of a second look; the numbers of `FocusReading.msg`."""

    FOUND = 0
    GONE = 1
    LATE = 2
    FAILED = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """A second look at one key frame."""

    key: Key
    status: ReadingStatus
    found: Description = dataclasses.field(default_factory=Description)
    error_msg: str = ''


class Describer:
    """Has each key frame described once, newest first when many wait.

    Args:
        settings: bounds and times.
        perceiver: who describes.
        publish: gets each observation, with the frame that it is about, as soon as it is there; one without words where
            the frame is given up, so that nobody waits for more.
        log: gets a level ('info', 'warning', 'error') and a sentence for people.
    """

    def __init__(
        self,
        settings: DescriberSettings,
        perceiver: Perceiver,
        publish: Callable[[Observation, KeyFrame], None],
        log: Log,
    ) -> None:
        self.counters: collections.Counter[str] = collections.Counter()
        self.backend = Backend.LOADING
        self.trouble = ''
        self._settings = settings
        self._perceiver = perceiver
        self._publish = publish
        self._log = log
        self._held = KeyFrameStore(round(settings.held_mb * 1e6))
        # In the order in which they were first heard of, since simulated time may jump back; the last is the present.
        self._sessions: collections.deque[int] = collections.deque(maxlen=_SESSIONS_KEPT)
        # Key frames neither described nor given up; without their images, which are bounded in bytes.
        self._open: dict[Key, KeyFrame] = {}
        self._pending: list[Key] = []
        self._attempts: collections.Counter[Key] = collections.Counter()
        # Stamps of those described or given up. Key frames come again when a node is activated again, those of older
        # sessions too; one with another stamp is another frame, as of a recording that is played to a new camera_node.
        self._settled: collections.OrderedDict[Key, int] = collections.OrderedDict()
        self._in_flight: set[asyncio.Task[Description]] = set()
        self._arrival = asyncio.Event()
        self._recovery: asyncio.Task[bool] | None = None

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
        """Take in a key frame. The first of a session not heard of before ends all that is under way for the last one.

        One that is settled already is passed over; a late one of an older session is given up.
        """
        if frame.session not in self._sessions:
            self._begin_session(frame.session)
        key = frame.key
        if self._settled.get(key) == frame.stamp_ns or key in self._open:
            return
        self.counters['key_frames'] += 1
        if not self._is_present(frame):
            self._drop(frame, 'its session is over')
            return
        self._held.add(frame)
        self._open[key] = dataclasses.replace(frame, image=EncodedImage(data=b''))
        self._pending.append(key)
        self._pending_changed()

    async def run(self) -> None:
        """Describe what is open and what comes, until cancelled. A perceiver that is down is waited for."""
        self._pending = list(self._open)  # with what was under way when the last run was cancelled
        workers = [asyncio.ensure_future(self._work()) for _ in range(self._settings.max_concurrent_descriptions)]
        try:
            await asyncio.gather(self._ready(), *workers)
        finally:
            for task in (*workers, *self._in_flight):
                task.cancel()
            if self._recovery is not None:
                self._recovery.cancel()
                self._recovery = None

    async def focus(self, keys: Sequence[Key], question: str, budget_s: float | None = None) -> list[Reading]:
        """Look at key frames again with a question in mind, side by side; one reading per key, in the order asked.

        Args:
            budget_s: wall-clock seconds allowed; what is not done by then is LATE.
        """
        slots = asyncio.Semaphore(self._settings.max_concurrent_descriptions)
        tasks = [asyncio.ensure_future(self._look(slots, key, question)) for key in keys]
        if tasks:
            await wait_or_cancel(tasks, budget_s or self._settings.focus_s)
        late = 'the time allowed for looking again was over; allow more, or name fewer key frames'
        readings = []
        for key, task in zip(keys, tasks):
            done = task.done() and not task.cancelled()
            readings.append(task.result() if done else Reading(key=key, status=ReadingStatus.LATE, error_msg=late))
        return readings

    async def _look(self, slots: asyncio.Semaphore, key: Key, question: str) -> Reading:
        frame = self._held.get(key)
        if frame is None:
            message = f'the image of key frame {key[2]} is no longer held; ask about a later one, or raise held_mb'
            return Reading(key=key, status=ReadingStatus.GONE, error_msg=message)
        async with slots:
            try:
                found = await self._perceiver.focus(self._held.before(key), frame, question)
            except EmbodiedRError as error:
                return Reading(key=key, status=ReadingStatus.FAILED, error_msg=str(error))
        return Reading(key=key, status=ReadingStatus.FOUND, found=found)

    def _begin_session(self, session: int) -> None:
        for frame in list(self._open.values()):
            self._drop(frame, 'a new session began')
        self._pending.clear()
        self._sessions.append(session)
        self._held.clear()
        for task in self._in_flight:
            task.cancel()

    def _is_present(self, frame: KeyFrame) -> bool:
        """Whether a key frame is of the present session."""
        return frame.session == self._sessions[-1]

    def _drop(self, frame: KeyFrame, why: str) -> None:
        self.counters['dropped'] += 1
        count = self.counters['dropped']
        if count in (1, 10, 100) or count % 1000 == 0:
            self._log('warning', f'key frame {frame.index} is dropped undescribed: {why} ({count} so far)')
        self._give_up(frame)

    def _give_up(self, frame: KeyFrame) -> None:
        self._settle(given_up(frame, self._perceiver.source), frame)

    def _settle(self, observation: Observation, frame: KeyFrame) -> None:
        """Publish what came of a key frame, and remember that nothing more will."""
        key = frame.key
        self._open.pop(key, None)
        self._attempts.pop(key, None)
        self._settled[key] = frame.stamp_ns
        if len(self._settled) > _SETTLED_KEPT:
            self._settled.popitem(last=False)
        self._publish(observation, frame)

    async def _work(self) -> None:
        while True:
            while not self._pending or self.backend is not Backend.READY:
                self._arrival.clear()
                await self._arrival.wait()
            key = self._pending.pop()
            frame = self._held.get(key)
            if frame is None:
                self._drop(self._open[key], 'its image had to go before its turn came')
                continue
            await self._describe(frame)

    async def _describe(self, frame: KeyFrame) -> None:
        begin = time.monotonic()
        previous = self._held.before(frame.key)
        task = asyncio.ensure_future(self._perceiver.describe(previous, frame))
        self._in_flight.add(task)
        try:
            await wait_or_cancel([task], self._settings.describe_s)
        finally:
            task.cancel()
            self._in_flight.remove(task)
        if not self._is_present(frame):
            return
        if not task.done() or task.cancelled():
            self._failed(frame, BackendError(f'no description within {self._settings.describe_s:.1f} s'))
            return
        try:
            description = task.result()
        except EmbodiedRError as error:
            await self._after(frame, error)
        else:
            self.counters['described'] += 1
            self._settle(observation_of(frame, description, self._perceiver, time.monotonic() - begin), frame)

    async def _after(self, frame: KeyFrame, error: BaseException) -> None:
        """A frame costs an attempt only where the server is up; a server that is down costs patience."""
        if isinstance(error, BackendUnavailable):
            self.backend, self.trouble = Backend.LOADING, str(error)
            if await self._ready():
                self._requeue(frame)
                return
            if not self._is_present(frame):
                return
        self._failed(frame, error)

    def _failed(self, frame: KeyFrame, error: BaseException) -> None:
        key = frame.key
        self._attempts[key] += 1
        if self._attempts[key] < self._settings.attempts and not isinstance(error, _HOPELESS):
            self.counters['retried'] += 1
            self._requeue(frame)
            return
        self.counters['failed'] += 1
        self._log('error', f'key frame {frame.index} is given up after {self._attempts[key]} attempts: {error}')
        self._give_up(frame)

    def _requeue(self, frame: KeyFrame) -> None:
        if self._is_present(frame):
            self._pending.insert(0, frame.key)
            self._pending_changed()

    def _pending_changed(self) -> None:
        while len(self._pending) > self._settings.backlog:
            self._drop(self._open[self._pending.pop(0)], f'more than {self._settings.backlog} key frames wait')
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
            trouble = await probe(self._perceiver.probe, self._settings.describe_s, self._log)
            if trouble is None:
                break
            if not was_down:
                self._log('error', f'{trouble}; key frames wait, and it is tried again until it works')
            was_down, self.backend, self.trouble = True, Backend.DOWN, trouble
            await asyncio.sleep(wait_s)
            wait_s = min(2.0 * wait_s, self._settings.retry_longest_s)
        if was_down or not self.counters['ready']:
            self._log('info', f'{self._perceiver.name} is ready to describe key frames')
        self.counters['ready'] += 1
        self.backend, self.trouble = Backend.READY, ''
        self._arrival.set()
        return was_down
