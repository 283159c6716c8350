"""What a simulated place is drawn from: walls, floor, ceiling or sky, and the sides and tag plates of its objects."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
import numpy.typing as npt

from training.world import textures
from training.world.path import CAMERA_HEIGHT_M
from training.world.scene import Scene, SceneObject
from training.world.textures import Image, Texture

ROOM_HEIGHT_M = 3.2
SKY_HEIGHT_M = 40.0
SKY_REACH_M = 160.0
MIN_TAG_HEIGHT_M = 0.3

_SIDE_LIGHT = {(1, 0): 0.95, (-1, 0): 0.86, (0, 1): 1.0, (0, -1): 0.8}

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Surface:
    """A textured rectangle: its upper left corner seen from the front, and its edges to the right and downward."""

    corner_m: Array
    right_m: Array
    down_m: Array
    texture: Texture

    def corners(self) -> Array:
        """The four corners in order, (4, 3)."""
        corner, right, down = self.corner_m, self.right_m, self.down_m
        return np.array([corner, corner + right, corner + right + down, corner + down])

    def faces(self, eye_m: Array) -> bool:
        """Whether its front can be seen from a point."""
        return bool(np.dot(self.corner_m - eye_m, self._inward) > 0)

    @functools.cached_property
    def _inward(self) -> Array:
        return np.cross(self.right_m, self.down_m)


@dataclasses.dataclass(frozen=True)
class Solid:
    """An object made ready for drawing: its box, its sides and the plates on them."""

    low_m: Array
    high_m: Array
    sides: tuple[Surface, ...]
    plates: tuple[Surface, ...]


def solid(item: SceneObject, seed: int) -> Solid:
    """The sides and tag plates of an object.

    Plates hang as near to the camera's height as the object reaches; around one narrower than a plate they stand
    off, so that no two cross.
    """
    center, half = np.array(item.center_m, np.float64), np.array(item.size_m, np.float64) / 2
    base = textures.colour(textures.seeded(seed, item.name), (60, 150), (110, 220))
    sides, plates = [], []
    for (x, y), light in _SIDE_LIGHT.items():
        outward, right = np.array([x, y, 0.0]), np.array([-y, x, 0.0])
        width, height = 2 * abs(float(right @ half)), float(2 * half[2])
        rng = textures.seeded(seed, item.name, x, y)
        lit = tuple(int(part * light) for part in base)
        face = Texture(textures.object_face(rng, (lit[0], lit[1], lit[2]), width, height))
        middle = center + outward * half
        down = np.array([0.0, 0.0, -1.0])
        sides.append(Surface(middle - right * width / 2 - down * half[2], right * width, down * height, face))
        hung = center + outward * np.maximum(half, textures.PLATE_WIDTH_M / 2)
        hung[2] = _tag_height(float(center[2]), float(half[2]))
        corner = hung - (right - np.array([0, 0, 1.0])) * textures.PLATE_WIDTH_M / 2
        plate = textures.plate(item.tag_id, item.name)
        plates.append(Surface(corner, right * textures.PLATE_WIDTH_M, down * textures.PLATE_HEIGHT_M, plate))
    rng = textures.seeded(seed, item.name, 'top')
    top = Texture(textures.object_face(rng, base, float(2 * half[0]), float(2 * half[1])))
    corner = center + half * (-1, 1, 1)
    sides.append(Surface(corner, np.array([2 * half[0], 0, 0]), np.array([0, -2 * half[1], 0]), top))
    reach = np.maximum(half, (textures.PLATE_WIDTH_M / 2, textures.PLATE_WIDTH_M / 2, 0.0))
    return Solid(center - reach, center + reach, tuple(sides), tuple(plates))


def _tag_height(center_m: float, half_m: float) -> float:
    room = half_m - MIN_TAG_HEIGHT_M
    reached_m = center_m if room <= 0 else float(np.clip(CAMERA_HEIGHT_M, center_m - room, center_m + room))
    return max(MIN_TAG_HEIGHT_M, reached_m)


def room_surfaces(scene: Scene) -> list[Surface]:
    """Floor, ceiling and the four papered walls of a room."""
    length, width, base = _extent(scene) + (textures.colour(textures.seeded(scene.seed, 'wall'), (12, 60), (165, 215)),)
    floor = textures.room_floor(textures.seeded(scene.seed, 'floor'), length, width)
    ceiling = textures.ceiling(textures.seeded(scene.seed, 'ceiling'), length, width)
    walls = []
    for side in range(4):
        rng = textures.seeded(scene.seed, 'wall', side)
        walls.append(textures.room_wall(rng, length if side % 2 else width, ROOM_HEIGHT_M, base))
    return [_floor(scene, floor), _roof(scene, ROOM_HEIGHT_M, 0.0, ceiling), *_walls(scene, walls)]


def street_surfaces(scene: Scene) -> list[Surface]:
    """Sky, ground and rows of houses on all four sides of a street."""
    length, width = _extent(scene)
    sky = textures.clouds(textures.seeded(scene.seed, 'sky'))
    floor = textures.street_floor(textures.seeded(scene.seed, 'floor'), length, width)
    walls = []
    for side in range(4):
        rng = textures.seeded(scene.seed, 'wall', side)
        walls.append(textures.facade(rng, length if side % 2 else width, float(rng.uniform(5.5, 9.0))))
    return [_roof(scene, SKY_HEIGHT_M, SKY_REACH_M, sky), _floor(scene, floor), *_walls(scene, walls)]


def _extent(scene: Scene) -> tuple[float, float]:
    x_min, y_min, x_max, y_max = scene.bounds_m
    return x_max - x_min, y_max - y_min


def _floor(scene: Scene, image: Image) -> Surface:
    shaded = _shadowed(scene, image)
    x_min, y_min, x_max, y_max = scene.bounds_m
    along, across = np.array([x_max - x_min, 0, 0]), np.array([0, y_min - y_max, 0])
    return Surface(np.array([x_min, y_max, 0.0]), along, across, Texture(shaded))


def _shadowed(scene: Scene, image: Image) -> Image:
    """The floor with a soft shadow where an object stands."""
    x_min, _, _, y_max = scene.bounds_m
    length, width = _extent(scene)
    scale = np.array([image.shape[1] / length, image.shape[0] / width])
    shadow = np.zeros(image.shape[:2], np.uint8)
    for item in scene.objects:
        if item.center_m[2] - item.size_m[2] / 2 < 0.3:
            middle = np.array([item.center_m[0] - x_min, y_max - item.center_m[1]])
            half = np.array(item.size_m[:2]) / 2 + 0.08
            low, high = ((middle - half) * scale).astype(int), ((middle + half) * scale).astype(int)
            cv2.rectangle(shadow, low.tolist(), high.tolist(), 120, -1)
    soft = cv2.blur(shadow, (11, 11))[:, :, None]
    shaded: Image = (image.astype(np.uint16) * (255 - soft) // 255).astype(np.uint8)
    return shaded


def _roof(scene: Scene, height_m: float, reach_m: float, image: Image) -> Surface:
    x_min, y_min, x_max, y_max = scene.bounds_m
    corner = np.array([x_min - reach_m, y_min - reach_m, height_m])
    along, across = np.array([x_max - x_min + 2 * reach_m, 0, 0]), np.array([0, y_max - y_min + 2 * reach_m, 0])
    return Surface(corner, along, across, Texture(image))


def _walls(scene: Scene, images: list[Image]) -> list[Surface]:
    """The four walls, front (x_max), left (y_max), back, right; a texture's width runs along its wall."""
    x_min, y_min, x_max, y_max = scene.bounds_m
    ends = [(x_max, y_max), (x_min, y_max), (x_min, y_min), (x_max, y_min)]
    surfaces = []
    for index, image in enumerate(images):
        right_end, left_end = ends[index - 1], ends[index]
        scale = image.shape[1] / float(np.hypot(right_end[0] - left_end[0], right_end[1] - left_end[1]))
        height = image.shape[0] / scale
        corner = np.array([left_end[0], left_end[1], height])
        along = np.array([right_end[0] - left_end[0], right_end[1] - left_end[1], 0.0])
        surfaces.append(Surface(corner, along, np.array([0, 0, -height]), Texture(image)))
    return surfaces
