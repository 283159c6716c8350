"""An observation: what was measured and seen at one key frame, as data, and the words that are rendered from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from embodied_r_ros.core.moves import summary, told_moves
from embodied_r_ros.core.phrases import write_moves, write_sightings
from embodied_r_ros.core.records import Key, Motion, Move, Pose, Sighting
from embodied_r_ros.core.words import telling_words


class _WorkedOut:
    """What is worked out from an observation when it is first asked for, and then goes with it.

    Slots that are filled late, since a question may ask for those of 36,000 observations: once filled, no code of ours
    runs to read one.

    Attributes:
        moves: since the key frame before, as words tell them.
        move_summary: the row of `moves.summary`.
        telling_words: the words that tell what is seen here from what is seen elsewhere.
        view: what is newly in view, in words.
    """

    __slots__ = ('move_summary', 'moves', 'telling_words', 'view')

    moves: tuple[Move, ...]
    move_summary: bytes
    telling_words: frozenset[str]
    view: str

    def __getattr__(self, name: str) -> Any:
        work = _WORK.get(name)
        if work is None:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        value = work(self)
        object.__setattr__(self, name, value)
        return value


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Observation(_WorkedOut):
    """What perception found in one key frame before anyone asked. Never text that depends on a question.

    Attributes:
        motion: since the key frame before; None for the first, and where it is not known.
        sightings: the things in view, from left to right; behind them those that a detector told, likewise.
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

    def with_motion(self, motion: Motion) -> Observation:
        """The same view after another motion."""
        other = dataclasses.replace(self, motion=motion)
        object.__setattr__(other, 'view', self.view)
        return other

    @property
    def new_sightings(self) -> tuple[Sighting, ...]:
        """The things that were not in view one key frame before."""
        return tuple(sighting for sighting in self.sightings if not sighting.in_view_before)

    @property
    def action(self) -> str:
        """The motion in words; '' where there is none."""
        motion = self.motion
        return '' if motion is None else write_moves(self.moves, motion.up_m, motion.tilt_up_deg)

    @property
    def words(self) -> str:
        """Motion and view in words."""
        return ': '.join(part for part in (self.action, self.view) if part)


def _view(seen: Observation) -> str:
    new = seen.new_sightings
    if seen.text and new:
        return f'{write_sightings(new)}; {seen.text}'
    return seen.text or write_sightings(new)


_WORK: dict[str, Callable[[Any], Any]] = {
    'moves': lambda seen: () if seen.motion is None else told_moves(seen.motion),
    'move_summary': lambda seen: summary(seen.motion, seen.moves),
    'telling_words': lambda seen: telling_words(seen.view),
    'view': _view,
}
