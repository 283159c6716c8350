"""Observations as JSON: what samples hold, what `answer --json` prints and what perception's cache keeps.

    {"stamp_ns": 1750000003200000000, "action": "moved forward 1.25 m", "text": "sofa 20 deg left at 3.2 m",
     "motion": {"name": "move forward", "source": "odometry", "forward_m": 1.25, ...,
                "moves": [{"kind": "forward", "amount": 1.25}]},
     "sightings": [{"name": "sofa", "ray": [0.94, 0.34, 0.02], "distance_m": 3.21, "source": "tag", ...}],
     "prose": ""}

`action` and `text` are the words for people; what is read back is `motion`, `sightings` and `prose`, and `pose` and
`camera_pose` where they are known. An entry without `motion` is words only, and its words are read by `phrase_reader`.
Numbers that are not known are left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.poses import sound_pose
from embodied_r_ros.core.records import Landmark, Motion, MotionSource, Move, Pose, Sighting
from embodied_r_ros.evaluation.phrase_reader import from_words

Entry = dict[str, Any]
_POSES = ('pose', 'camera_pose')


def to_entry(observation: Observation) -> Entry:
    """An observation, without what tells it from others beside its stamp."""
    return {
        'stamp_ns': observation.stamp_ns,
        'action': observation.action,
        'text': observation.view,
        **data_of(observation.motion, observation.sightings, observation.text),
        **{name: dataclasses.asdict(pose) for name in _POSES if (pose := getattr(observation, name)) is not None},
    }


def landmark_entry(landmark: Landmark) -> Entry:
    """A landmark as scripts read it: places in metres in `frame`, distance and bearing from where the base stands."""
    return {
        'id': landmark.id,
        'name': landmark.name,
        'number': landmark.number,
        'position_m': list(landmark.position_m),
        'frame': landmark.frame_id,
        'spread_m': landmark.spread_m,
        'distance_m': landmark.distance_m,
        'bearing_left_deg': landmark.bearing_left_deg,
        'first_seen_ns': landmark.first_seen_ns,
        'last_seen_ns': landmark.last_seen_ns,
        'sightings': landmark.sightings,
    }


def data_of(motion: Motion | None, sightings: Sequence[Sighting], prose: str) -> Entry:
    """What was measured and written, as `read_data` reads it."""
    return {
        'motion': None if motion is None else _known(motion, 'moves') | {'moves': [_known(m) for m in motion.moves]},
        'sightings': [_known(sighting) for sighting in sightings],
        'prose': prose,
    }


def from_entry(entry: Mapping[str, Any], session: int, index: int) -> Observation:
    """An observation of a session from its entry.

    Raises:
        InputError: a part is missing or of another kind.
    """
    try:
        stamp_ns = int(entry['stamp_ns'])
        if 'motion' not in entry:
            return from_words(session, index, stamp_ns, entry['action'], entry['text'])
        motion, sightings, prose = read_data(entry)
        poses = [_pose(entry[name]) if name in entry else None for name in _POSES]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f'an observation with stamp_ns, action and text was wanted, got {entry!r}: {error!r}'
        ) from error
    return Observation(
        session=session,
        index=index,
        stamp_ns=stamp_ns,
        motion=motion,
        sightings=sightings,
        text=prose,
        pose=poses[0],
        camera_pose=poses[1],
    )


def _pose(entry: Mapping[str, float]) -> Pose:
    pose = sound_pose(Pose(**{name: float(value) for name, value in entry.items()}))
    if pose is None:
        raise ValueError(f'a pose must have finite numbers and a unit quaternion, got {entry!r}')
    return pose


def read_data(entry: Mapping[str, Any]) -> tuple[Motion | None, tuple[Sighting, ...], str]:
    """Motion, sightings and prose from what `data_of` made.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it was not made by `data_of`.
    """
    told = entry['motion']
    motion = None
    if told is not None:
        moves = tuple(Move(**{'amount': math.nan, **move}) for move in told.get('moves', ()))
        motion = Motion(**{**told, 'source': MotionSource(told.get('source', 'none')), 'moves': moves})
    return motion, tuple(_sighting(one) for one in entry['sightings']), str(entry.get('prose', ''))


def _sighting(entry: Mapping[str, Any]) -> Sighting:
    x, y, z = entry['ray']
    box = entry.get('box_px')
    return Sighting(**{**entry, 'ray': (x, y, z), 'box_px': None if box is None else tuple(box)})


def _known(record: Any, *without: str) -> Entry:
    """The fields of a record that say something: no NaN, no None, nothing that is the default."""
    known = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        unknown = value is None or (isinstance(value, float) and math.isnan(value))
        if field.name not in without and not unknown and value != field.default:
            known[field.name] = value.value if isinstance(value, MotionSource) else value
    return known
