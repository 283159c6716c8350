"""Images of a recording wait for the pose behind them, and not for long."""

from __future__ import annotations

import pytest
from builders import frame, ns, pose, texture

from embodied_r_ros.app.later_poses import LaterPoses
from embodied_r_ros.core.frames import ImageItem, OdometryItem, RecordedItem


def image(stamp_s: float) -> ImageItem:
    return ImageItem(stamp_ns=ns(stamp_s), number=0, frame=frame(texture(64, 48), stamp_s))


def at(stamp_s: float) -> OdometryItem:
    return OdometryItem(stamp_ns=ns(stamp_s), pose=pose())


def order(*items: RecordedItem) -> list[str]:
    """'i' and 'p' with their seconds."""
    return [f'{"i" if isinstance(item, ImageItem) else "p"}{item.stamp_ns / 1e9:g}' for item in LaterPoses(items, 0.2)]


@pytest.mark.parametrize(
    ('items', 'expected'),
    [
        ([image(1), image(2), image(3)], ['i1', 'i2', 'i3']),
        ([at(1), image(1.1), at(1.2), image(1.3)], ['p1', 'i1.1', 'p1.2', 'i1.3']),
        ([at(1), image(1.5), image(1.7), at(2), image(2.1)], ['p1', 'p2', 'i1.5', 'i1.7', 'i2.1']),
        ([at(1), image(1.5), image(3), image(4.1), at(9)], ['p1', 'i1.5', 'p9', 'i3', 'i4.1']),
        ([at(1), image(9), at(10)], ['p1', 'i9', 'p10']),
        ([at(1), image(1.5), image(0.1)], ['p1', 'i1.5', 'i0.1']),
    ],
    ids=['no odometry', 'fast odometry', 'seldom', 'odometry ends', 'odometry paused', 'time set back'],
)
def test_images_wait_for_the_pose_behind_them(items: list[RecordedItem], expected: list[str]) -> None:
    assert order(*items) == expected


def test_the_newest_image_read_is_known_before_it_is_passed_on() -> None:
    items = LaterPoses([at(1), image(1.5), at(2)], 0.2)
    passed = iter(items)
    next(passed)
    assert next(passed) == at(2)
    assert items.newest_ns == ns(1.5)
