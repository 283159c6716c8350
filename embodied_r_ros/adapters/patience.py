"""How long a model server may be silent: as long as what was measured allows, between a floor and the deadline."""

from __future__ import annotations

import collections
import time

from embodied_r_ros.core.errors import BackendTimeout

FLOOR_S = 3.0
TIMES_LONGEST = 4.0
MEASURED = 64
ENOUGH = 3
# A server that has said how its reply ended has this long to end the response.
LINGER_S = 0.2


class Silent(BackendTimeout):
    """The server has said nothing for longer than it ever took; the same request may do."""


class Patience:
    """The times to the first piece of text of the newest replies, and the silence that they allow."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._measured_s: collections.deque[float] = collections.deque(maxlen=MEASURED)

    @property
    def longest_s(self) -> float:
        """The longest time measured; 0 for none."""
        return max(self._measured_s, default=0.0)

    def note(self, wait_s: float) -> None:
        """Take note of how long the first piece of a reply took."""
        self._measured_s.append(wait_s)

    @property
    def allowed_s(self) -> float:
        """Silence allowed to the next request."""
        if len(self._measured_s) < ENOUGH:
            return self._timeout_s
        return min(self._timeout_s, max(FLOOR_S, TIMES_LONGEST * self.longest_s))


class Watch:
    """Watches one attempt; `left_s` says how much silence is left to it."""

    def __init__(self, allowed_s: float) -> None:
        self.allowed_s = allowed_s
        self.first_s: float | None = None
        self._is_ending = False
        self._start_s = self._last_s = time.monotonic()

    def sign(self) -> None:
        """The reply has grown."""
        if self._is_ending:
            return
        self._last_s = time.monotonic()
        if self.first_s is None:
            self.first_s = self._last_s - self._start_s

    def ending(self) -> None:
        """The reply is whole; nothing that matters can follow."""
        self.sign()
        self._is_ending = True
        self.allowed_s = min(self.allowed_s, LINGER_S)

    def left_s(self) -> float:
        """Seconds until this counts as silence."""
        return self._last_s + self.allowed_s - time.monotonic()
