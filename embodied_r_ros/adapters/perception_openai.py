"""Perception by a vision-language model behind an OpenAI-compatible server (paper, section 3).

The images stand before the text, as the JPEG or PNG bytes that they came as, or shrunk where they have too many pixels,
and are the same in the first pass and in the focus pass: the server's prefix cache then holds them already.
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from embodied_r_ros.adapters.image_budget import FittingImage, ImageBudget, grey_image
from embodied_r_ros.adapters.openai_http import VLM_KEY, OpenAIClient
from embodied_r_ros.adapters.openai_refusals import SchemaRefused
from embodied_r_ros.adapters.openai_replies import ChatReply
from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.core.errors import BackendRefused
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PerceptionPrompt, describe_prompt, focus_prompt
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Motion, MotionSource
from embodied_r_ros.core.replies import Described, read_description

IMAGES_PER_PROMPT = 2
MAX_IMAGE_PX = 1_000_000
SHORTER_PROMPT = 'lower max_image_px, or serve with a larger --max-model-len or with --mm-processor-kwargs'

Result = TypeVar('Result')


class OpenAIPerceiver:
    """Implements `adapters.perception.Perceiver`.

    Args:
        server: where the model is.
        temperature: of the sampling.
        max_tokens: of a description.
        max_image_px: images with more pixels are shrunk to so many.
        key_variable: environment variable with the server's key.
    """

    source = 'openai'

    def __init__(
        self,
        server: ServerSettings,
        *,
        temperature: float = 0.1,
        max_tokens: int = 512,
        max_image_px: int = MAX_IMAGE_PX,
        key_variable: str = VLM_KEY,
    ) -> None:
        self._sampling = {'temperature': temperature, 'max_tokens': max_tokens}
        self._client = OpenAIClient(server, key_variable, SHORTER_PROMPT)
        self._budget = ImageBudget(max_image_px)
        self._size_wh = self._budget.largest_wh  # of the newest key frame
        self._takes_schema = True

    def __repr__(self) -> str:
        return f'OpenAIPerceiver({self._client!r})'

    @property
    def name(self) -> str:
        """The model's id; '' until `probe` has found the only one served."""
        return self._client.served.id

    async def probe(self) -> None:
        """Find the server and the model on it, and show it two images of the size that comes.

        Servers tell their limits only when asked. The size is that of the newest key frame, and the largest before one.

        Raises:
            BackendError: as `OpenAIClient.probe` and `try_out` say.
        """
        await self._client.probe()
        size_wh = self._size_wh
        grey = FittingImage(image=await asyncio.to_thread(grey_image, size_wh), size_wh=size_wh)
        shown = [grey] * IMAGES_PER_PROMPT
        await _naming_sizes(shown, self._client.try_out([_message([grey.image] * IMAGES_PER_PROMPT, 'Reply with OK.')]))

    async def ping(self) -> None:
        """See whether the server lists the model.

        Raises:
            BackendError: as `OpenAIClient.ping` says.
        """
        await self._client.ping()

    async def describe(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """Write down what a key frame shows, question or no question.

        Odometry's motion counts. A motion seen in the images counts where it is a measured turn, or where the model
        says the same or nothing; otherwise the model's word counts.

        Raises:
            InputError: an image is too large, and cannot be decoded.
            BackendError: the server did not do its part.
            ReplyError: the reply is empty.
        """
        start_s = time.monotonic()
        motion = current.motion if previous is not None else None
        is_told = motion is not None and motion.source is not MotionSource.NONE and not motion.jumped
        told = motion if is_told else None
        found = await self._ask(previous, current, describe_prompt(previous is not None, told))
        motion = _motion(found.action, told) if previous is not None else None
        return Description(motion=motion, text=found.text, latency_s=time.monotonic() - start_s)

    async def focus(self, previous: KeyFrame | None, current: KeyFrame, question_text: str) -> Description:
        """Write down what a key frame shows of the things that a question is about; raises as `describe`."""
        start_s = time.monotonic()
        found = await self._ask(previous, current, focus_prompt(previous is not None, question_text))
        return Description(text=found.text, latency_s=time.monotonic() - start_s)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, previous: KeyFrame | None, current: KeyFrame, prompt: PerceptionPrompt) -> Described:
        images = [await self._budget.fit(frame.image) for frame in (previous, current) if frame is not None]
        self._size_wh = images[-1].size_wh if all(images[-1].size_wh) else self._size_wh
        reply = await _naming_sizes(
            images, self._chat_in_some_form(_message([one.image for one in images], prompt.text), prompt)
        )
        return read_description(reply.text, reply.reasoning)

    async def _chat_in_some_form(self, message: dict[str, Any], prompt: PerceptionPrompt) -> ChatReply:
        with_schema = self._takes_schema
        try:
            return await self._chat(message, prompt, with_schema)
        except SchemaRefused:
            if not with_schema:
                raise
            self._takes_schema = False
            return await self._chat(message, prompt, False)

    async def _chat(self, message: dict[str, Any], prompt: PerceptionPrompt, with_schema: bool) -> ChatReply:
        options: dict[str, Any] = dict(self._sampling)
        if with_schema:
            schema = {'name': 'key_frame', 'strict': True, 'schema': prompt.schema}
            options['response_format'] = {'type': 'json_schema', 'json_schema': schema}
        return await self._client.chat([message], **options)


async def _naming_sizes(images: Sequence[FittingImage], asking: Awaitable[Result]) -> Result:
    """What comes of a request; a refusal of it names the images that it showed."""
    try:
        return await asking
    except BackendRefused as error:
        sizes = [f'{width} x {height}' for width, height in (image.size_wh for image in images) if width and height]
        if not sizes:
            raise
        is_one_size = len(set(sizes)) == 1
        shown = (
            f'{len(sizes)} image{"s" if len(sizes) > 1 else ""} of {sizes[0] if is_one_size else " and ".join(sizes)}'
        )
        raise type(error)(f'{error} (shown: {shown})') from error


def _message(images: Sequence[EncodedImage], text: str) -> dict[str, Any]:
    urls = [_data_url(image) for image in images]
    parts: list[dict[str, Any]] = [{'type': 'image_url', 'image_url': {'url': url}} for url in urls]
    return {'role': 'user', 'content': [*parts, {'type': 'text', 'text': text}]}


def _data_url(image: EncodedImage) -> str:
    return f'data:{image.mime};base64,{base64.b64encode(image.data).decode()}'


def _motion(named: str, motion: Motion | None) -> Motion | None:
    """The motion: measured, or as the model names it."""
    if motion is None:
        return Motion(name=named) if named else None
    turned = not math.isnan(motion.rotate_left_deg) and motion.name.startswith('rotate')
    if motion.source is MotionSource.ODOMETRY or turned or named in ('', motion.name):
        return motion
    return Motion(name=named)
