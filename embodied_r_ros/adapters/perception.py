"""What perception is: something that looks at key frames and writes down, in words, what is new in them."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from embodied_r_ros.core.records import KeyFrame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What perception wrote about one key frame.

    Attributes:
        action: how the agent moved since the key frame before, in words; '' for the first, and where it is not known.
        text: what is new in view, in words.
        latency_s: wall-clock seconds that it took.
    """

    action: str
    text: str
    latency_s: float = 0.0


class Perceiver(Protocol):
    """One way of looking at key frames."""

    @property
    def name(self) -> str:
        """Id of the model, for `Observation.model`."""

    @property
    def source(self) -> str:
        """The backend's name, for `Observation.source`."""

    async def probe(self) -> None:
        """Check that descriptions can be made, and warm up.

        Raises:
            BackendError: they cannot; the message names the remedy.
        """

    async def describe(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """Write what is new in `current` against `previous`; all that is in it where `previous` is None.

        Raises:
            InputError: the image cannot be read.
            BackendError: the model did not do its part.
            ReplyError: the model's words cannot be read.
        """

    async def focus(self, previous: KeyFrame | None, current: KeyFrame, question_text: str) -> str:
        """Look again with a question in mind, and write what bears on it; raises as `describe`."""

    async def aclose(self) -> None:
        """Let go of connections and threads."""
