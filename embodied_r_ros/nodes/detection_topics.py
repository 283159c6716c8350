"""The topics of detectors that run beside the graph: boxes in images, and places."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from embodied_r_ros.core.detections import Detection, Detections, surest
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import Transform
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import ns_from_stamp
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.transform_topics import TransformTopics

try:
    from vision_msgs.msg import Detection2DArray, Detection3DArray
except ImportError:  # an apt package, which the wheels of the Python index lack
    Detection2DArray = Detection3DArray = None

BOXES, PLACES = 'detections', 'detections_3d'
_MISSING = (
    'the eye detections needs vision_msgs, which is not installed, so no detections are heard; install '
    'ros-$ROS_DISTRO-vision-msgs'
)
_MOST_READ = 4096
_LONGEST = 256


class DetectionTopics:
    """Listens to `detections` and `detections_3d`, and to transforms.

    Args:
        node: whose subscriptions these are.
        hear: takes what came.
        push: takes each transform.
        reject: gets a sentence about a message that cannot be used.
    """

    def __init__(
        self,
        node: ManagedNode,
        hear: Callable[[Detections], None],
        push: Callable[[Transform], None],
        reject: Callable[[str], None],
    ) -> None:
        self._node = node
        self._hear = hear
        self._reject = reject
        self._transforms = TransformTopics(node, push, reject)

    def listen(self) -> None:
        """Subscribe, until the transition that mirrors the one under way."""
        if Detection2DArray is None:
            self._node.get_logger().error(_MISSING)
            return
        self._transforms.listen()
        for kind, topic in ((Detection2DArray, BOXES), (Detection3DArray, PLACES)):
            heard = functools.partial(self._on_message, topic)
            self._node.held(self._node.create_subscription(kind, topic, heard, qos.DETECTIONS))

    def _on_message(self, topic: str, message: Any) -> None:
        try:
            self._hear(detections_from_message(topic, message))
        except InputError as error:
            self._reject(str(error))


def detections_from_message(topic: str, message: Any) -> Detections:
    """What a detector told.

    Args:
        topic: BOXES or PLACES.
        message: of the topic.

    Raises:
        InputError: its stamp is none, or it is far too long.
    """
    found = message.detections
    if len(found) > _MOST_READ:
        raise InputError(f'an image has at most {_MOST_READ} detections, got {len(found)!r}; raise its threshold')
    read = _box if topic == BOXES else _place
    frame_id = message.header.frame_id or next((one.header.frame_id for one in found), '')
    return Detections(
        topic=topic,
        stamp_ns=ns_from_stamp(message.header.stamp),
        frame_id=clean(frame_id[:_LONGEST]),
        found=surest(map(read, found)),
        count=len(found),
    )


def _box(message: Any) -> Detection:
    """A detection with its box, or the upright one around it where it is turned."""
    box, middle = message.bbox, message.bbox.center.position
    half_x, half_y = box.size_x / 2, box.size_y / 2
    if box.center.theta and math.isfinite(box.center.theta):
        along, aside = abs(math.cos(box.center.theta)), abs(math.sin(box.center.theta))
        half_x, half_y = half_x * along + half_y * aside, half_x * aside + half_y * along
    edges = (middle.x - half_x, middle.y - half_y, middle.x + half_x, middle.y + half_y)
    return Detection(box_px=edges, **_class(message))


def _place(message: Any) -> Detection:
    middle = message.bbox.center.position
    return Detection(place_m=(middle.x, middle.y, middle.z), **_class(message))


def _class(message: Any) -> dict[str, Any]:
    """What the likeliest of the hypotheses says."""
    likeliest = max(message.results, key=lambda one: one.hypothesis.score, default=None)
    if likeliest is None:
        return {'class_id': '', 'track_id': message.id[:_LONGEST]}
    told = likeliest.hypothesis
    return {'class_id': told.class_id[:_LONGEST], 'confidence': told.score, 'track_id': message.id[:_LONGEST]}
