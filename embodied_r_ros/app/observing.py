"""From a described key frame to an observation: the same on the robot, offline and in training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from embodied_r_ros.adapters.eye_detections import SOURCE as DETECTION
from embodied_r_ros.adapters.perception import Description, Perceiver
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import KeyFrame


def observation_of(
    frame: KeyFrame, description: Description, perceiver: Perceiver, latency_s: float | None = None
) -> Observation:
    """What perception found in a key frame; where it tells no motion, or odometry jumped, the camera's counts.

    Args:
        latency_s: wall-clock seconds from asking for the description to having it; the description's own unless given.
    """
    jumped = frame.motion is not None and frame.motion.jumped
    return Observation(
        camera=frame.camera,
        session=frame.session,
        index=frame.index,
        stamp_ns=frame.stamp_ns,
        motion=frame.motion if jumped else description.motion or frame.motion,
        sightings=description.sightings,
        text=description.text,
        source=perceiver.source,
        model=perceiver.name,
        latency_s=description.latency_s if latency_s is None else latency_s,
        pose=frame.pose,
        camera_pose=frame.camera_pose,
    )


def given_up(frame: KeyFrame, source: str) -> Observation:
    """The observation that says that nothing will come about a key frame."""
    return Observation(
        camera=frame.camera,
        session=frame.session,
        index=frame.index,
        stamp_ns=frame.stamp_ns,
        source=source,
        given_up=True,
    )


def with_detections(seen: Observation, before: Observation) -> Observation:
    """An observation that comes again, with what a detector told when it came before.

    A perception_node that was started anew describes its key frames again; the detector does not tell of them again.
    """
    if any(sighting.source == DETECTION for sighting in seen.sightings):
        return seen
    told = [sighting for sighting in before.sightings if sighting.source == DETECTION]
    return dataclasses.replace(seen, sightings=(*seen.sightings, *told))


def looked_again(seen: Observation, found: Description) -> Observation:
    """An observation with what a second look adds to it."""
    told = {(sighting.name, sighting.track_id) for sighting in seen.sightings}
    new = [sighting for sighting in found.sightings if (sighting.name, sighting.track_id) not in told]
    text = '; '.join(part for part in (seen.text, found.text) if part)
    return dataclasses.replace(seen, sightings=(*seen.sightings, *new), text=text)


def pairs(frames: Sequence[KeyFrame]) -> list[tuple[KeyFrame | None, KeyFrame]]:
    """Each key frame with the one before it in its session, None where there is none."""
    by_key = {frame.key: frame for frame in frames}
    return [(by_key.get((frame.camera, frame.session, frame.index - 1)), frame) for frame in frames]
