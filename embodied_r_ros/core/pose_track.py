"""The latest poses that odometry told, read at any stamp."""

from __future__ import annotations

import bisect
import math
from collections import deque

from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.poses import angle_between_rad, pose_between, position, sound_pose
from embodied_r_ros.core.records import Pose
from embodied_r_ros.core.stamps import StampGate

POSES_KEPT = 2048
WAY_STEP_S = 0.2
# Of odometry that comes less often than `max_age_s`, the pose is known for so many of its periods, at most this long.
PERIODS = 1.5
MAX_REACH_NS = 5 * NS_PER_S // 2
# Stamps that are nearer to each other say nothing about speed.
MIN_STEP_S = 0.02
JUMPS_KEPT = 64


class PoseTrack:
    """The latest poses, and the way since the last key frame, read at any stamp; bounded in number.

    The latest `POSES_KEPT` poses stay as they came. Of the older ones those stay that `between` takes from the stamp of
    `keep_from` on; fewer, further apart in time, where even these are too many.

    Between two poses, at most 2.5 s apart or each within `max_age_s`, the pose is interpolated. A frame often comes
    before the pose that was measured just after it. Nothing waits for that pose: up to `max_age_s` beyond the last one
    the pose goes on at the rate of the last two; where these came less often, up to 1.5 times their distance in time.

    A pose whose stamp leaps waits for the next ones (`StampGate`); where the time base is a new one, the track begins
    anew.

    Args:
        max_age_s: as above.
        max_speed_m_s, max_turn_deg_s: two poses that lie farther apart are before and after a jump.

    Attributes:
        ignored: poses left out: a number was not finite, the quaternion zero, the stamp not later than the last, or
            wrong.
        jumps: how often it jumped.
    """

    def __init__(self, max_age_s: float, max_speed_m_s: float = math.inf, max_turn_deg_s: float = math.inf) -> None:
        self._max_age_ns = int(max_age_s * NS_PER_S)
        self._max_speed_m_s, self._max_turn_rad_s = max_speed_m_s, math.radians(max_turn_deg_s)
        self._kept_from_ns: int | None = None
        self._unusable = 0
        self._gate: StampGate[tuple[int, Pose]] = StampGate()
        self._jumps_ns: deque[int] = deque(maxlen=JUMPS_KEPT)
        self.jumps = 0
        self.clear()

    def __len__(self) -> int:
        return len(self._poses)

    @property
    def outliers(self) -> int:
        """Poses left out because a single stamp was wrong."""
        return self._gate.outliers

    @property
    def wrong_ns(self) -> int | None:
        """The stamp of the latest of these."""
        return self._gate.wrong_ns

    @property
    def ignored(self) -> int:
        """Poses left out, outliers among them."""
        return self._unusable + self._gate.outliers

    @property
    def newest(self) -> tuple[int, Pose] | None:
        """Stamp and pose of the newest one; None while there is none."""
        return (self._stamps_ns[-1], self._poses[-1]) if self._poses else None

    def clear(self) -> None:
        """Forget all poses; the counts of those left out stay."""
        self._gate.reset()
        self._forget()

    def push(self, stamp_ns: int, pose: Pose) -> bool:
        """Add a pose; False where it is left out, or waits for the stamps of the next ones."""
        sound = sound_pose(pose)
        if sound is None or self._gate.late(stamp_ns):
            self._unusable += 1
            return False
        return self._take(self._gate.push(stamp_ns, (stamp_ns, sound)))

    def confirm(self, stamp_ns: int) -> None:
        """Take the poses that wait, where their stamps lie within a second of one that is known to be sound."""
        self._take(self._gate.confirm(stamp_ns))

    def _take(self, taken: list[tuple[int, Pose]]) -> bool:
        if self._gate.jumped:
            self._forget()
        for taken_ns, pose in taken:
            if self._poses and self._is_jump(taken_ns, pose):
                self._jumps_ns.append(taken_ns)
                self.jumps += 1
            self._stamps_ns.append(taken_ns)
            self._poses.append(pose)
        if len(self._poses) >= 2 * POSES_KEPT:
            self._thin()
        return bool(taken)

    def _forget(self) -> None:
        self._stamps_ns: list[int] = []
        self._poses: list[Pose] = []
        self._jumps_ns.clear()

    def keep_from(self, stamp_ns: int) -> None:
        """Keep the way from this stamp on, until the next call."""
        self._kept_from_ns = stamp_ns

    def at(self, stamp_ns: int) -> Pose | None:
        """The pose at a stamp; None where the nearest measured poses are too far away in time."""
        after = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if after < len(self._stamps_ns) and self._stamps_ns[after] == stamp_ns:
            return self._poses[after]
        if after == 0:
            near = bool(self._poses) and self._stamps_ns[0] - stamp_ns <= self._max_age_ns
            return self._poses[0] if near else None
        if after == len(self._poses):
            return self._beyond(stamp_ns)
        old_ns, new_ns = self._stamps_ns[after - 1], self._stamps_ns[after]
        near = min(stamp_ns - old_ns, new_ns - stamp_ns) <= self._max_age_ns
        if not (near or new_ns - old_ns <= MAX_REACH_NS):
            return None
        if new_ns in self._jumps_ns:
            return self._poses[after - 1]
        return pose_between(self._poses[after - 1], self._poses[after], (stamp_ns - old_ns) / (new_ns - old_ns))

    def jumped(self, start_ns: int, end_ns: int) -> bool:
        """Whether it jumped after the one stamp and not after the other."""
        return any(start_ns < jump_ns <= end_ns for jump_ns in self._jumps_ns)

    def _is_jump(self, stamp_ns: int, pose: Pose) -> bool:
        before = self._poses[-1]
        step_s = max((stamp_ns - self._stamps_ns[-1]) / NS_PER_S, MIN_STEP_S)
        if math.dist(position(pose), position(before)) > self._max_speed_m_s * step_s:
            return True
        return angle_between_rad(before, pose) > min(self._max_turn_rad_s * step_s, math.pi)

    def between(self, start_ns: int, end_ns: int) -> list[Pose]:
        """The poses from one stamp to another, at least `WAY_STEP_S` apart; empty where an end has none."""
        ends = self.at(start_ns), self.at(end_ns)
        if ends[0] is None or ends[1] is None:
            return []
        places = self._apart(start_ns, bisect.bisect_left(self._stamps_ns, end_ns), WAY_STEP_S)
        return [ends[0], *(self._poses[place] for place in places), ends[1]]

    def _apart(self, start_ns: int, end: int, step_s: float) -> list[int]:
        """The places, before `end`, of the poses that come at least a step after `start_ns` and after each other."""
        places, last_ns = [], start_ns
        for place in range(bisect.bisect_right(self._stamps_ns, start_ns), end):
            if self._stamps_ns[place] - last_ns >= step_s * NS_PER_S:
                places.append(place)
                last_ns = self._stamps_ns[place]
        return places

    def _thin(self) -> None:
        """Thin out the older half: to nothing, or to the way that is kept and the poses around its start."""
        places: list[int] = []
        start_ns, step_s = self._kept_from_ns, WAY_STEP_S
        if start_ns is not None:
            places = self._apart(start_ns, POSES_KEPT, step_s)
            while len(places) > POSES_KEPT // 2:
                step_s *= 2.0
                places = self._apart(start_ns, POSES_KEPT, step_s)
            after = bisect.bisect_right(self._stamps_ns, start_ns)
            places = sorted({*places, *range(max(after - 1, 0), min(after + 1, POSES_KEPT))})
        self._stamps_ns[:POSES_KEPT] = [self._stamps_ns[place] for place in places]
        self._poses[:POSES_KEPT] = [self._poses[place] for place in places]

    def _beyond(self, stamp_ns: int) -> Pose | None:
        last_ns = self._stamps_ns[-1]
        if len(self._poses) == 1:
            return self._poses[-1] if stamp_ns - last_ns <= self._max_age_ns else None
        before_ns = self._stamps_ns[-2]
        step_ns = last_ns - before_ns
        regular = step_ns <= MAX_REACH_NS
        if stamp_ns - last_ns > max(self._max_age_ns, min(PERIODS * step_ns, MAX_REACH_NS) if regular else 0):
            return None
        if last_ns in self._jumps_ns or not (regular or step_ns <= self._max_age_ns):
            return self._poses[-1]
        return pose_between(self._poses[-2], self._poses[-1], (stamp_ns - before_ns) / step_ns)
