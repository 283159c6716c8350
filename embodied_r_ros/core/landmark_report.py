"""The things of a scene as landmarks: where they are in the fixed frame, and from where the robot stands."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from embodied_r_ros.core.landmark_history import Scene
from embodied_r_ros.core.landmark_places import Place
from embodied_r_ros.core.landmarks import Thing
from embodied_r_ros.core.motion import rotation_matrix
from embodied_r_ros.core.records import Evidence, Landmark, Pose

# A landmark names so many of the key frames that show it, the newest.
MAX_EVIDENCE = 4
# The frame of a session without odometry: the base where it stood at the first key frame.
START_FRAME = 'start'


def landmarks_of(scene: Scene, odometry_frame: str, pose: Pose | None = None) -> tuple[Landmark, ...]:
    """The landmarks of a scene, in the order in which they were first seen.

    Things whose places cannot be compared with where the robot stands now, or are not known, are left out.

    Args:
        odometry_frame: name of the frame that poses from odometry are in.
        pose: of the base now, in the frame of the scene's last stand; the last stand unless given.
    """
    stand = scene.stand
    if stand is None:
        return ()
    frame_id = odometry_frame if stand.by_odometry else START_FRAME
    placed = ((thing, thing.place) for thing in scene.things.values() if thing.stretch == stand.stretch)
    return tuple(
        _landmark(thing, place, scene, frame_id, pose or stand.pose) for thing, place in placed if place is not None
    )


def _landmark(thing: Thing, place: Place, scene: Scene, frame_id: str, pose: Pose) -> Landmark:
    way_m = np.array(place.position_m) - (pose.x_m, pose.y_m, pose.z_m)
    ahead_m, left_m, _ = (rotation_matrix(pose).T @ way_m).tolist()
    return Landmark(
        id=thing.id,
        name=thing.name,
        number=scene.numbers[thing.id],
        stamp_ns=thing.last_seen_ns,
        frame_id=frame_id,
        position_m=place.position_m,
        covariance_m2=place.covariance_m2,
        distance_m=math.hypot(ahead_m, left_m),
        bearing_left_deg=math.degrees(math.atan2(left_m, ahead_m)),
        first_seen_ns=thing.first_seen_ns,
        last_seen_ns=thing.last_seen_ns,
        sightings=thing.sightings,
        evidence=tuple(
            Evidence(camera=camera, session=session, index=index, stamp_ns=scene.views[key].stamp_ns, text='')
            for key in thing.keys[-MAX_EVIDENCE:]
            if key in scene.views
            for camera, session, index in (key,)
        ),
    )


def named(landmarks: Iterable[Landmark], *texts: str) -> tuple[Landmark, ...]:
    """The landmarks that the texts name, nearest first; 'chair 2' names the second chair, 'chair' each of them."""
    read = '\n'.join(texts).lower()
    found = (landmark for landmark in landmarks if _is_named(landmark, read))
    return tuple(sorted(found, key=lambda landmark: landmark.distance_m))


def _is_named(landmark: Landmark, text: str) -> bool:
    numbers = re.findall(rf'(?<![\w-]){re.escape(landmark.name.lower())}(?: (\d{{1,4}}))?(?![\w-])', text)
    return any(number in ('', str(landmark.number)) for number in numbers)
