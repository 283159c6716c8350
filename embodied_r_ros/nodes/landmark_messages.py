"""Landmarks as messages: for programs, and as markers for RViz."""

from __future__ import annotations

from collections.abc import Sequence

from embodied_r_interfaces import msg as messages
from geometry_msgs.msg import Point, PointStamped, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from embodied_r_ros.core.records import Landmark
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes.conversions import (
    evidence_from_message,
    evidence_to_message,
    fields_of,
    header,
    ns_from_stamp,
    stamp_from_ns,
)

_SAME = ('id', 'name', 'number', 'distance_m', 'bearing_left_deg', 'sightings')
_BALL_M, _TEXT_M, _TEXT_ABOVE_M = 0.15, 0.2, 0.25
_COLOUR = {'r': 0.1, 'g': 0.55, 'b': 0.9, 'a': 0.9}


def landmark_from_message(message: messages.Landmark) -> Landmark:
    """A landmark.

    Raises:
        InputError: a stamp or a pose in it cannot be used.
    """
    at = message.position.point
    return Landmark(
        stamp_ns=ns_from_stamp(message.position.header.stamp),
        frame_id=message.position.header.frame_id,
        position_m=(at.x, at.y, at.z),
        covariance_m2=tuple(float(number) for number in message.covariance),
        first_seen_ns=ns_from_stamp(message.first_seen),
        last_seen_ns=ns_from_stamp(message.last_seen),
        evidence=tuple(map(evidence_from_message, message.evidence)),
        **fields_of(message, _SAME),
    )


def landmark_to_message(landmark: Landmark) -> messages.Landmark:
    """A landmark message."""
    return messages.Landmark(
        position=PointStamped(header=_header(landmark), point=_point(landmark)),
        covariance=landmark.covariance_m2,
        first_seen=stamp_from_ns(landmark.first_seen_ns),
        last_seen=stamp_from_ns(landmark.last_seen_ns),
        evidence=list(map(evidence_to_message, landmark.evidence)),
        **fields_of(landmark, _SAME),
    )


def array_to_message(landmarks: Sequence[Landmark], session: int, stamp_ns: int) -> messages.LandmarkArray:
    """All landmarks of a session, as known at a stamp."""
    frame_id = landmarks[0].frame_id if landmarks else ''
    return messages.LandmarkArray(
        header=header(stamp_ns, frame_id), session=session, landmarks=list(map(landmark_to_message, landmarks))
    )


def markers(landmarks: Sequence[Landmark]) -> MarkerArray:
    """A ball at each landmark and its name above it; what was shown before is removed."""
    shown = [Marker(action=Marker.DELETEALL)]
    for number, landmark in enumerate(landmarks):
        # A stamp of zero is the newest transform, whatever the age of the sighting.
        shared = {'header': Header(frame_id=clean(landmark.frame_id)), 'id': number, 'color': ColorRGBA(**_COLOUR)}
        ball = Marker(ns='landmarks', type=Marker.SPHERE, scale=Vector3(x=_BALL_M, y=_BALL_M, z=_BALL_M), **shared)
        name = Marker(ns='names', type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=_TEXT_M), **shared)
        name.text = clean(f'{landmark.name} {landmark.number}')
        ball.pose.position, name.pose.position = _point(landmark), _point(landmark)
        name.pose.position.z += _TEXT_ABOVE_M
        shown += [ball, name]
    return MarkerArray(markers=shown)


def _header(landmark: Landmark) -> Header:
    return header(landmark.stamp_ns, landmark.frame_id)


def _point(landmark: Landmark) -> Point:
    x, y, z = landmark.position_m
    return Point(x=x, y=y, z=z)
