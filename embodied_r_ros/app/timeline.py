"""Which key frames have come, which of them are still being described, and what time it is for a question."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable

from embodied_r_ros.app.waiting import wait_or_cancel
from embodied_r_ros.core.memory import ObservationMemory
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Key

# A stamp that comes further than this from ROS time is not of that clock: a bag is played without /clock.
SAME_CLOCK_NS = 60_000_000_000
# Odometry whose stamps are further ahead than this of the images, or of ROS time, is of another clock.
AHEAD_NS = 1_000_000_000
AHEAD_WITHOUT_CLOCK_NS = 5_000_000_000
_LOOK_S = 0.25
# Of more, some are waited for after all: as long as an undescribed key frame is.
_GIVEN_UP_KEPT = 1024
_AWAITED_KEPT = 1024


class Timeline:
    """The present session as the reasoning node knows it.

    The session is that of the key frame which came last; stamps cannot tell, since simulated time may jump back.
    Without key frames (only observations are replayed) it is the one that the memory heard of last.

    Args:
        memory: where observations go.
        in_flight_s: wall-clock seconds after which an undescribed key frame is not waited for.
        now_s: the steady clock, in seconds.
    """

    def __init__(self, memory: ObservationMemory, in_flight_s: float, now_s: Callable[[], float]) -> None:
        self.key_frames = 0
        self._memory = memory
        self._in_flight_s = in_flight_s
        self._now_s = now_s
        self._session: int | None = None
        self._awaited: dict[Key, tuple[int, float]] = {}
        self._given_up: collections.deque[Key] = collections.deque(maxlen=_GIVEN_UP_KEPT)
        self._newest_ns = 0
        self._same_clock = True
        self._news = asyncio.Event()

    @property
    def session(self) -> int | None:
        """The present session; None while nothing has come."""
        return self._session if self._session is not None else self._memory.latest_session

    def key_frame(self, key: Key, stamp_ns: int, now_ns: int) -> None:
        """A key frame has come, at this ROS time."""
        session = key[1]
        if session != self._session:
            self._session, self._newest_ns, self.key_frames = session, 0, 0
            self._awaited.clear()
        if stamp_ns >= self._newest_ns:
            self._newest_ns = stamp_ns
            self._same_clock = abs(now_ns - stamp_ns) <= SAME_CLOCK_NS
        if not self.settled(key, stamp_ns) and key not in self._awaited:
            self.key_frames += 1
            self._awaited[key] = (stamp_ns, self._now_s())
            if len(self._awaited) > _AWAITED_KEPT:
                del self._awaited[next(iter(self._awaited))]

    def observed(self, observation: Observation, now_ns: int) -> None:
        """What is written about a key frame has come, at this ROS time."""
        if observation.session == self.session:
            self._awaited.pop(observation.key, None)
            if self._session is None:
                self._newest_ns = max(self._newest_ns, observation.stamp_ns)
                self._same_clock = abs(now_ns - self._newest_ns) <= SAME_CLOCK_NS
        self._tell()

    def pose(self, stamp_ns: int, now_ns: int) -> bool:
        """A pose has come, at this ROS time; False where its stamp is ahead of the images' clock."""
        ahead_ns = AHEAD_NS if self._same_clock else AHEAD_WITHOUT_CLOCK_NS
        if self._newest_ns and stamp_ns > self.present_ns(now_ns) + ahead_ns:
            return False
        if self._newest_ns:
            self._newest_ns = max(self._newest_ns, stamp_ns)
        return True

    def given_up(self, key: Key) -> None:
        """Nothing will be written about a key frame, which may not have come yet: it has a topic of its own."""
        self._given_up.append(key)
        self._awaited.pop(key, None)
        self._tell()

    def present_ns(self, now_ns: int) -> int:
        """What counts as now where the asker names no as_of.

        ROS time, or the newest stamp where that is later. When the stamps are not of the ROS clock (a bag is played
        without /clock, or /clock does not run yet) it is the newest stamp.
        """
        if self._same_clock or not self._newest_ns:
            return max(now_ns, self._newest_ns)
        return self._newest_ns

    def has(self, key: Key, stamp_ns: int) -> bool:
        """True when this key frame is described."""
        return any(seen.key == key for seen in self._memory.window(key[1], stamp_ns, stamp_ns))

    def settled(self, key: Key, stamp_ns: int) -> bool:
        """True when this key frame is described, or given up."""
        return key in self._given_up or self.has(key, stamp_ns)

    def in_flight(self, start_ns: int | None, end_ns: int) -> bool:
        """True while a key frame with a stamp in [start_ns, end_ns] came lately and is not settled yet."""
        oldest_s = self._now_s() - self._in_flight_s
        return any(
            (start_ns or 0) <= stamp_ns <= end_ns and came_s >= oldest_s for stamp_ns, came_s in self._awaited.values()
        )

    def undescribed_s(self) -> float:
        """Seconds since the oldest key frame that is not settled came; 0 for none."""
        return self._now_s() - min((came_s for _, came_s in self._awaited.values()), default=self._now_s())

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def wait_until(self, condition: Callable[[], bool], end_s: float) -> None:
        """Return when the condition holds, which is seen at each piece of news, or the steady clock reaches `end_s`."""
        while not condition() and (left_s := end_s - self._now_s()) > 0.0:
            # asyncio.wait_for would lose a cancel that comes together with news.
            await wait_or_cancel([asyncio.ensure_future(self._news.wait())], min(left_s, _LOOK_S))
