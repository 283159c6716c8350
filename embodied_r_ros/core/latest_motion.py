"""The present in a prompt: the motion since the last key frame, as an observation of its own that nothing cites."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from embodied_r_ros.core import phrases
from embodied_r_ros.core.motion import motion_from_poses
from embodied_r_ros.core.records import Answer, Observation, Pose

LATEST_MOTION = 'present'


def with_latest_motion(observations: Sequence[Observation], stamp_ns: int, pose: Pose) -> list[Observation]:
    """The observations, and after them where the robot has got to since the last of them.

    Args:
        observations: up to the session's last key frame, oldest first, at least one.
        stamp_ns: of the newest pose.
        pose: in the frame of the observations' poses.

    Returns:
        the observations as they are where the pose is not newer, the last of them has none, or the robot stood still.
    """
    last = observations[-1]
    if last.pose is None or stamp_ns <= last.stamp_ns:
        return list(observations)
    action = phrases.write_motion(motion_from_poses(last.pose, pose))
    if action == phrases.STILL:
        return list(observations)
    present = dataclasses.replace(
        last,
        index=last.index + 1,
        stamp_ns=stamp_ns,
        action=action,
        text=phrases.NOTHING_NEW,
        source=LATEST_MOTION,
        pose=pose,
    )
    return [*observations, present]


def without_latest_motion(answer: Answer, observations: Sequence[Observation]) -> Answer:
    """The answer without the present in its evidence, since there is no frame to show for it."""
    stamps_ns = {observation.stamp_ns for observation in observations if observation.source == LATEST_MOTION}
    evidence = tuple(cited for cited in answer.evidence if cited.stamp_ns not in stamps_ns)
    return dataclasses.replace(answer, evidence=evidence)
