"""Perception by a model behind a server."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver
from embodied_r_ros.core.errors import BackendRefused, ReplyError
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.phrases import write_motion
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Motion, MotionSource

pytestmark = pytest.mark.system

# Not images: what matters is that they arrive byte for byte.
FIRST, SECOND = EncodedImage(data=b'\xff\xd8first\xff\xd9'), EncodedImage(data=b'\x89PNGsecond', mime='image/png')
ODOMETRY = Motion(name='move forward', forward_m=1.42, left_m=0.0, up_m=0.0, rotate_left_deg=0.0, tilt_up_deg=0.0,
                  source=MotionSource.ODOMETRY)  # fmt: skip
TURN = Motion(name='rotate left', rotate_left_deg=31.0, tilt_up_deg=0.0, source=MotionSource.IMAGES)
GUESS = Motion(name='move forward', source=MotionSource.IMAGES)
REPLY = json.dumps({'action': 'rotate right', 'new': 'a red sofa ahead'})


def frame(index, image, motion=None):
    return KeyFrame(
        session=1, index=index, stamp_ns=index, frame_id='cam', image=image, reason='overlap', motion=motion
    )


@pytest.fixture
def server():
    with FakeOpenAI(REPLY) as fake:
        yield fake


def use(server, task):
    async def main():
        perceiver = OpenAIPerceiver(ServerSettings(url=server.url, timeout_s=5.0))
        try:
            return await task(perceiver)
        finally:
            await perceiver.aclose()

    return asyncio.run(main())


def describe(server, previous, current):
    return use(server, lambda perceiver: perceiver.describe(previous, current))


def images(request):
    """The images of a request, as (mime, bytes), and the kinds of its parts."""
    parts = request.json['messages'][0]['content']
    urls = [part['image_url']['url'] for part in parts if part['type'] == 'image_url']
    decoded = [(url[5 : url.index(';')], base64.b64decode(url.split(',')[1])) for url in urls]
    return decoded, [part['type'] for part in parts]


def test_the_first_frame_is_shown_alone_and_has_no_action(server):
    got = describe(server, None, frame(0, FIRST, ODOMETRY))
    assert (got.motion, got.text) == (None, 'a red sofa ahead') and got.latency_s > 0.0
    assert images(server.chats[0]) == ([('image/jpeg', FIRST.data)], ['image_url', 'text'])


def test_a_pair_is_shown_before_and_after_with_the_bytes_as_they_came(server):
    describe(server, frame(0, FIRST), frame(1, SECOND))
    decoded, kinds = images(server.chats[0])
    assert decoded == [('image/jpeg', FIRST.data), ('image/png', SECOND.data)]
    assert kinds == ['image_url', 'image_url', 'text']


def test_structured_output_is_asked_for(server):
    describe(server, frame(0, FIRST), frame(1, SECOND))
    asked = server.chats[0].json
    assert asked['response_format']['type'] == 'json_schema'
    assert asked['response_format']['json_schema']['schema']['required'] == ['action', 'new']
    assert (asked['temperature'], asked['max_tokens']) == (0.1, 512)


@pytest.mark.parametrize(
    ('motion', 'named', 'action'),
    [
        pytest.param(None, 'rotate right', 'rotated right', id='the-models-word'),
        pytest.param(None, 'hover', '', id='no-known-word'),
        pytest.param(ODOMETRY, 'rotate right', 'moved forward 1.42 m', id='odometry-is-certain'),
        pytest.param(TURN, 'move forward', 'rotated left 31 deg', id='a-measured-turn-stands'),
        pytest.param(GUESS, 'rotate right', 'rotated right', id='a-guess-gives-way'),
        pytest.param(GUESS, 'move forward', 'moved forward', id='a-guess-confirmed'),
        pytest.param(GUESS, '', 'moved forward', id='a-guess-and-no-word'),
        pytest.param(Motion(name='stay'), 'tilt upward', 'tilted upward', id='a-motion-from-nowhere'),
    ],
)
def test_the_action_is_measured_or_named(server, motion, named, action):
    server.reply = json.dumps({'action': named, 'new': 'x'})
    told = describe(server, frame(0, FIRST), frame(1, SECOND, motion)).motion
    assert ('' if told is None else write_motion(told)) == action


def test_the_model_is_told_what_odometry_measured(server):
    describe(server, frame(0, FIRST), frame(1, SECOND, ODOMETRY))
    text = server.chats[0].json['messages'][0]['content'][-1]['text']
    assert 'measured by odometry: moved forward 1.42 m' in text


def test_the_image_parts_of_the_first_pass_and_the_focus_pass_are_the_same_bytes(server):
    async def both(perceiver):
        await perceiver.describe(frame(0, FIRST), frame(1, SECOND, ODOMETRY))
        return await perceiver.focus(frame(0, FIRST), frame(1, SECOND, ODOMETRY), 'Where is the sofa?')

    assert use(server, both).text == 'a red sofa ahead'
    first, focus = (request.body for request in server.chats)
    shared = first.index(b'{"type": "text"')
    assert shared > 2 * 10 and first[:shared] == focus[:shared]
    assert b'Where is the sofa?' in focus and b'Where is the sofa?' not in first


def test_a_server_without_structured_output_is_asked_without_from_then_on(server):
    def reply(asked):
        if 'response_format' in asked:
            server.status, server.error, server.failures = 400, 'response_format is not supported', 1
        return '1. Rotate left\n2. a door'

    server.status, server.error, server.failures = 400, 'response_format is not supported', 1

    async def twice(perceiver):
        return [await perceiver.describe(frame(0, FIRST), frame(1, SECOND)) for _ in range(2)]

    server.reply = reply
    got = use(server, twice)
    assert [(one.motion, one.text) for one in got] == [(Motion(name='rotate left'), 'a door')] * 2
    assert ['response_format' in request.json for request in server.chats] == [True, False, False]


def test_prose_is_kept_whole(server):
    server.reply = 'I see a sofa, 1.5 m off.'
    assert describe(server, None, frame(0, FIRST)).text == 'I see a sofa, 1.5 m off.'


def test_thinking_beside_an_empty_content_is_kept(server):
    server.reply, server.reasoning = '', 'There is a sofa.'
    assert describe(server, None, frame(0, FIRST)).text == 'There is a sofa.'


def test_an_empty_reply_is_a_reply_error(server):
    server.reply = ''
    with pytest.raises(ReplyError, match="a description was wanted, the model wrote ''"):
        describe(server, None, frame(0, FIRST))


def test_the_probe_shows_two_images_and_explains_a_limit(server):
    async def probe(perceiver):
        await perceiver.probe()
        return perceiver.name

    assert use(server, probe) == 'fake-model'
    decoded, _ = images(server.trials[0])
    assert len(decoded) == 2 and all(data.startswith(b'\xff\xd8') for _, data in decoded)
    server.status, server.error = 400, 'At most 1 image(s) may be provided in one prompt.'
    with pytest.raises(BackendRefused, match='limit-mm-per-prompt'):
        use(server, probe)
