"""The perceiver that looks with eyes: what several eyes see together, and what one that fails costs."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence

import numpy as np
import pytest

from embodied_r_ros.adapters import looking
from embodied_r_ros.adapters.codec import encode_jpeg
from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver
from embodied_r_ros.core.errors import BackendUnavailable, InputError
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Sighting

IMAGE = encode_jpeg(np.zeros((48, 64, 3), np.uint8))


class FakeEye:
    """Sees a list in each image, the last one for ever; an error in place of a list is raised.

    Attributes:
        looks: images that it was shown.
    """

    takes_long = False

    def __init__(self, name: str, *seen: Sequence[Sighting] | Exception) -> None:
        self.name = name
        self.looks = 0
        self._seen = seen

    def look(self, picture: Picture) -> tuple[Sighting, ...]:
        seen = self._seen[min(self.looks, len(self._seen) - 1)]
        self.looks += 1
        if isinstance(seen, Exception):
            raise seen
        return tuple(seen)


def key_frame(index: int, image: EncodedImage = IMAGE, camera: str = '') -> KeyFrame:
    return KeyFrame(session=1, index=index, stamp_ns=index, frame_id='', image=image, reason='first', camera=camera)


def thing(name: str, left_deg: float, distance_m: float = 2.0, source: str = 'box', track_id: str = '') -> Sighting:
    return Sighting.level(name, left_deg, distance_m, source=source, track_id=track_id, spread_along_m=0.1)


def describe(count: int, *eyes: FakeEye) -> list[Description]:
    """What is told of so many key frames, each against the one before it."""
    perceiver = OpenCVPerceiver(eyes)
    frames = [key_frame(index) for index in range(count)]
    return [perceiver.describe_now(before, frame) for before, frame in zip([None, *frames], frames)]


def names(described: Description) -> list[str]:
    return [seen.name for seen in described.sightings]


def test_what_all_eyes_see_is_told_from_left_to_right() -> None:
    signs = FakeEye('signs', [thing('room 12', 5.0, source='sign')])
    boxes = FakeEye('boxes', [thing('plant', -20.0), thing('desk', 30.0)])
    assert list(map(names, describe(1, signs, boxes))) == [['desk', 'room 12', 'plant']]


def test_the_model_is_named_after_the_eyes() -> None:
    assert OpenCVPerceiver([FakeEye('apriltag', []), FakeEye('ocr', [])]).name == 'opencv-apriltag-ocr'


@pytest.mark.parametrize(
    ('before', 'after', 'is_new'),
    [
        (thing('desk', 0.0, track_id='1'), thing('desk', 9.0, track_id='1'), False),
        (thing('desk', 0.0, track_id='1'), thing('desk', 9.0, track_id='2'), True),
        (thing('desk', 0.0, track_id='1'), thing('desk', 9.0, track_id='1', source='tag'), True),
        (thing('desk', 0.0), thing('desk', 9.0), False),
        (thing('desk', 0.0), thing('lamp', 9.0), True),
    ],
    ids=['same track', 'another track', 'same track id of another source', 'same name', 'another name'],
)
def test_a_thing_is_new_unless_its_track_or_else_its_name_was_in_the_key_frame_before(
    before: Sighting, after: Sighting, is_new: bool
) -> None:
    _, second = describe(2, FakeEye('boxes', [before], [after]))
    assert [seen.in_view_before for seen in second.sightings] == [not is_new]


def test_the_things_of_all_eyes_tell_the_motion_together() -> None:
    boxes = FakeEye('boxes', [thing('desk', 0.0, 4.0, track_id='1')], [thing('desk', 0.0, 3.0, track_id='1')])
    ahead_m, left_m = 3.0, 2.0
    seen = [
        thing('exit', math.degrees(math.atan2(left_m, x_m)), math.hypot(x_m, left_m), 'sign', '1')
        for x_m in (ahead_m, ahead_m - 1.0)
    ]
    _, alone = describe(2, boxes)
    assert alone.motion is None
    boxes.looks = 0
    _, together = describe(2, boxes, FakeEye('signs', seen[:1], seen[1:]))
    assert together.motion is not None
    assert together.motion.forward_m == pytest.approx(1.0)


def test_an_eye_that_fails_costs_its_own_sightings_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    signs = FakeEye('signs', BackendUnavailable('no weights'), ValueError('a bug'), [thing('room 12', 0.0)])
    boxes = FakeEye('boxes', [thing('desk', 30.0)])
    with caplog.at_level(logging.WARNING):
        assert list(map(names, describe(3, signs, boxes))) == [['desk'], ['desk'], ['desk', 'room 12']]
    assert [record.message for record in caplog.records] == [
        'the eye signs failed: no weights (logged once, and counted)',
        'the eye signs failed, and what it would see is left out',
    ]
    assert 'ValueError: a bug' in caplog.text


def test_each_eye_that_fails_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    describe(2, *(FakeEye(name, BackendUnavailable('gone')) for name in ('signs', 'boxes')))
    assert [record.message.partition(':')[0] for record in caplog.records] == [
        'the eye signs failed', 'the eye boxes failed'
    ]  # fmt: skip


def test_an_eye_that_fails_does_not_keep_the_perceiver_from_starting() -> None:
    async def start() -> None:
        perceiver = OpenCVPerceiver([FakeEye('signs', BackendUnavailable('gone'))])
        await perceiver.probe()
        await perceiver.aclose()

    asyncio.run(start())


def test_an_image_that_cannot_be_read_is_an_input_error_and_no_eye_is_shown_it() -> None:
    eye = FakeEye('boxes', [])
    with pytest.raises(InputError):
        OpenCVPerceiver([eye]).describe_now(None, key_frame(0, EncodedImage(data=IMAGE.data[:100])))
    assert eye.looks == 0


def test_each_key_frame_is_looked_at_once_and_the_latest_are_remembered() -> None:
    async def describe_all() -> None:
        pairs = [perceiver.describe(before, after) for before, after in zip([None, *frames], frames)]
        await asyncio.gather(*pairs)
        await perceiver.aclose()

    frames = [key_frame(index) for index in range(2 * looking.REMEMBERED)]
    eye = FakeEye('boxes', [])
    perceiver = OpenCVPerceiver([eye])
    asyncio.run(describe_all())
    assert eye.looks == len(frames)
    perceiver.describe_now(None, frames[-looking.REMEMBERED])
    assert eye.looks == len(frames)
    perceiver.describe_now(None, frames[-looking.REMEMBERED - 1])
    assert eye.looks == len(frames) + 1


def test_key_frames_of_two_cameras_are_told_apart() -> None:
    eye = FakeEye('boxes', [thing('desk', 0.0)], [thing('lamp', 0.0)])
    perceiver = OpenCVPerceiver([eye])
    seen = [perceiver.describe_now(None, key_frame(0, camera=camera)) for camera in ('front', 'rear')]
    assert list(map(names, seen)) == [['desk'], ['lamp']]
