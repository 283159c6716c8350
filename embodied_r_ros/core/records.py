"""The plain records that cross between rooms: what was seen, what was asked, what was answered.

Time is an integer `stamp_ns` in ROS time, taken from the message header. Directions follow REP 103: x forward, y left,
z up, rotation positive to the left.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Any


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
    INTERNAL = 14


Key = tuple[str, int, int]


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
            2.0 * (self.qw * self.qz + self.qx * self.qy), 1.0 - 2.0 * (self.qy * self.qy + self.qz * self.qz)
        )


class MotionSource(str, enum.Enum):
    """Where a motion came from."""

    NONE = 'none'
    ODOMETRY = 'odometry'
    IMAGES = 'images'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """An elementary move.

    Attributes:
        kind: 'forward', 'left' or 'turn'; an action's name, such as 'move backward', where the amount is not known.
        amount: metres, negative backward or to the right; for 'turn' degrees to the left; NaN where it is not known.
        estimated: the amount was not measured but follows from the pace measured before.
    """

    kind: str
    amount: float
    estimated: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """Ego-motion between two key frames, in the axes of the earlier one.

    Metres are NaN where the source cannot tell them; from images they are known where something of known distance is in
    both, else only the sign of the largest component, and `name` says it.

    Attributes:
        name: one of the paper's ten actions, 'stay', or an action in other words where nothing was measured.
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

    @property
    def jumped(self) -> bool:
        """Whether odometry, which is there, jumped, so that nothing is known: it has no name and no number."""
        return self.source is MotionSource.ODOMETRY and not self.name and not self.moves and math.isnan(self.forward_m)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sighting:
    """A thing that an eye made out in a key frame.

    Attributes:
        name: the thing's noun.
        ray: unit vector from the camera to the thing, in the axes of the base (x forward, y left, z up).
        distance_m: from the camera to the thing along the ray; NaN where it is not known.
        track_id: what tells the thing from others of its name, such as the number of its tag; '' for none.
        spread_along_m, spread_across_m: one standard deviation of the thing's place along and across the ray.
        confidence: 0 to 1; NaN where the eye does not say.
        source: which eye: 'tag', 'box', 'detection', 'sign', or 'text' for one that was read from words.
        box_px: left, upper, right and lower edge in the image; None where there is none.
        in_view_before: the key frame before shows the thing too, so that no words tell of it again.
    """

    name: str
    ray: tuple[float, float, float]
    distance_m: float = math.nan
    track_id: str = ''
    spread_along_m: float = math.nan
    spread_across_m: float = math.nan
    confidence: float = math.nan
    source: str = ''
    box_px: tuple[float, float, float, float] | None = None
    in_view_before: bool = False

    @staticmethod
    def level(name: str, bearing_left_deg: float, distance_m: float = math.nan, **details: Any) -> Sighting:
        """A sighting at the camera's height, at a bearing in degrees to the left."""
        bearing_rad = math.radians(bearing_left_deg)
        ray = (math.cos(bearing_rad), math.sin(bearing_rad), 0.0)
        return Sighting(name=name, ray=ray, distance_m=distance_m, **details)

    @property
    def bearing_left_deg(self) -> float:
        """Seen from above, positive to the left of straight ahead, in (-180, 180]."""
        return math.degrees(math.atan2(self.ray[1], self.ray[0]))

    @property
    def level_distance_m(self) -> float:
        """Seen from above; NaN where the distance is not known."""
        return self.distance_m * math.hypot(self.ray[0], self.ray[1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a camera_info message says, as it came; `core.camera.fit_camera` makes a camera of it.

    Attributes:
        width, height: of the calibrated images, before binning and cutting to the region of interest.
        distortion_model, d: such as 'plumb_bob', and its coefficients.
        k, r, p: camera matrix (9), rectification (9) and projection (12), in rows.
        binning_x, binning_y: so many pixels became one; 0 and 1 are none.
        roi: the region of interest: left and upper edge, width and height in unbinned pixels; all 0 for the whole.
        roi_rectified: the region is of the rectified image.
        stamp_ns, frame_id: of the message.
    """

    width: int
    height: int
    distortion_model: str = ''
    d: tuple[float, ...] = ()
    k: tuple[float, ...] = (0.0,) * 9
    r: tuple[float, ...] = (0.0,) * 9
    p: tuple[float, ...] = (0.0,) * 12
    binning_x: int = 0
    binning_y: int = 0
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    roi_rectified: bool = False
    stamp_ns: int = 0
    frame_id: str = ''


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
        calibration: of the camera, as it came; None where none came that fits the image.
        pose: of the base in the odometry frame.
        camera_pose: of the camera in the base; None where it is taken to look ahead, level, from the base's origin.
        motion: since the key frame before; None for the first.
        camera: name of the camera; '' where there is one only.
        depth: registered to the camera, a PNG of 16-bit millimetres; None where there is none.
    """

    session: int
    index: int
    stamp_ns: int
    frame_id: str
    image: EncodedImage
    reason: str
    overlap: float = math.nan
    calibration: Calibration | None = None
    pose: Pose | None = None
    camera_pose: Pose | None = None
    motion: Motion | None = None
    camera: str = ''
    depth: EncodedImage | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its images."""
        return len(self.image.data) + (0 if self.depth is None else len(self.depth.data))

    @property
    def key(self) -> Key:
        """What tells it from all other key frames."""
        return self.camera, self.session, self.index


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
    camera: str = ''

    @property
    def key(self) -> Key:
        """The key frame."""
        return self.camera, self.session, self.index


@dataclasses.dataclass(frozen=True, kw_only=True)
class Landmark:
    """A thing with a place.

    Attributes:
        id: stays the same for the thing as long as the session lasts.
        name: the thing's noun.
        number: 1, 2, ... among the landmarks of its name, for people.
        position_m: x, y and z in `frame_id`.
        covariance_m2: (3, 3) in rows, of the position.
        distance_m, bearing_left_deg: from the base as it stands now; NaN where that is not known.
        sightings: how many the place rests on.
        evidence: the key frames that show it.
    """

    id: str
    name: str
    number: int
    stamp_ns: int
    frame_id: str
    position_m: tuple[float, float, float]
    covariance_m2: tuple[float, ...]
    distance_m: float = math.nan
    bearing_left_deg: float = math.nan
    first_seen_ns: int = 0
    last_seen_ns: int = 0
    sightings: int = 0
    evidence: tuple[Evidence, ...] = ()

    @property
    def from_base_m(self) -> tuple[float, float]:
        """Metres ahead and to the left of the base as it stands now."""
        bearing_rad = math.radians(self.bearing_left_deg)
        return self.distance_m * math.cos(bearing_rad), self.distance_m * math.sin(bearing_rad)

    @property
    def spread_m(self) -> float:
        """One standard deviation of the place, the root of the sum over its axes."""
        return math.sqrt(sum(self.covariance_m2[::4]))


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
        landmarks: the things that question, choices or answer name, as far as their places are known, nearest first.
        used, available: n of m observations of the window were put before the reasoner.
        seen_until_ns: stamp of the newest observation used; 0 when there is none.
        stale_s: ROS time from `seen_until_ns` to the moment that counts as now; NaN when there is no observation.
        timings_s: wall-clock seconds per stage.
        model, prompt_id: which reasoner, and which prompt format.
        forced: the thought ended without a readable answer, and the model was made to choose.
    """

    error_code: ErrorCode = ErrorCode.OK
    error_msg: str = ''
    answer: str = ''
    choice: int = -1
    thinking: str = ''
    confidence: float = math.nan
    consistency: float = math.nan
    evidence: tuple[Evidence, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    used: int = 0
    available: int = 0
    seen_until_ns: int = 0
    stale_s: float = math.nan
    timings_s: dict[str, float] = dataclasses.field(default_factory=dict)
    model: str = ''
    prompt_id: str = ''
    forced: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """One chat turn: role 'system', 'user' or 'assistant', and its text."""

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
        options: the reply is the likeliest of these, and nothing else; () leaves the model free.
    """

    messages: tuple[Message, ...]
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 2048
    stop: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Completion:
    """A language model's reply.

    Attributes:
        reasoning: what a server splits off as its own field, '' otherwise.
        is_cut: whether max_tokens or the context ended it, and not the model.
    """

    text: str
    reasoning: str = ''
    latency_s: float = 0.0
    tokens: int = 0
    is_cut: bool = False
