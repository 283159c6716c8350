"""Boxes that a vision-language model draws in the request that describes a key frame."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters.codec import encode_jpeg
from embodied_r_ros.adapters.depth_images import encode_depth
from embodied_r_ros.adapters.eye_boxes import BoxEye
from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver
from embodied_r_ros.core.box_units import PER_MILLE
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Pose, Sighting

pytestmark = pytest.mark.system

CAMERA = Camera(width=640, height=480, fx_px=500.0, fy_px=500.0, cx_px=319.5, cy_px=239.5)
DESK = {'name': 'desk', 'box': [419, 189, 520, 290]}
LAMP = {'name': 'floor lamp', 'box': [0, 100, 40, 400]}


def reply(*things: Any, **words: str) -> str:
    return json.dumps({'action': 'move forward', 'new': 'a desk', **words, 'things': things})


def frame(index: int = 0, depth_m: float = math.nan, **changes: Any) -> KeyFrame:
    depth: EncodedImage | None = None
    if not math.isnan(depth_m):
        depth = encode_depth(DepthMap(np.full((240, 320), depth_m, np.float32)))
    values = {'calibration': CAMERA.calibration, 'depth': depth, **changes}
    image = encode_jpeg(np.full((480, 640, 3), 100 + index, np.uint8))
    return KeyFrame(session=1, index=index, stamp_ns=index, frame_id='', image=image, reason='first', **values)


@pytest.fixture
def describe() -> Callable[..., tuple[list[Description], list[dict[str, Any]]]]:
    """What is told of key frames in turn, each with its reply, and the requests."""

    def run(frames: list[KeyFrame], *replies: str, **options: Any) -> tuple[list[Description], list[dict[str, Any]]]:
        async def main(server: FakeOpenAI) -> list[Description]:
            given = {'eyes': [BoxEye()], **options}
            perceiver = OpenAIPerceiver(ServerSettings(url=server.url, timeout_s=60.0), **given)
            described = []
            for before, current, server.reply in zip([None, *frames], frames, replies):
                described.append(await perceiver.describe(before, current))
            await perceiver.aclose()
            return described

        with FakeOpenAI() as server:
            return asyncio.run(main(server)), [chat.json for chat in server.chats]

    return run


def test_one_request_describes_a_key_frame_and_lists_things_with_boxes(describe: Any) -> None:
    (told,), (asked,) = describe([frame()], reply(DESK, LAMP))
    assert told.text == 'a desk'
    assert [(seen.name, seen.source) for seen in told.sightings] == [('floor lamp', 'box'), ('desk', 'box')]
    desk = told.sightings[1]
    assert desk.bearing_left_deg == pytest.approx(-math.degrees(math.atan2(150, 500)))
    assert desk.box_px == (419.0, 189.0, 520.0, 290.0)
    assert math.isnan(desk.distance_m)
    assert asked['max_tokens'] == 512 + 12 * 48
    assert 'things' in asked['response_format']['json_schema']['schema']['required']
    assert 'pixels of an image of 640 x 480' in asked['messages'][0]['content'][-1]['text']
    assert told.latency_s > 0.0


def test_without_that_eye_nothing_is_asked_or_read_of_boxes(describe: Any) -> None:
    (told,), (asked,) = describe([frame()], reply(DESK), eyes=())
    assert told.sightings == ()
    assert asked['max_tokens'] == 512 and 'box' not in json.dumps(asked)


def test_depth_tells_how_far_the_middle_of_a_thing_is(describe: Any) -> None:
    (told,), _ = describe([frame(depth_m=2.0)], reply(DESK))
    (desk,) = told.sightings
    assert desk.distance_m == pytest.approx(2.0 * math.hypot(1.0, 0.3) + 0.2, abs=0.01)


def test_rays_are_in_the_axes_of_the_base(describe: Any) -> None:
    left = Pose(x_m=0.0, y_m=0.0, z_m=1.0, qx=0.0, qy=0.0, qz=math.sin(math.pi / 4), qw=math.cos(math.pi / 4))
    (told,), _ = describe([frame(camera_pose=left)], reply(DESK))
    assert told.sightings[0].bearing_left_deg == pytest.approx(90.0 - math.degrees(math.atan2(150, 500)))


def test_without_depth_a_thing_is_as_far_as_its_foot_on_the_floor(describe: Any) -> None:
    level = Pose(x_m=0.0, y_m=0.0, z_m=1.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)
    (told,), _ = describe([frame(camera_pose=level)], reply({'name': 'bin', 'box': [219, 189, 420, 440]}))
    assert told.sightings[0].level_distance_m == pytest.approx(2.5 + 0.5, abs=0.02)
    assert told.sightings[0].spread_along_m > 0.8


def test_boxes_of_a_shrunk_image_are_scaled_back(describe: Any) -> None:
    (told,), (asked,) = describe([frame()], reply({'name': 'desk', 'box': [160, 60, 240, 180]}), max_image_px=320 * 240)
    assert 'pixels of an image of 320 x 240' in asked['messages'][0]['content'][-1]['text']
    assert told.sightings[0].box_px == pytest.approx((320.0, 120.0, 480.0, 360.0))


def test_boxes_in_thousandths_are_read(describe: Any) -> None:
    (told,), _ = describe([frame()], reply({'name': 'desk', 'box': [500, 250, 750, 750]}), box_units=PER_MILLE)
    assert told.sightings[0].box_px == pytest.approx((320.0, 120.0, 480.0, 360.0))


def test_a_cut_reply_keeps_its_whole_entries(describe: Any) -> None:
    (told,), _ = describe([frame()], reply(DESK, LAMP)[:-20])
    assert told.text == 'a desk'
    assert [seen.name for seen in told.sightings] == ['desk']


def test_what_the_key_frame_before_shows_is_not_new(describe: Any) -> None:
    (_, told), _ = describe([frame(0), frame(1)], reply(DESK), reply(DESK, LAMP))
    assert {seen.name: seen.in_view_before for seen in told.sightings} == {'desk': True, 'floor lamp': False}


def test_boxes_that_are_none_are_told_once_and_counted(describe: Any, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {'name': 'desk', 'box': [520, 189, 419, 290]}
    described, _ = describe([frame(0), frame(1)], reply(wrong, wrong, LAMP), reply(wrong))
    assert [[seen.name for seen in told.sightings] for told in described] == [['floor lamp'], []]
    assert [told.left_out for told in described] == [{'box': 2}, {'box': 1}]
    (record,) = caplog.records
    assert record.message.startswith('a box must have left < right and upper < lower, got [520, 189, 419, 290]')


def test_other_eyes_look_beside_the_model(describe: Any) -> None:
    class Tags:
        name, takes_long = 'tags', False

        def look(self, picture: Picture) -> tuple[Sighting, ...]:
            return (Sighting.level('tag 7', 0.0, 2.0, source='tag', track_id='7'),)

    (told,), _ = describe([frame()], reply(DESK, LAMP), eyes=[Tags(), BoxEye()])
    assert [seen.name for seen in told.sightings] == ['floor lamp', 'tag 7', 'desk']
    (alone,), _ = describe([frame()], '{"new": "a desk"}', eyes=[Tags()])
    assert ([seen.name for seen in alone.sightings], alone.text) == (['tag 7'], 'a desk')


def test_a_model_that_lists_nothing_or_writes_prose_still_describes(describe: Any) -> None:
    described, _ = describe([frame(0), frame(1)], reply(), 'A desk stands ahead.')
    assert [(told.text, told.sightings) for told in described] == [('a desk', ()), ('A desk stands ahead.', ())]
