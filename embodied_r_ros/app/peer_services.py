"""What a question needs of the nodes around reasoning_node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.records import ErrorCode, Key


class Declined(EmbodiedRError):
    """A question that cannot be answered now, with the code that says why."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class PeerServices(Protocol):
    """The neighbours of the reasoning node, as a question needs them."""

    def now_ns(self) -> int:
        """ROS time."""

    async def capture(self, timeout_s: float) -> tuple[Key, int]:
        """Have the newest frame made a key frame: its key, and its stamp in nanoseconds.

        Raises:
            Declined, BackendError: there is no frame, or nobody answers.
        """

    async def focus(self, keys: Sequence[Key], question: str, timeout_s: float) -> dict[Key, Description]:
        """What a second look at key frames of one camera and session found; those that are gone or late are left out.

        Raises:
            Declined, BackendError: nobody answers.
        """
