"""The eye that has a vision-language model draw boxes, in the request that describes a key frame."""

from __future__ import annotations

from typing import Any

from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.core.box_replies import MOST_THINGS, TOKENS_PER_THING, Size, read_things
from embodied_r_ros.core.records import Sighting


class BoxEye:
    """Makes sightings of the things that the model behind `perception_openai` lists; that one asks for them."""

    name = 'boxes'
    max_tokens = MOST_THINGS * TOKENS_PER_THING

    def sightings(self, entries: list[Any], picture: Picture, sent_wh: Size, units: str) -> tuple[Sighting, ...]:
        """The things that a reply lists, rays in the axes of the camera as a body; the picture gets what is wrong.

        Args:
            entries: of the reply.
            picture: the current image, before it was shrunk to be sent.
            sent_wh: its size as it was sent.
            units: one of `core.box_units.BOX_UNITS`.
        """
        height, width = picture.image.shape[:2]
        things, wrong = read_things(entries, sent_wh, (width, height), units)
        for sentence, count in wrong:
            picture.leave_out('box', sentence, count)
        return picture.on_floor(picture.boxed(thing.name, thing.box_px, source='box') for thing in things)
