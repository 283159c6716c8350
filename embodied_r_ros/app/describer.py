"""What perception_node does with key frames, without ROS: has them described side by side, and looks again.

Everything here runs in one asyncio loop, so nothing is locked.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
from collections.abc import Callable, Sequence

from embodied_r_ros.adapters.perception import Description, Perceiver
from embodied_r_ros.app.key_frame_store import KeyFrameStore
from embodied_r_ros.app.model_health import Backend, Log, ModelHealth
from embodied_r_ros.app.observing import given_up, observation_of
from embodied_r_ros.app.peer_services import Declined
from embodied_r_ros.app.waiting import wait_or_cancel
from embodied_r_ros.core.errors import BackendError, BackendTimeout, EmbodiedRError, InputError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import EncodedImage, ErrorCode, Key, KeyFrame
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.statistics import percentile

MOST_LOOKS = 256
_SESSIONS_KEPT = 64
_SETTLED_KEPT = 4096
# After a failed attempt a key frame waits this long, after each further one twice as long.
_REST_FIRST_S = 1.0
_REST_LONGEST_S = 8.0
# A description is overdue after four times of what three in four took lately, at least 3 s.
_OVERDUE_TIMES, _OVERDUE_FLOOR_S = 4.0, 3.0
_LATENCIES_KEPT, _LATENCIES_ENOUGH = 64, 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class DescriberSettings(Settings):
    """How key frames are described."""

    max_concurrent_descriptions: int = setting(4, 'At most this many descriptions run at once.', within=(1, 64))
    backlog: int = setting(
        64, 'At most this many key frames wait; beyond that the oldest is dropped.', within=(1, 10000)
    )
    attempts: int = setting(
        5, 'The node gives up a key frame after this many failed attempts, 1, 2, 4 and 8 s apart.', within=(1, 100)
    )
    describe_s: float = setting(60.0, 'One description may take this long.', unit='s', within=(0.01, 3600.0))
    held_mb: float = setting(
        64.0,
        'Images that are kept for pairs and focus take at most this much memory; the oldest is dropped.',
        unit='MB',
        within=(0.1, 65536.0),
    )
    focus_s: float = setting(
        10.0, 'A focus request without a deadline may take this long.', unit='s', within=(0.01, 3600.0)
    )


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
        fault: gets a bug, which costs the key frame that it was met with.

    Attributes:
        counters: of key frames and attempts, by name.
        health: of the perceiver.
        trouble: why the last key frame could not be described; '' once one is.
    """

    def __init__(
        self,
        settings: DescriberSettings,
        perceiver: Perceiver,
        publish: Callable[[Observation, KeyFrame], None],
        log: Log,
        fault: Callable[[BaseException], str],
    ) -> None:
        self.counters: collections.Counter[str] = collections.Counter()
        self.health = ModelHealth(perceiver, 'describe key frames', log, fault, settings.describe_s)
        self.trouble = ''
        self._settings = settings
        self._perceiver = perceiver
        self._publish = publish
        self._log = log
        self._fault = fault
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
        # By key: when it was begun, by the steady clock.
        self._in_flight: dict[Key, tuple[float, asyncio.Task[Description]]] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        # Those that take far longer than the others, the longest under way first.
        self._overdue: dict[asyncio.Task[None], Key] = {}
        self._ended = 0
        self._latencies_s: collections.deque[float] = collections.deque(maxlen=_LATENCIES_KEPT)
        self._resting: dict[Key, asyncio.TimerHandle] = {}
        self._looks = 0
        self._look_slots = asyncio.Semaphore(settings.max_concurrent_descriptions)
        self._arrival = asyncio.Event()

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

    def held(self, key: Key) -> KeyFrame | None:
        """The key frame with its image and depth; None where it never came or had to go."""
        return self._held.get(key)

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
        self._open[key] = dataclasses.replace(frame, image=EncodedImage(data=b''), depth=None)
        self._pending.append(key)
        self._pending_changed()

    async def run(self) -> None:
        """Describe what is open and what comes, until cancelled. A perceiver that is down is waited for."""
        self._rest_no_more()
        self._pending = list(self._open)  # with what was under way when the last run was cancelled
        workers = [asyncio.ensure_future(self._work()) for _ in range(self._settings.max_concurrent_descriptions)]
        tasks = [asyncio.ensure_future(self.health.run()), *workers]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._rest_no_more()
            for task in (*tasks, *self._jobs):
                task.cancel()

    async def focus(self, keys: Sequence[Key], question: str, budget_s: float | None = None) -> list[Reading]:
        """Look at key frames again with a question in mind, side by side; one reading per key, in the order asked.

        Args:
            budget_s: wall-clock seconds allowed; what is not done by then is LATE.

        Raises:
            Declined: more looks than MOST_LOOKS would be under way (BUSY).
        """
        if self._looks + len(keys) > MOST_LOOKS:
            message = f'{self._looks} looks are under way, and at most {MOST_LOOKS} may be; ask again shortly'
            raise Declined(ErrorCode.BUSY, message)
        self._looks += len(keys)
        tasks = [asyncio.ensure_future(self._look(key, question)) for key in keys]
        try:
            if tasks:
                await wait_or_cancel(tasks, budget_s or self._settings.focus_s)
        finally:
            self._looks -= len(keys)
        late = 'the time allowed for looking again was over; allow more, or name fewer key frames'
        readings = []
        for key, task in zip(keys, tasks):
            done = task.done() and not task.cancelled()
            readings.append(task.result() if done else Reading(key=key, status=ReadingStatus.LATE, error_msg=late))
        return readings

    async def _look(self, key: Key, question: str) -> Reading:
        frame = self._held.get(key)
        if frame is None:
            message = f'the image of key frame {key[2]} is no longer held; ask about a later one, or raise held_mb'
            return Reading(key=key, status=ReadingStatus.GONE, error_msg=message)
        async with self._look_slots:
            try:
                found = await self._perceiver.focus(self._held.before(key), frame, question)
            except EmbodiedRError as error:
                return Reading(key=key, status=ReadingStatus.FAILED, error_msg=str(error))
            except Exception as error:  # noqa: BLE001 - a bug costs this look alone
                return Reading(key=key, status=ReadingStatus.FAILED, error_msg=self._fault(error))
        return Reading(key=key, status=ReadingStatus.FOUND, found=found)

    def _begin_session(self, session: int) -> None:
        for frame in list(self._open.values()):
            self._drop(frame, 'a new session began')
        self._pending.clear()
        self._rest_no_more()
        self._sessions.append(session)
        self._held.clear()
        for _, task in self._in_flight.values():
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
            await self.health.until(Backend.READY)
            while not self._pending:
                self._arrival.clear()
                await self._arrival.wait()
            if self.health.backend is not Backend.READY:
                continue
            key = self._pending.pop()
            frame = self._held.get(key)
            if frame is None:
                self._drop(self._open[key], 'its image had to go before its turn came')
                continue
            await self._begin(frame)

    async def _begin(self, frame: KeyFrame) -> None:
        """Have a key frame described; one that takes far longer than the others does not hold up those that follow."""
        job = asyncio.ensure_future(self._describe(frame))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        await asyncio.wait([job], timeout=self._overdue_s)
        if job.done():
            job.result()
            return
        self._overdue[job] = frame.key
        job.add_done_callback(lambda done: self._overdue.pop(done, None))
        if len(self._overdue) > self._settings.max_concurrent_descriptions:
            self._end_longest()

    @property
    def _overdue_s(self) -> float:
        """A description is overdue after this time: most took far less lately, and those with repeats do not count.

        It grows with each one that had to be ended, so that a model which has become slow is given its time.
        """
        if len(self._latencies_s) < _LATENCIES_ENOUGH:
            return self._settings.describe_s
        usual_s = max(_OVERDUE_FLOOR_S, _OVERDUE_TIMES * percentile(self._latencies_s, 75))
        patience = 1.0 + self._ended / (2 * self._settings.max_concurrent_descriptions)
        return min(self._settings.describe_s, patience * usual_s)

    def _end_longest(self) -> None:
        """One more than may be is overdue: the one that is longest under way ends."""
        key = self._overdue.pop(next(iter(self._overdue)))
        if key in self._in_flight:
            self._ended += 1
            self._in_flight[key][1].cancel()

    async def _describe(self, frame: KeyFrame) -> None:
        begun_s = asyncio.get_running_loop().time()
        outages = self.health.outages
        try:
            description = await self._described(frame)
            if description is not None and self._is_present(frame):
                self._note_described(frame, description, begun_s)
        except EmbodiedRError as error:
            if self._is_present(frame):
                await self._after(frame, error, outages)
        except Exception as error:  # noqa: BLE001 - a bug costs this key frame alone
            sentence = self._fault(error)
            if self._is_present(frame):
                self._failed(frame, InputError(sentence))

    def _note_described(self, frame: KeyFrame, description: Description, begun_s: float) -> None:
        self.counters['described'] += 1
        if description.tokens:
            self.counters['reply_tokens'] += description.tokens
        for kind, count in description.left_out.items():
            self.counters[f'bad_{kind}'] += count
        self.trouble = ''
        self.health.worked()
        latency_s = asyncio.get_running_loop().time() - begun_s
        self._latencies_s.append(latency_s)
        self._ended = max(0, self._ended - 1)
        self._end_overtaken(begun_s)
        self._settle(observation_of(frame, description, self._perceiver, latency_s), frame)

    async def _described(self, frame: KeyFrame) -> Description | None:
        """The description; None where a new session has cut it short."""
        task = asyncio.ensure_future(self._perceiver.describe(self._held.before(frame.key), frame))
        self._in_flight[frame.key] = (asyncio.get_running_loop().time(), task)
        try:
            await wait_or_cancel([task], self._settings.describe_s)
        finally:
            del self._in_flight[frame.key]
        if not self._is_present(frame):
            return None
        if not task.done() or task.cancelled():
            raise BackendTimeout(f'no description within {self._settings.describe_s:.1f} s, or before later ones')
        return task.result()

    def _end_overtaken(self, begun_s: float) -> None:
        """One that was begun at this time is described: those begun long before it hang, whatever comes of them."""
        for began_s, task in self._in_flight.values():
            if began_s < begun_s - self._overdue_s:
                task.cancel()

    async def _after(self, frame: KeyFrame, error: EmbodiedRError, outages: int) -> None:
        """A key frame costs an attempt only where the perceiver is up; one that is down costs patience."""
        self.trouble = f'key frame {frame.index} could not be described: {error}'
        if isinstance(error, BackendError):
            self.health.doubt(error)
            await self.health.until(Backend.READY, Backend.DOWN)
        if not self._is_present(frame):
            return
        if self.health.outages > outages:
            self._requeue(frame.key)
        else:
            self._failed(frame, error)

    def _failed(self, frame: KeyFrame, error: EmbodiedRError) -> None:
        key = frame.key
        self._attempts[key] += 1
        # An image that cannot be read will fail in the same way again.
        if self._attempts[key] < self._settings.attempts and not isinstance(error, InputError):
            self.counters['retried'] += 1
            rest_s = min(_REST_FIRST_S * 2.0 ** (self._attempts[key] - 1), _REST_LONGEST_S)
            self._resting[key] = asyncio.get_running_loop().call_later(rest_s, self._requeue, key)
            return
        self.counters['failed'] += 1
        self._log('error', f'key frame {frame.index} is given up after {self._attempts[key]} attempts: {error}')
        self._give_up(frame)

    def _requeue(self, key: Key) -> None:
        """Put a key frame behind those that wait, once more."""
        self._resting.pop(key, None)
        if key in self._open and key not in self._pending:
            self._pending.insert(0, key)
            self._pending_changed()

    def _rest_no_more(self) -> None:
        for handle in self._resting.values():
            handle.cancel()
        self._resting.clear()

    def _pending_changed(self) -> None:
        while len(self._pending) > self._settings.backlog:
            self._drop(self._open[self._pending.pop(0)], f'more than {self._settings.backlog} key frames wait')
        self._arrival.set()
