"""Images kept to a number of pixels that a model server can take, each shrunk once."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import math
from collections import OrderedDict

import cv2
import numpy as np

from embodied_r_ros.adapters.codec import decode, encode_jpeg, image_size
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import EncodedImage

QUALITY = 90
HELD_BYTES = 32_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class FittingImage:
    """An image as it is sent; `size_wh` in pixels, (0, 0) where its header cannot be read."""

    image: EncodedImage
    size_wh: tuple[int, int]


class ImageBudget:
    """Shrinks images with too many pixels; those that fit stay the bytes that they are.

    The newest shrunk images are held, so that the same bytes are sent for the next pair and for a second look: the
    server's prefix cache then holds them already.

    Args:
        max_px: pixels that an image may have.
        held_bytes: of shrunk images.
    """

    def __init__(self, max_px: int, held_bytes: int = HELD_BYTES) -> None:
        self._max_px, self._held_bytes = max_px, held_bytes
        self._held: OrderedDict[bytes, FittingImage] = OrderedDict()
        self._turn = asyncio.Lock()

    @property
    def largest_wh(self) -> tuple[int, int]:
        """The size of the largest image that is sent, at 4:3."""
        unit = math.isqrt(self._max_px // 12)
        return 4 * unit, 3 * unit

    async def fit(self, image: EncodedImage) -> FittingImage:
        """The image with at most so many pixels, of the same aspect ratio; an unreadable one is for the server to see.

        Raises:
            InputError: it is too large, and cannot be decoded.
        """
        try:
            size_wh = image_size(image)
        except InputError:
            return FittingImage(image=image, size_wh=(0, 0))
        if math.prod(size_wh) <= self._max_px:
            return FittingImage(image=image, size_wh=size_wh)
        key = hashlib.blake2b(image.data, digest_size=16).digest()
        async with self._turn:  # a key frame of two pairs is asked for twice at the same time
            if key not in self._held:
                self._held[key] = await asyncio.to_thread(self._shrunk, image, size_wh)
            self._held.move_to_end(key)
            fitting = self._held[key]
            while len(self._held) > 1 and sum(len(one.image.data) for one in self._held.values()) > self._held_bytes:
                self._held.popitem(last=False)
            return fitting

    def _shrunk(self, image: EncodedImage, size_wh: tuple[int, int]) -> FittingImage:
        scale = math.sqrt(self._max_px / math.prod(size_wh))
        width, height = (min(max(int(side * scale), 1), self._max_px) for side in size_wh)
        small = cv2.resize(decode(image), (width, height), interpolation=cv2.INTER_AREA)
        return FittingImage(image=encode_jpeg(np.asarray(small, np.uint8), QUALITY), size_wh=(width, height))


def grey_image(size_wh: tuple[int, int]) -> EncodedImage:
    """A grey JPEG of a size, in pixels."""
    return encode_jpeg(np.full((size_wh[1], size_wh[0]), 128, np.uint8), QUALITY)
