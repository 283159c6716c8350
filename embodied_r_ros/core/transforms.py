"""Where frames are, as /tf and /tf_static tell: a tree of transforms, bounded in time and number, read at any stamp."""

from __future__ import annotations

import bisect

from embodied_r_ros.core.frames import NS_PER_S, Transform
from embodied_r_ros.core.poses import ORIGIN, angle_between_rad, chained, inverse, pose_between, position, sound_pose
from embodied_r_ros.core.records import Pose

MAX_FRAMES = 1024
MAX_NAME = 256
KEPT_NS = 10 * NS_PER_S
MAX_KEPT = 1024
# A parent that has not been told for so long gives way to another.
PARENT_GONE_NS = 2 * NS_PER_S
# Two fixed transforms of one frame that differ by more contradict each other.
SAME_M, SAME_RAD = 0.01, 0.02


class TransformTree:
    """All transforms that were told, those that move for the last 10 s.

    Between two stamps the pose is interpolated. Before the first and after the last it is known for `max_age_s`; after
    the last it goes on at the rate of the last two. Where stamps fall back by more than is kept, as in a looped
    recording, a frame's past begins anew.

    Attributes:
        refused: transforms left out.
    """

    def __init__(self, max_age_s: float) -> None:
        self._max_age_ns = int(max_age_s * NS_PER_S)
        self._edges: dict[str, _Edge] = {}
        self.refused = 0

    def __len__(self) -> int:
        return len(self._edges)

    def __contains__(self, frame: str) -> bool:
        frame = _name(frame)
        return frame in self._edges or any(edge.parent == frame for edge in self._edges.values())

    def push(self, transform: Transform) -> str:
        """Take a transform.

        Returns:
            '', or one sentence about what is wrong with it; then it is left out, unless the sentence says otherwise.
        """
        parent, child, pose = _name(transform.parent), _name(transform.child), sound_pose(transform.pose)
        told = f'frame {child!r} in {parent!r}'
        if not parent or not child or max(len(parent), len(child)) > MAX_NAME:
            return self._refuse(f'a transform must name two frames, got {parent[:MAX_NAME]!r} and {child[:MAX_NAME]!r}')
        if pose is None:
            return self._refuse(f'a transform must be finite with a quaternion that is not zero, got none for {told}')
        if child in (parent, *self._above(parent)):
            return self._refuse(f'transforms must form a tree, got a loop through {told}')
        edge = self._edges.get(child)
        if edge is None and len(self._edges) >= MAX_FRAMES:
            return self._refuse(f'at most {MAX_FRAMES} frames are kept, got one more, {told}')
        problem = ''
        if edge is not None and edge.parent != parent:
            if edge.fixed or transform.fixed or transform.stamp_ns - edge.newest_ns < PARENT_GONE_NS:
                return self._refuse(f'a frame must have one parent, got {told} after {edge.parent!r}')
            edge = None
        elif edge is not None and edge.fixed != transform.fixed:
            problem = f'a transform is told on /tf or on /tf_static, got both for {told}; what comes last counts'
            edge = None
        elif edge is not None and edge.fixed and _differ(edge.poses[-1], pose):
            problem = f'a fixed transform must stay the same, got another one for {told}; the last one counts'
        if edge is None:
            edge = self._edges[child] = _Edge(parent, transform.fixed)
        edge.push(transform.stamp_ns, pose)
        return problem

    def find(self, frame: str, target: str, stamp_ns: int) -> tuple[Pose | None, str]:
        """The pose of a frame in another one at a stamp.

        Returns:
            the pose and ''; or None and one sentence about what is missing.
        """
        frame, target = _name(frame), _name(target)
        above, missing = self._chain(frame, stamp_ns)
        over_target, also_missing = self._chain(target, stamp_ns)
        common = next((name for name in above if name in over_target), None)
        if common is not None:
            return chained(inverse(over_target[common]), above[common]), ''
        if missing or also_missing:
            return None, missing or also_missing
        return None, (
            f'no transforms lead from {frame!r} to {target!r}: above them are {" < ".join(above)} and '
            f'{" < ".join(over_target)}'
        )

    def _refuse(self, sentence: str) -> str:
        self.refused += 1
        return sentence

    def _above(self, frame: str) -> list[str]:
        above: list[str] = []
        edge = self._edges.get(frame)
        while edge is not None:
            above.append(edge.parent)
            edge = self._edges.get(edge.parent)
        return above

    def _chain(self, frame: str, stamp_ns: int) -> tuple[dict[str, Pose], str]:
        """The frame and those above it, each with the frame's pose in it; and why the chain ends early, if it does."""
        found, name = {frame: ORIGIN}, frame
        while (edge := self._edges.get(name)) is not None:
            pose = edge.at(stamp_ns, self._max_age_ns)
            if pose is None:
                away_s = edge.away_ns(stamp_ns) / NS_PER_S
                return found, f'the transform of {name!r} in {edge.parent!r} is told {away_s:.1f} s away from the image'
            found[edge.parent] = chained(pose, found[name])
            name = edge.parent
        return found, ''


class _Edge:
    """The poses of a frame in its parent, in the order of their stamps."""

    def __init__(self, parent: str, fixed: bool) -> None:
        self.parent = parent
        self.fixed = fixed
        self.poses: list[Pose] = []
        self._stamps_ns: list[int] = []

    @property
    def newest_ns(self) -> int:
        return self._stamps_ns[-1]

    def push(self, stamp_ns: int, pose: Pose) -> None:
        stamps_ns, poses = self._stamps_ns, self.poses
        if self.fixed or (stamps_ns and stamp_ns < stamps_ns[-1] - KEPT_NS):
            stamps_ns.clear()
            poses.clear()
        place = bisect.bisect_left(stamps_ns, stamp_ns)
        if place < len(stamps_ns) and stamps_ns[place] == stamp_ns:
            poses[place] = pose
            return
        stamps_ns.insert(place, stamp_ns)
        poses.insert(place, pose)
        kept = max(bisect.bisect_left(stamps_ns, stamps_ns[-1] - KEPT_NS), len(stamps_ns) - MAX_KEPT)
        del stamps_ns[: max(kept, 0)], poses[: max(kept, 0)]

    def away_ns(self, stamp_ns: int) -> int:
        """How far the stamp is from those that are known; 0 between them."""
        return max(self._stamps_ns[0] - stamp_ns, stamp_ns - self._stamps_ns[-1], 0)

    def at(self, stamp_ns: int, max_age_ns: int) -> Pose | None:
        stamps_ns, poses = self._stamps_ns, self.poses
        if self.fixed or (len(poses) == 1 and self.away_ns(stamp_ns) <= max_age_ns):
            return poses[-1]
        if self.away_ns(stamp_ns) > max_age_ns:
            return None
        if stamp_ns <= stamps_ns[0]:
            return poses[0]
        after = min(bisect.bisect_left(stamps_ns, stamp_ns), len(poses) - 1)
        old_ns, new_ns = stamps_ns[after - 1], stamps_ns[after]
        if stamp_ns > new_ns and new_ns - old_ns > max_age_ns:
            return poses[-1]
        return pose_between(poses[after - 1], poses[after], (stamp_ns - old_ns) / (new_ns - old_ns))


def _name(frame: str) -> str:
    """As tf2 has it: ROS 1 wrote a slash before the names of frames."""
    return frame.lstrip('/')


def _differ(one: Pose, other: Pose) -> bool:
    apart_m = float(abs(position(one) - position(other)).max())
    return apart_m > SAME_M or angle_between_rad(one, other) > SAME_RAD
