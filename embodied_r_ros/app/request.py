"""A question as the reasoning node takes it: its window, its deadline, and how closely to look."""

from __future__ import annotations

import dataclasses

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.records import Question

FOCUS_MODES = ('off', 'auto', 'always')
# What the stamp of a message can hold.
LATEST_S = 2**31


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """A `SpatialQuestion` as the reasoning node works on it. None stands for what the asker left to the node.

    Attributes:
        start_ns, end_ns: window bounds in ROS time, both ends included.
        last_s: window length before as_of, above 0 and below LATEST_S; never together with bounds.
        as_of_ns: ROS time that counts as now.
        focus: 'off', 'auto' or 'always'.
        deadline_s: wall-clock seconds allowed in all.

    Raises:
        InputError: there can be no such window, or there is no such focus.
    """

    question: Question
    start_ns: int | None = None
    end_ns: int | None = None
    last_s: float | None = None
    as_of_ns: int | None = None
    focus: str = 'off'
    fresh: bool = False
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        if self.last_s is not None:
            if not 0.0 < self.last_s < LATEST_S:
                raise InputError(
                    f"a window's length must be above 0 and below {LATEST_S} s, got {self.last_s!r}; leave it out "
                    'for all of the session'
                )
            if self.start_ns is not None or self.end_ns is not None:
                raise InputError(
                    f'a window is bounds or a length, got both, length {self.last_s!r} s; leave one of them out'
                )
        if self.start_ns is not None and self.end_ns is not None and self.end_ns < self.start_ns:
            raise InputError(
                f'a window must not end before it starts, got {self.start_ns!r} to {self.end_ns!r} ns; swap them'
            )
        if self.focus not in FOCUS_MODES:
            raise InputError(f'focus must be one of {", ".join(FOCUS_MODES)}, got {self.focus!r}')

    def window(self, now_ns: int) -> tuple[int | None, int]:
        """First and last stamp that count, both included; None as the first for the session's begin."""
        as_of_ns = now_ns if self.as_of_ns is None else self.as_of_ns
        if self.last_s is not None:
            return as_of_ns - round(self.last_s * NS_PER_S), as_of_ns
        return self.start_ns, as_of_ns if self.end_ns is None else min(self.end_ns, as_of_ns)
