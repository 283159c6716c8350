"""Images kept to what a server can take."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters.codec import encode_jpeg, image_size
from embodied_r_ros.adapters.image_budget import ImageBudget, grey_image
from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver
from embodied_r_ros.core.errors import BackendRefused, InputError
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import EncodedImage, KeyFrame

TOO_LONG = "This model's maximum context length is 8192 tokens, the prompt has 12834."


def picture(width, height, seed=0):
    return encode_jpeg(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8))


def fit(budget, *images):
    async def main():
        return await asyncio.gather(*map(budget.fit, images))

    return asyncio.run(main())


@pytest.mark.parametrize('size_wh', [(1000, 1000), (100, 50), (1154, 866)])
def test_an_image_that_fits_stays_the_bytes_that_it_is(size_wh):
    image = grey_image(size_wh)
    (got,) = fit(ImageBudget(1_000_000), image)
    assert got.image is image and got.size_wh == size_wh


@pytest.mark.parametrize(
    ('size_wh', 'shrunk_wh'),
    [((200, 150), (115, 86)), ((150, 200), (86, 115)), ((2000, 20), (1000, 10)), ((20_000, 1), (10_000, 1))],
)
def test_a_larger_one_is_shrunk_in_its_aspect_ratio(size_wh, shrunk_wh):
    (got,) = fit(ImageBudget(10_000), grey_image(size_wh))
    assert got.size_wh == shrunk_wh == image_size(got.image) and math.prod(shrunk_wh) <= 10_000
    assert got.image.mime == 'image/jpeg'


def test_a_key_frame_is_shrunk_once_for_both_of_its_pairs():
    budget, image = ImageBudget(10_000), picture(200, 150)
    first, second = fit(budget, image, EncodedImage(data=bytes(bytearray(image.data))))
    assert first is second is fit(budget, image)[0]


def test_the_shrunk_images_held_are_bounded_in_bytes():
    images = [picture(200, 150, seed) for seed in range(3)]
    one_fits = len(fit(ImageBudget(10_000), images[0])[0].image.data) + 100
    budget = ImageBudget(10_000, held_bytes=one_fits)
    first, *_ = fit(budget, *images)
    again = fit(budget, images[0])[0]
    assert again is not first and again == first


def test_what_is_no_image_is_for_the_server_to_see():
    image = EncodedImage(data=b'\xff\xd8first\xff\xd9')
    (got,) = fit(ImageBudget(10_000), image)
    assert got.image is image and got.size_wh == (0, 0)


def test_a_large_image_that_cannot_be_decoded_is_an_input_error():
    whole = picture(200, 150).data
    broken = EncodedImage(
        data=b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0' + whole[:50] + b'IEND\xaeB`\x82', mime='image/png'
    )
    with pytest.raises(InputError, match='decodable'):
        fit(ImageBudget(10_000), broken)


def test_the_largest_image_has_the_budget_at_four_to_three():
    assert ImageBudget(1_000_000).largest_wh == (1152, 864)


def frame(index, image):
    return KeyFrame(session=1, index=index, stamp_ns=index, frame_id='cam', image=image, reason='overlap')


def use(server, task, **settings):
    async def main():
        perceiver = OpenAIPerceiver(ServerSettings(url=server.url, timeout_s=20.0), **settings)
        try:
            return await task(perceiver)
        finally:
            await perceiver.aclose()

    return asyncio.run(main())


def urls(request):
    return [part['image_url']['url'] for part in request.json['messages'][0]['content'] if part['type'] == 'image_url']


@pytest.mark.system
def test_pairs_and_second_looks_show_the_same_shrunk_bytes():
    async def look(perceiver):
        frames = [frame(index, picture(200, 150, index)) for index in range(3)]
        await perceiver.describe(frames[0], frames[1])
        await perceiver.describe(frames[1], frames[2])
        await perceiver.focus(frames[1], frames[2], 'Where is the sofa?')

    with FakeOpenAI('{"action": "", "new": "a sofa"}') as server:
        use(server, look, max_image_px=10_000)
        first, second, focus = map(urls, server.chats)
    assert first[1] == second[0] and second == focus


@pytest.mark.system
def test_the_probe_shows_the_size_that_comes_and_a_refusal_names_it():
    async def look(perceiver):
        with pytest.raises(BackendRefused, match=r'2 images of 1152 x 864') as caught:
            await perceiver.probe()
        assert 'lower max_image_px' in str(caught.value) and 'max_observations' not in str(caught.value)
        with pytest.raises(BackendRefused, match=r'\(shown: 2 images of 320 x 240 and 200 x 150\)'):
            await perceiver.describe(frame(0, picture(320, 240)), frame(1, picture(200, 150)))
        with pytest.raises(BackendRefused, match='1 image of 200 x 150'):
            await perceiver.describe(None, frame(1, picture(200, 150)))
        with pytest.raises(BackendRefused, match='2 images of 200 x 150'):
            await perceiver.probe()

    with FakeOpenAI() as server:
        server.status, server.error = 400, TOO_LONG
        use(server, look)
