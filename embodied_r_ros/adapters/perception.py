"""What perception is: something that looks at key frames, and tells what moved and what is new in view."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

from embodied_r_ros.core.records import KeyFrame, Motion, Sighting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What perception found in one key frame.

    Attributes:
        motion: since the key frame before; None for the first, and where perception knows no more than the camera.
        sightings: measured things, from left to right.
        text: prose; '' for none.
        latency_s: wall-clock seconds that it took.
        tokens: of a model's reply; 0 without a model, or where a server does not count.
        left_out: how often something could not be used, by its kind; the log has told what.
    """

    motion: Motion | None = None
    sightings: tuple[Sighting, ...] = ()
    text: str = ''
    latency_s: float = 0.0
    tokens: int = 0
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)


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

    async def ping(self) -> None:
        """See cheaply whether the model is still there.

        Raises:
            BackendError: it is not.
        """

    async def describe(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """Tell what is new in `current` against `previous`; all that is in it where `previous` is None.

        Raises:
            InputError: the image cannot be read.
            BackendError: the model did not do its part.
            ReplyError: the model's words cannot be read.
        """

    async def focus(self, previous: KeyFrame | None, current: KeyFrame, question_text: str) -> Description:
        """Look again with a question in mind, and tell what bears on it, without motion; raises as `describe`."""

    async def aclose(self) -> None:
        """Let go of connections and threads."""


def marked(before: Sequence[Sighting], in_view: Sequence[Sighting]) -> tuple[Sighting, ...]:
    """Sightings that say whether the key frame before shows the thing too."""
    known = set(map(_thing, before))
    return tuple(dataclasses.replace(seen, in_view_before=_thing(seen) in known) for seen in in_view)


def _thing(sighting: Sighting) -> tuple[str, str]:
    """What tells a thing from others: which eye saw it, and its track or else its name."""
    return sighting.source, sighting.track_id or sighting.name
