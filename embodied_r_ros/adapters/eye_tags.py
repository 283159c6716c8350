"""The eye that reads AprilTags: which things are in view, where, and how far.

A labels file (YAML) gives tags their nouns:

    17: sofa
    18: {name: floor lamp, size_m: 0.2, depth_m: 0.25}

`size_m` is the side of the black square where it differs from the `tag_size_m` setting; `depth_m` is how far behind the
tag the middle of the thing lies. The same tag may hang on several sides of one thing, or on several things that stand
apart.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied_r_ros.adapters.apriltags import FAMILIES, Floats, Tag, TagReader, locate
from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.records import Sighting
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.yaml_file import read_mapping
from embodied_r_ros.share import share_path

LABELS_FILE = 'labels.yaml'
# Standard deviation of where a tag is, as a share of its distance.
SPREAD_SHARE = 0.02
MIN_SPREAD_M = 0.02
# Tags of one id hang on several things where these would lie farther apart than this; in sides of the tag where its
# size is not known.
SAME_THING_M = 1.0
SAME_THING_SIDES = 2.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagSettings(Settings):
    """How tags are read, and what they mean."""

    tag_family: str = setting('36h11', 'The tags are of this AprilTag family.', choices=FAMILIES)
    tag_size_m: float = setting(
        0.4, 'The black square of a tag is this wide; 0 gives no distances.', unit='m', within=(0.0, 10.0)
    )
    labels: str = setting('', "This YAML file names the tags; '' calls them 'tag 17'.")
    max_range_m: float = setting(8.0, 'Tags that are farther away are left out.', unit='m', within=(0.1, 1000.0))
    min_side_px: float = setting(12.0, 'Tags that look smaller are left out.', unit='px', within=(6.0, 1000.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagLabel:
    """What a tag hangs on; `size_m` None takes the setting's, `depth_m` is from the tag to the thing's middle."""

    name: str
    size_m: float | None = None
    depth_m: float = 0.0


_Placed = tuple[Tag, Floats]


class TagEye:
    """Implements `adapters.eyes.Eye`: one sighting per thing that carries a tag.

    The tag's number is the `track_id`, unless several things in the image carry it.

    Args:
        settings: how tags are read.
        labels: in place of the file that the settings name.

    Raises:
        SettingsError: the labels cannot be used, or OpenCV cannot read tags.
    """

    name = 'apriltag'
    takes_long = False

    def __init__(self, settings: TagSettings | None = None, labels: Mapping[int, TagLabel] | None = None) -> None:
        self._settings = settings or TagSettings()
        if labels is None:
            labels = read_labels(share_path(self._settings.labels)) if self._settings.labels else {}
        self._labels = dict(labels)
        self._reader = TagReader(self._settings.tag_family, self._settings.min_side_px)

    def look(self, picture: Picture) -> tuple[Sighting, ...]:
        """The things whose tags it shows, from left to right; a camera that is not calibrated gives no distances."""
        sides: dict[int, list[Tag]] = {}
        for tag in self._reader.read(picture.image):
            sides.setdefault(tag.id, []).append(tag)
        lens, calibrated = picture.lens, picture.camera is not None
        found = [seen for tags in sides.values() for seen in self._sightings(tags, lens, calibrated)]
        return tuple(sorted(found, key=lambda seen: -seen.bearing_left_deg))

    def _sightings(self, tags: list[Tag], camera: Camera, calibrated: bool) -> list[Sighting]:
        """What carries the tags of an id, each thing once."""
        label = self._labels.get(tags[0].id, TagLabel(name=f'tag {tags[0].id}'))
        size_m = self._settings.tag_size_m if label.size_m is None else label.size_m
        measured = calibrated and size_m > 0
        depth_m = label.depth_m if measured else 0.0
        places = [(tag, locate(tag, camera, size_m or 1.0, depth_m)) for tag in tags]
        things = _things(
            [(tag, place) for tag, place in places if place is not None],
            SAME_THING_M if measured else SAME_THING_SIDES * (size_m or 1.0),
        )
        track_id = str(tags[0].id) if len(things) == 1 else ''
        found = (self._sighting(thing, label.name, track_id, measured) for thing in things)
        return [seen for seen in found if seen is not None]

    def _sighting(self, thing: list[_Placed], name: str, track_id: str, measured: bool) -> Sighting | None:
        """A thing by all of its tags that are in view, the larger the weightier; None where it is out of range."""
        place = _middle(thing)
        distance_m = float(np.linalg.norm(place))
        if measured and distance_m > self._settings.max_range_m:
            return None
        spread_m = max(SPREAD_SHARE * distance_m, MIN_SPREAD_M) if measured else math.nan
        x, y, z = (float(part) for part in place / distance_m)
        corners = max((tag for tag, _ in thing), key=lambda tag: tag.side_px).corners_px
        left, upper, right, lower = (float(edge) for edge in (*corners.min(axis=0), *corners.max(axis=0)))
        return Sighting(
            name=name,
            track_id=track_id,
            ray=(z, -x, -y),
            distance_m=distance_m if measured else math.nan,
            spread_along_m=spread_m,
            spread_across_m=spread_m,
            source='tag',
            box_px=(left, upper, right, lower),
        )


def _things(placed: list[_Placed], apart_m: float) -> list[list[_Placed]]:
    """The tags of an id by the things that carry them: each belongs to the nearest, unless that is too far away."""
    things: list[list[_Placed]] = []
    for tag, place in sorted(placed, key=lambda one: -one[0].side_px):
        nearest = min(things, key=lambda thing: _apart(thing, place), default=None)
        if nearest is None or _apart(nearest, place) > apart_m:
            things.append([(tag, place)])
        else:
            nearest.append((tag, place))
    return things


def _apart(thing: list[_Placed], place: Floats) -> float:
    return float(np.linalg.norm(_middle(thing) - place))


def _middle(thing: list[_Placed]) -> Floats:
    return np.average([place for _, place in thing], axis=0, weights=[tag.side_px**2 for tag, _ in thing])


def read_labels(path: str | pathlib.Path) -> dict[int, TagLabel]:
    """Read a labels file.

    Raises:
        SettingsError: the file cannot be read or holds something else than ids with nouns.
    """
    content = read_mapping(path, 'labels', "tag ids to nouns, as in '17: sofa'")
    # What stands in the file is not shown: a wrong path may lead to one with secrets.
    numbered = enumerate(content.items(), 1)
    return {_tag_id(f'{path}: entry {number}', key): _label(path, key, value) for number, (key, value) in numbered}


def find_labels(recording: str | pathlib.Path) -> pathlib.Path | None:
    """The labels.yaml that lies beside a recording: in a bag's folder, or in the folder that holds the bag or file."""
    path = pathlib.Path(recording).resolve()
    is_part_of_bag = path.is_file() and (path.parent / 'metadata.yaml').is_file()
    bag = path.parent if is_part_of_bag else path
    return next((file for folder in (bag, bag.parent) if (file := folder / LABELS_FILE).is_file()), None)


def _tag_id(place: str, key: Any) -> int:
    if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key < 1e9:
        raise SettingsError(f'{place}: a tag id must be a whole number from 0 on, got {_kind(key)}')
    return key


def _label(path: str | pathlib.Path, key: int, value: Any) -> TagLabel:
    entry = {'name': value} if isinstance(value, str) else value
    if not isinstance(entry, dict) or not set(entry) <= {'name', 'size_m', 'depth_m'}:
        found = 'another key' if isinstance(entry, dict) else _kind(value)
        raise SettingsError(f'{path}: tag {key!r} needs a noun, or name with size_m and depth_m; got {found}')
    name = entry.get('name')
    if not isinstance(name, str) or not name.strip() or ';' in name:
        found = 'text with one, or none' if isinstance(name, str) else _kind(name)
        raise SettingsError(f'{path}: tag {key!r} needs a noun without semicolon as its name, got {found}')
    for part, least in (('size_m', 1e-3), ('depth_m', 0.0)):
        number = entry.get(part, least)
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not least <= number < 1e9:
            raise SettingsError(f'{path}: {part} of tag {key!r} must be metres from {least:g} on, got {_kind(number)}')
    size_m = entry.get('size_m')
    return TagLabel(
        name=name.strip(), size_m=None if size_m is None else float(size_m), depth_m=float(entry.get('depth_m', 0.0))
    )


def _kind(found: Any) -> str:
    """A number as it is, where it is not too long; of anything else its type."""
    is_short = isinstance(found, float) or (isinstance(found, int) and abs(found) < 1e12)
    return f'{found:g}' if is_short else type(found).__name__
