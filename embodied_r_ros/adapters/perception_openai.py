"""Perception by a vision-language model behind an OpenAI-compatible server (paper, section 3).

The images stand before the text, as the JPEG or PNG bytes that they came as, or shrunk where they have too many pixels,
and are the same in the first pass and in the focus pass: the server's prefix cache then holds them already.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from embodied_r_ros.adapters.eye_boxes import BoxEye
from embodied_r_ros.adapters.eyes import Eye
from embodied_r_ros.adapters.image_budget import FittingImage, ImageBudget, grey_image
from embodied_r_ros.adapters.looking import REMEMBERED, Looking, LookingSettings, Seen
from embodied_r_ros.adapters.openai_http import VLM_KEY, OpenAIClient
from embodied_r_ros.adapters.openai_refusals import SchemaRefused
from embodied_r_ros.adapters.openai_replies import ChatReply
from embodied_r_ros.adapters.perception import Description, marked
from embodied_r_ros.core.box_replies import split_things, with_things
from embodied_r_ros.core.box_units import PX
from embodied_r_ros.core.camera import in_base
from embodied_r_ros.core.errors import BackendRefused
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PerceptionPrompt, describe_prompt, focus_prompt
from embodied_r_ros.core.records import EncodedImage, Key, KeyFrame, Motion, MotionSource, Sighting
from embodied_r_ros.core.replies import Described, read_description

IMAGES_PER_PROMPT = 2
MAX_IMAGE_PX = 1_000_000
SHORTER_PROMPT = 'lower max_image_px, or serve with a larger --max-model-len or with --mm-processor-kwargs'

Result = TypeVar('Result')


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Told(Described):
    """What the model told, with the entries of its list of things, for an image that was sent at this size."""

    entries: list[Any]
    sent_wh: tuple[int, int]
    tokens: int


class OpenAIPerceiver:
    """Implements `adapters.perception.Perceiver`.

    Args:
        server: where the model is.
        temperature: of the sampling.
        max_tokens: of a description.
        max_image_px: images with more pixels are shrunk to so many.
        eyes: who else looks; with `BoxEye` the model lists things with boxes too.
        box_units: of the model's boxes, one of `core.box_units.BOX_UNITS`.
        settings: how eyes look.
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
        eyes: Sequence[Eye | BoxEye] = (),
        box_units: str = PX,
        settings: LookingSettings | None = None,
        key_variable: str = VLM_KEY,
    ) -> None:
        self._sampling: dict[str, Any] = {'temperature': temperature, 'max_tokens': max_tokens}
        self._client = OpenAIClient(server, key_variable, SHORTER_PROMPT)
        self._budget = ImageBudget(max_image_px)
        self._size_wh = self._budget.largest_wh  # of the newest key frame
        self._takes_schema = True
        self._boxes = next((eye for eye in eyes if isinstance(eye, BoxEye)), None)
        self._box_units = box_units
        others = [eye for eye in eyes if not isinstance(eye, BoxEye)]
        self._looking = Looking(others, settings) if eyes else None
        self._has_others = bool(others)
        self._seen: OrderedDict[tuple[Key, int], tuple[Sighting, ...]] = OrderedDict()

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
        if self._looking is not None:
            await self._looking.probe()
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

        Odometry's motion counts, and one that was followed through the images. A motion that is only a name counts
        where the model says the same or nothing; otherwise the model's word counts.

        Raises:
            InputError: an image is too large, and cannot be decoded.
            BackendError: the server did not do its part.
            ReplyError: the reply is empty.
        """
        start_s = time.monotonic()
        motion = current.motion if previous is not None else None
        is_told = motion is not None and motion.source is not MotionSource.NONE and not motion.jumped
        told = motion if is_told else None
        prompt = describe_prompt(previous is not None, told)
        asking = asyncio.ensure_future(self._ask(previous, current, prompt, with_boxes=self._boxes is not None))
        try:
            seen = await self._look(current)
            found = await asking
        finally:
            asking.cancel()
        motion = _motion(found.action, told) if previous is not None else None
        seen = await self._with_boxes(seen, found, current)
        before = self._seen.get((previous.key, previous.stamp_ns), ()) if previous is not None else ()
        return Description(
            motion=motion,
            sightings=marked(before, seen.sightings),
            text=found.text,
            latency_s=time.monotonic() - start_s,
            tokens=found.tokens,
            left_out=seen.left_out,
        )

    async def focus(self, previous: KeyFrame | None, current: KeyFrame, question_text: str) -> Description:
        """Write down what a key frame shows of the things that a question is about; raises as `describe`."""
        start_s = time.monotonic()
        found = await self._ask(previous, current, focus_prompt(previous is not None, question_text))
        return Description(text=found.text, latency_s=time.monotonic() - start_s, tokens=found.tokens)

    async def aclose(self) -> None:
        """Close the connections, and end the threads."""
        if self._looking is not None:
            self._looking.close()
        await self._client.aclose()

    async def _look(self, frame: KeyFrame) -> Seen:
        """What the eyes see that look by themselves."""
        return await self._looking.look(frame) if self._looking is not None and self._has_others else Seen()

    async def _with_boxes(self, seen: Seen, found: _Told, frame: KeyFrame) -> Seen:
        """With the things that the model has listed; remembered, to tell what the next key frame shows anew."""
        if self._looking is None:
            return seen
        sightings = seen.sightings
        counts = seen.left_out.copy()
        if self._boxes is not None and found.entries:
            picture = await self._looking.outline(frame)
            if self._has_others:  # which have told of the picture itself
                picture.left_out.clear()
            boxed = self._boxes.sightings(found.entries, picture, found.sent_wh, self._box_units)
            counts += self._looking.count(picture.left_out)
            sightings += in_base(boxed, frame.camera_pose)
        in_order = tuple(sorted(sightings, key=lambda sighting: -sighting.bearing_left_deg))
        self._seen[frame.key, frame.stamp_ns] = in_order
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return Seen(sightings=in_order, left_out=counts)

    async def _ask(
        self, previous: KeyFrame | None, current: KeyFrame, prompt: PerceptionPrompt, with_boxes: bool = False
    ) -> _Told:
        images = [await self._budget.fit(frame.image) for frame in (previous, current) if frame is not None]
        sent_wh = images[-1].size_wh
        self._size_wh = sent_wh if all(sent_wh) else self._size_wh
        sampling = dict(self._sampling)
        if self._boxes is not None and with_boxes and all(sent_wh):
            prompt = with_things(prompt, sent_wh, self._box_units)
            sampling['max_tokens'] += self._boxes.max_tokens
        message = _message([one.image for one in images], prompt.text)
        reply = await _naming_sizes(images, self._chat_in_some_form(message, prompt, sampling))
        text, entries = split_things(reply.text) if with_boxes else (reply.text, [])
        described = read_description(text, reply.reasoning)
        return _Told(
            action=described.action, text=described.text, entries=entries, sent_wh=sent_wh, tokens=reply.tokens
        )

    async def _chat_in_some_form(
        self, message: dict[str, Any], prompt: PerceptionPrompt, sampling: dict[str, Any]
    ) -> ChatReply:
        with_schema = self._takes_schema
        try:
            return await self._chat(message, prompt, sampling, with_schema)
        except SchemaRefused:
            if not with_schema:
                raise
            self._takes_schema = False
            return await self._chat(message, prompt, sampling, False)

    async def _chat(
        self, message: dict[str, Any], prompt: PerceptionPrompt, sampling: dict[str, Any], with_schema: bool
    ) -> ChatReply:
        options = dict(sampling)
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
    followed = bool(motion.moves) or not math.isnan(motion.rotate_left_deg)
    if motion.source is MotionSource.ODOMETRY or followed or named in ('', motion.name):
        return motion
    return Motion(name=named)
