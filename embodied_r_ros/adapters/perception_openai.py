"""Perception by a vision-language model behind an OpenAI-compatible server (paper, section 3).

The images stand before the text, as the JPEG or PNG bytes that they came as, and are the same in the first pass and in
the focus pass: the server's prefix cache then holds them already.
"""

from __future__ import annotations

import base64
import math
import time
from typing import Any

import cv2
import numpy as np

from embodied_r_ros.adapters.openai_http import VLM_KEY, OpenAIClient
from embodied_r_ros.adapters.openai_refusals import SchemaRefused
from embodied_r_ros.adapters.openai_replies import ChatReply
from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PerceptionPrompt, describe_prompt, focus_prompt
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Motion, MotionSource
from embodied_r_ros.core.replies import Described, read_description

IMAGES_PER_PROMPT = 2


class OpenAIPerceiver:
    """Implements `adapters.perception.Perceiver`.

    Args:
        server: where the model is.
        temperature: of the sampling.
        max_tokens: of a description.
        key_variable: environment variable with the server's key.
    """

    source = 'openai'

    def __init__(
        self, server: ServerSettings, *, temperature: float = 0.1, max_tokens: int = 512, key_variable: str = VLM_KEY
    ) -> None:
        self._sampling = {'temperature': temperature, 'max_tokens': max_tokens}
        self._client = OpenAIClient(server, key_variable)
        self._takes_schema = True

    def __repr__(self) -> str:
        return f'OpenAIPerceiver({self._client!r})'

    @property
    def name(self) -> str:
        """The model's id; '' until `probe` has found the only one served."""
        return self._client.served.id

    async def probe(self) -> None:
        """Find the server and the model on it, and show it two small images: servers tell their limit only when asked.

        Raises:
            BackendError: as `OpenAIClient.probe` and `chat` say.
        """
        await self._client.probe()
        _, grey = cv2.imencode('.jpg', np.full((64, 64, 3), 128, np.uint8))
        image = EncodedImage(data=grey.tobytes())
        await self._client.chat(
            [_message([image] * IMAGES_PER_PROMPT, 'Reply with OK.')], max_tokens=1, temperature=0.0
        )

    async def describe(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """Write down what a key frame shows, question or no question.

        Odometry's motion counts. A motion seen in the images counts where it is a measured turn, or where the model
        says the same or nothing; otherwise the model's word counts.

        Raises:
            BackendError: the server did not do its part.
            ReplyError: the reply is empty.
        """
        start_s = time.monotonic()
        motion = current.motion if previous is not None else None
        told = motion if motion is not None and motion.source is not MotionSource.NONE else None
        found = await self._ask(previous, current, describe_prompt(previous is not None, told))
        motion = _motion(found.action, told) if previous is not None else None
        return Description(motion=motion, text=found.text, latency_s=time.monotonic() - start_s)

    async def focus(self, previous: KeyFrame | None, current: KeyFrame, question_text: str) -> Description:
        """Write down what a key frame shows of the things that a question is about.

        Raises:
            BackendError: the server did not do its part.
            ReplyError: the reply is empty.
        """
        start_s = time.monotonic()
        found = await self._ask(previous, current, focus_prompt(previous is not None, question_text))
        return Description(text=found.text, latency_s=time.monotonic() - start_s)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, previous: KeyFrame | None, current: KeyFrame, prompt: PerceptionPrompt) -> Described:
        images = [frame.image for frame in (previous, current) if frame is not None]
        message = _message(images, prompt.text)
        with_schema = self._takes_schema
        try:
            reply = await self._chat(message, prompt, with_schema)
        except SchemaRefused:
            if not with_schema:
                raise
            self._takes_schema = False
            reply = await self._chat(message, prompt, False)
        return read_description(reply.text, reply.reasoning)

    async def _chat(self, message: dict[str, Any], prompt: PerceptionPrompt, with_schema: bool) -> ChatReply:
        options: dict[str, Any] = dict(self._sampling)
        if with_schema:
            schema = {'name': 'key_frame', 'strict': True, 'schema': prompt.schema}
            options['response_format'] = {'type': 'json_schema', 'json_schema': schema}
        return await self._client.chat([message], **options)


def _message(images: list[EncodedImage], text: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{'type': 'image_url', 'image_url': {'url': _data_url(image)}} for image in images]
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
