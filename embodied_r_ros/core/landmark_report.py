"""The things of a scene as landmarks: where they are in the fixed frame, and from where the robot stands."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import numpy as np

from embodied_r_ros.core.landmark_history import Scene
from embodied_r_ros.core.landmarks import Thing, View
from embodied_r_ros.core.poses import position, rotation_matrix
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
    return tuple(_landmarks(scene, scene.things.values(), odometry_frame, pose))


def named_landmarks(
    scene: Scene, texts: Iterable[str], odometry_frame: str, pose: Pose | None = None
) -> tuple[Landmark, ...]:
    """As `landmarks_of`, those that the texts name, nearest first.

    'chair 2' names the second chair, 'chair' each of them.
    """
    read = '\n'.join(texts).lower()
    things = [thing for thing in scene.things.values() if _is_named(thing.name.lower(), scene.numbers[thing.id], read)]
    return tuple(sorted(_landmarks(scene, things, odometry_frame, pose), key=lambda landmark: landmark.distance_m))


def _is_named(name: str, number: int, text: str) -> bool:
    if name not in text:
        return False
    numbers = re.findall(rf'(?<![\w-]){re.escape(name)}(?: (\d{{1,4}}))?(?![\w-])', text)
    return any(found in ('', str(number)) for found in numbers)


def _landmarks(scene: Scene, things: Iterable[Thing], odometry_frame: str, pose: Pose | None) -> Iterator[Landmark]:
    stand = scene.stand
    if stand is None:
        return
    frame_id = odometry_frame if stand.by_odometry else START_FRAME
    stood = pose or stand.pose
    axes, from_m = rotation_matrix(stood).T, position(stood)
    for thing in things:
        if thing.place is None or thing.stretch != stand.stretch:
            continue
        ahead_m, left_m, _ = (axes @ (np.array(thing.place.position_m) - from_m)).tolist()
        yield Landmark(
            id=thing.id,
            name=thing.name,
            number=scene.numbers[thing.id],
            stamp_ns=thing.last_seen_ns,
            frame_id=frame_id,
            position_m=thing.place.position_m,
            covariance_m2=thing.place.covariance_m2,
            distance_m=math.hypot(ahead_m, left_m),
            bearing_left_deg=math.degrees(math.atan2(left_m, ahead_m)),
            first_seen_ns=thing.first_seen_ns,
            last_seen_ns=thing.last_seen_ns,
            sightings=thing.sightings,
            evidence=tuple(_evidence(scene.views[key]) for key in thing.keys[-MAX_EVIDENCE:] if key in scene.views),
        )


def _evidence(view: View) -> Evidence:
    camera, session, index = view.key
    return Evidence(camera=camera, session=session, index=index, stamp_ns=view.stamp_ns, text='')


def sentence(landmark: Landmark) -> str:
    """A landmark in words, such as 'chair 2: 3.2 m, 41 deg left; x 2.41, y 2.10, z 0.45 m in odom'."""
    bearing_deg, side = abs(landmark.bearing_left_deg), 'left' if landmark.bearing_left_deg >= 0 else 'right'
    x, y, z = landmark.position_m
    where = f'x {x:.2f}, y {y:.2f}, z {z:.2f} m in {landmark.frame_id}'
    return f'{landmark.name} {landmark.number}: {landmark.distance_m:.1f} m, {bearing_deg:.0f} deg {side}; {where}'
