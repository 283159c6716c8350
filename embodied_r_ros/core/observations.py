"""An observation: what was measured and seen at one key frame, as data, and the words that are rendered from it."""

from __future__ import annotations

import dataclasses
import functools

from embodied_r_ros.core import moves
from embodied_r_ros.core.phrases import write_motion, write_sightings
from embodied_r_ros.core.records import Key, Motion, Move, Pose, Sighting
from embodied_r_ros.core.words import telling_words


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observation:
    """What perception found in one key frame before anyone asked. Never text that depends on a question.

    What is worked out from it (moves, words) is worked out once and goes with it.

    Attributes:
        motion: since the key frame before; None for the first, and where it is not known.
        sightings: things that were not in view one key frame before, from left to right.
        text: what a vision-language model wrote, as it wrote it; '' for none.
        source: 'opencv', 'openai' or 'text' (from a file).
        model: id of the model that wrote it.
        latency_s: wall-clock seconds that it took.
        pose: of the base in the odometry frame.
        camera_pose: of the camera in the base; None where it is taken to look ahead, level, from the base's origin.
        camera: name of the camera; '' where there is one only.
        given_up: perception failed on the key frame, and nothing more will come about it.
    """

    session: int
    index: int
    stamp_ns: int
    motion: Motion | None = None
    sightings: tuple[Sighting, ...] = ()
    text: str = ''
    source: str = 'text'
    model: str = ''
    latency_s: float = 0.0
    pose: Pose | None = None
    camera_pose: Pose | None = None
    camera: str = ''
    given_up: bool = False

    @property
    def key(self) -> Key:
        """The key frame that it is about."""
        return self.camera, self.session, self.index

    @functools.cached_property
    def moves(self) -> tuple[Move, ...]:
        """The moves since the key frame before, as words tell them."""
        return () if self.motion is None else moves.told_moves(self.motion)

    @functools.cached_property
    def move_summary(self) -> bytes:
        """The row of `moves.summary`."""
        return moves.summary(self.motion, self.moves)

    @functools.cached_property
    def telling_words(self) -> frozenset[str]:
        """The words that tell what is seen here from what is seen elsewhere."""
        return telling_words(self.view)

    @property
    def action(self) -> str:
        """The motion in words; '' where there is none."""
        return '' if self.motion is None else write_motion(self.motion)

    @property
    def view(self) -> str:
        """What is newly in view, in words."""
        if self.text and self.sightings:
            return f'{write_sightings(self.sightings)}; {self.text}'
        return self.text or write_sightings(self.sightings)

    @property
    def words(self) -> str:
        """Motion and view in words."""
        return ': '.join(part for part in (self.action, self.view) if part)
