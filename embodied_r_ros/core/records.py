"""The plain records that cross between rooms: what was seen, what was asked, what was answered.

Time is an integer `stamp_ns` in ROS time, taken from the message header. Directions follow REP 103: x forward, y left,
z up, rotation positive to the left.
"""

from __future__ import annotations

import dataclasses
import enum
import math


class ErrorCode(enum.IntEnum):
    """What became of a question; the same numbers as the constants of `SpatialAnswer.msg`."""

    OK = 0
    NOT_ACTIVE = 1
    MODEL_LOADING = 2
    NO_FRAMES = 3
    WINDOW_EMPTY = 4
    BAD_QUESTION = 5
    QUESTION_UNSUPPORTED = 6
    BUSY = 7
    TIMEOUT = 8
    SERVER_DOWN = 9
    SERVER_REFUSED = 10
    BAD_REPLY = 11
    CANNOT_TELL = 12
    CANCELLED = 13


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pose:
    """A pose in the odometry frame: position in metres, orientation as a unit quaternion."""

    x_m: float
    y_m: float
    z_m: float
    qx: float
    qy: float
    qz: float
    qw: float

    @property
    def yaw_rad(self) -> float:
        """Heading about z, positive to the left, in (-pi, pi]."""
        return math.atan2(
            2.0 * (self.qw * self.qz + self.qx * self.qy),
            1.0 - 2.0 * (self.qy * self.qy + self.qz * self.qz),
        )


class MotionSource(str, enum.Enum):
    """Where a motion came from."""

    NONE = 'none'
    ODOMETRY = 'odometry'
    IMAGES = 'images'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """An elementary move: 'forward' and 'left' in metres (negative: backward, right), 'turn' in degrees (left)."""

    kind: str
    amount: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """Ego-motion between two key frames, in the axes of the earlier one.

    Metres are NaN where the source cannot tell them; from images they are known where something of known distance is in
    both, else only the sign of the largest component, and `name` says it.

    Attributes:
        name: one of the paper's ten actions, or 'stay'.
        forward_m, left_m, up_m: translation.
        rotate_left_deg: heading change, positive to the left.
        tilt_up_deg: camera pitch change, positive upward.
        source: how it was measured.
        moves: the elementary moves in the plane that it was made of, in their order, where they were measured.
    """

    name: str
    forward_m: float = math.nan
    left_m: float = math.nan
    up_m: float = math.nan
    rotate_left_deg: float = math.nan
    tilt_up_deg: float = math.nan
    source: MotionSource = MotionSource.NONE
    moves: tuple[Move, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intrinsics:
    """Pinhole camera intrinsics in pixels for images of width x height."""

    width: int
    height: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float

    @property
    def half_view_rad(self) -> float:
        """From the middle of an image to its side."""
        return math.atan2(self.width / 2, self.fx_px)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """An image as the bytes of a file, passed on as it came.

    Attributes:
        data: JPEG or PNG bytes.
        mime: 'image/jpeg' or 'image/png'.
    """

    data: bytes
    mime: str = 'image/jpeg'


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyFrame:
    """A frame that shows something new.

    Attributes:
        session: start stamp of the recording or activation it belongs to; windows never cross sessions.
        index: 0, 1, 2, ... within the session.
        reason: 'first', 'overlap', 'max_gap' or 'requested'.
        overlap: with the key frame before, 0 to 1; NaN for the first.
        motion: since the key frame before; None for the first.
    """

    session: int
    index: int
    stamp_ns: int
    frame_id: str
    image: EncodedImage
    reason: str
    overlap: float = math.nan
    intrinsics: Intrinsics | None = None
    pose: Pose | None = None
    motion: Motion | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observation:
    """What perception wrote about one key frame. Never question-related text.

    Attributes:
        action: how the agent moved since the key frame before, in words; '' for the first.
        text: what is new in view, in words.
        source: 'opencv', 'openai' or 'text' (from a file).
        model: id of the model that wrote it.
        latency_s: wall-clock seconds that writing it took.
    """

    session: int
    index: int
    stamp_ns: int
    action: str
    text: str
    source: str = 'text'
    model: str = ''
    latency_s: float = 0.0
    pose: Pose | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A spatial question as the reasoner takes it; its window has been cut already.

    Attributes:
        text: the question in words, without its choices.
        choices: none for an open question, otherwise 2 to 26 different ones.
        votes: how many thoughts are sampled; 1 is greedy.
        check_consistency: ask again with the thinking but without observations.
    """

    text: str
    choices: tuple[str, ...] = ()
    votes: int = 1
    check_consistency: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """One key frame that the thinking cites, with the words that were written about it."""

    session: int
    index: int
    stamp_ns: int
    text: str
    pose: Pose | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What the reasoner made of a question.

    Attributes:
        answer: the answer in words; '' unless error_code is OK or CANNOT_TELL.
        choice: index into the choices, -1 for an open question or where there is no answer.
        thinking: the thought behind it.
        confidence: share of the sampled thoughts that agree; NaN for one vote.
        consistency: 1.0 when the thinking alone leads to the same answer, 0.0 when not; NaN when not asked for.
        evidence: the key frames that the thinking cites.
        used, available: n of m observations of the window were put before the reasoner.
        seen_until_ns: stamp of the newest observation used; 0 when there is none.
        timings_s: wall-clock seconds per stage.
        model, prompt_id: which reasoner, and which prompt format.
    """

    error_code: ErrorCode = ErrorCode.OK
    error_msg: str = ''
    answer: str = ''
    choice: int = -1
    thinking: str = ''
    confidence: float = math.nan
    consistency: float = math.nan
    evidence: tuple[Evidence, ...] = ()
    used: int = 0
    available: int = 0
    seen_until_ns: int = 0
    timings_s: dict[str, float] = dataclasses.field(default_factory=dict)
    model: str = ''
    prompt_id: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """One chat turn: role 'system' or 'user', and its text."""

    role: str
    content: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation:
    """One request to a language model.

    Attributes:
        messages: the chat turns.
        temperature: 0.0 is greedy.
        seed: of the sampling; ignored when greedy.
        max_tokens: of the reply.
        stop: the reply ends with the first of these strings, which is kept.
    """

    messages: tuple[Message, ...]
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 2048
    stop: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Completion:
    """A language model's reply; `reasoning` is what a server splits off as its own field, '' otherwise."""

    text: str
    reasoning: str = ''
    latency_s: float = 0.0
    tokens: int = 0
