"""The motion since the last key frame, as an observation of its own at a prompt's end, which nothing can cite."""

from __future__ import annotations

import dataclasses

from embodied_r_ros.core.memory import Window
from embodied_r_ros.core.motion import motion_from_poses
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.phrases import STILL, write_motion
from embodied_r_ros.core.records import Pose

LATEST_MOTION = 'latest motion'
NO_INDEX = -1


def with_latest_motion(observations: Window, stamp_ns: int, pose: Pose) -> Window:
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
        return observations
    motion = motion_from_poses(last.pose, pose)
    if write_motion(motion) == STILL:
        return observations
    latest = dataclasses.replace(
        last, index=NO_INDEX, stamp_ns=stamp_ns, motion=motion, sightings=(), text='', source=LATEST_MOTION, pose=pose
    )
    return observations.changed({len(observations): latest})


def is_key_frame(observation: Observation) -> bool:
    """Whether an observation stands for a key frame, so that it can be cited and looked at again."""
    return observation.index != NO_INDEX
