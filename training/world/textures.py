"""Procedural textures of the simulated world: seeded, rich in corners, cheap to store as JPEG.

A texture is an image and its halved copies, so that far surfaces are drawn from few texels without shimmer.
"""

from __future__ import annotations

import functools
import zlib

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Bgr = tuple[int, int, int]

WALL_TEXELS_PER_M = 64
FLOOR_TEXELS_PER_M = 48
FACE_TEXELS_PER_M = 80
TAG_SIZE_M = 0.4
PLATE_WIDTH_M = 0.5
PLATE_HEIGHT_M = 0.6

_CELLS = 8
_CELL_TEXELS = 16


class Texture:
    """An image and its halved copies; level 0 is the finest."""

    def __init__(self, image: Image) -> None:
        self.levels = [np.ascontiguousarray(image)]
        while min(self.levels[-1].shape[:2]) >= 16:
            self.levels.append(np.asarray(cv2.pyrDown(self.levels[-1]), np.uint8))

    def level(self, texels_per_px: float) -> Image:
        """The copy whose texels come closest to one a pixel, given how many of the finest there are a pixel."""
        wanted = 0 if texels_per_px <= 1.0 else round(float(np.log2(texels_per_px)))
        return self.levels[min(wanted, len(self.levels) - 1)]


def seeded(*parts: int | str) -> np.random.Generator:
    """A random generator that depends on the parts and on nothing else, such as `seeded(scene.seed, 'floor')`."""
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in parts])


def smooth_noise(
    rng: np.random.Generator, height: int, width: int, cell: int, amount: float
) -> npt.NDArray[np.float32]:
    """Noise in [-amount, amount], (height, width), whose bumps are `cell` texels wide."""
    coarse = rng.uniform(-amount, amount, (max(2, height // cell + 1), max(2, width // cell + 1))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def colour(rng: np.random.Generator, saturation: tuple[int, int], value: tuple[int, int]) -> Bgr:
    """A random colour within a range of saturation and brightness, 0 to 255 each."""
    hsv = np.array([[[rng.integers(0, 180), rng.integers(*saturation), rng.integers(*value)]]], np.uint8)
    blue, green, red = (int(part) for part in cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0])
    return blue, green, red


def bricks(
    rng: np.random.Generator, height: int, width: int, base: Bgr, brick_wh: tuple[int, int], joint: int
) -> Image:
    """A wall of bricks or, with square bricks, of tiles: each a little off the base colour, joints darker."""
    brick_w, brick_h = brick_wh
    offset = brick_w // 2 if brick_w != brick_h else 0
    rows, course = np.arange(height) // brick_h, np.arange(height) % (2 * brick_h) // brick_h
    shifted = np.arange(width) + np.array([[0], [offset]])  # of every other course of bricks
    index = shifted // brick_w
    tints = rng.normal(0.0, 7.5, (int(rows[-1]) + 1, int(index[course].max()) + 1)).astype(np.float32)
    tint = tints[rows[:, None], index[course]]
    tint[(shifted % brick_w < joint)[course]] = -26.0
    tint[np.arange(height) % brick_h < joint] = -26.0
    tint += smooth_noise(rng, height, width, 24, 5.0)
    return shade(base, tint)


def shade(base: Bgr, offset: npt.NDArray[np.float32]) -> Image:
    """The base colour, brighter and darker by `offset` (height, width)."""
    shaded: Image = cv2.merge([np.clip(offset + part, 0, 255).astype(np.uint8) for part in base])
    return shaded


def room_wall(rng: np.random.Generator, length_m: float, height_m: float, base: Bgr) -> Image:
    """Wallpaper or painted brick with a skirting board, pictures and a window or two."""
    width, height = _texels(length_m, WALL_TEXELS_PER_M), _texels(height_m, WALL_TEXELS_PER_M)
    if rng.random() < 0.5:
        image = bricks(rng, height, width, base, (44, 18), 2)
    else:
        stripes = np.where(np.arange(width) // int(rng.integers(14, 24)) % 2 == 0, 7.0, -7.0).astype(np.float32)
        image = shade(base, stripes[None, :] + smooth_noise(rng, height, width, 20, 12.0))
    image[-10:] = np.array(base, np.uint8) // 2
    left = int(rng.integers(10, 50))
    while left + 40 < width:
        picture_w, picture_h = int(rng.integers(34, 90)), int(rng.integers(34, 74))
        top = int(rng.integers(12, height - picture_h - 70))
        if left + picture_w < width:
            _hang(image, picture(rng, picture_h, picture_w), left, top)
        left += picture_w + int(rng.integers(24, 90))
    return image


def picture(rng: np.random.Generator, height: int, width: int) -> Image:
    """A framed picture of a few flat shapes."""
    image = np.full((height, width, 3), colour(rng, (20, 90), (150, 235)), np.uint8)
    for _ in range(5):
        ink = colour(rng, (50, 150), (60, 220))
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        if rng.random() < 0.5:
            cv2.circle(image, centre, int(rng.integers(4, max(6, height // 3))), ink, -1, cv2.LINE_AA)
        else:
            far = (centre[0] + int(rng.integers(5, width // 2 + 6)), centre[1] + int(rng.integers(5, height // 2 + 6)))
            cv2.rectangle(image, centre, far, ink, -1)
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), colour(rng, (20, 120), (40, 110)), 4)
    return image


def facade(rng: np.random.Generator, length_m: float, height_m: float) -> Image:
    """A row of houses: brick or plaster, windows with frames, doors, a cornice."""
    width, height = _texels(length_m, WALL_TEXELS_PER_M // 2), _texels(height_m, WALL_TEXELS_PER_M // 2)
    image = np.zeros((height, width, 3), np.uint8)
    left = 0
    while left < width:
        house_w = int(rng.integers(150, 300))
        right = width if width - left - house_w < 90 else left + house_w
        image[:, left:right] = _house(rng, height, right - left)
        left = right
    return image


def _house(rng: np.random.Generator, height: int, width: int) -> Image:
    base = colour(rng, (15, 70), (120, 210))
    image = bricks(rng, height, width, base, (20, 10) if rng.random() < 0.6 else (32, 32), 1)
    trim = colour(rng, (10, 60), (160, 235))
    window_w, window_h = int(rng.integers(22, 36)), int(rng.integers(34, 50))
    storey, gap = window_h + 40, window_w + int(rng.integers(18, 40))
    door = int(rng.integers(0, max(1, width // gap)))
    for row, top in enumerate(range(height - window_h - 32, 10, -storey)):
        for column, left in enumerate(range(14, width - window_w - 6, gap)):
            if row == 0 and column == door:
                glass = colour(rng, (80, 160), (60, 150))
                _pane(image, left, height - window_h - 30, window_w, window_h + 30, glass, trim)
            else:
                _pane(image, left, top, window_w, window_h, colour(rng, (20, 80), (50, 120)), trim)
    cv2.rectangle(image, (0, 0), (width - 1, 6), trim, -1)
    cv2.rectangle(image, (0, height - 8), (width - 1, height - 1), (88, 90, 94), -1)
    return image


def _pane(image: Image, left: int, top: int, width: int, height: int, glass: Bgr, frame: Bgr) -> None:
    cv2.rectangle(image, (left, top), (left + width, top + height), glass, -1)
    gleam = tuple(min(255, part + 30) for part in glass)
    cv2.line(image, (left + 2, top + height // 2), (left + width // 2, top + 2), gleam, 2)
    cv2.rectangle(image, (left, top), (left + width, top + height), frame, 2)
    cv2.line(image, (left + width // 2, top), (left + width // 2, top + height), frame, 1)


def room_floor(rng: np.random.Generator, length_m: float, width_m: float) -> Image:
    """Planks or tiles with a rug."""
    width, height = _texels(length_m, FLOOR_TEXELS_PER_M), _texels(width_m, FLOOR_TEXELS_PER_M)
    if rng.random() < 0.5:
        image = bricks(rng, height, width, (92, 128, 164), (72, 11), 1)
    else:
        image = bricks(rng, height, width, colour(rng, (10, 50), (130, 190)), (28, 28), 1)
    rug_w, rug_h = int(width * rng.uniform(0.2, 0.4)), int(height * rng.uniform(0.2, 0.4))
    left, top = int(rng.integers(0, width - rug_w)), int(rng.integers(0, height - rug_h))
    rug = bricks(rng, rug_h, rug_w, colour(rng, (60, 130), (90, 170)), (18, 18), 3)
    cv2.rectangle(rug, (0, 0), (rug_w - 1, rug_h - 1), (70, 60, 60), 3)
    _hang(image, rug, left, top)
    return image


def street_floor(rng: np.random.Generator, length_m: float, width_m: float) -> Image:
    """Asphalt with patches, cracks and a dashed line, paved along the two longer sides."""
    width, height = _texels(length_m, FLOOR_TEXELS_PER_M // 2), _texels(width_m, FLOOR_TEXELS_PER_M // 2)
    if height > width:
        return np.ascontiguousarray(street_floor(rng, width_m, length_m).transpose(1, 0, 2))
    rough = smooth_noise(rng, height, width, 7, 13.0) + smooth_noise(rng, height, width, 60, 10.0)
    image = shade((104, 104, 102), rough)
    for _ in range(max(4, width * height // 20000)):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        grey = int(rng.integers(70, 130))
        far = (x + int(rng.integers(8, 40)), y + int(rng.integers(8, 30)))
        cv2.rectangle(image, (x, y), far, (grey, grey, grey), -1)
    pavement = max(8, height // 6)
    for rows in (slice(0, pavement), slice(height - pavement, height)):
        image[rows] = bricks(rng, pavement, width, (150, 156, 160), (20, 20), 1)
    for left in range(10, width, 90):
        cv2.rectangle(image, (left, height // 2 - 2), (left + 45, height // 2 + 2), (205, 210, 210), -1)
    return image


def ceiling(rng: np.random.Generator, length_m: float, width_m: float) -> Image:
    """Light panels in a grid, some of them lamps."""
    width, height = _texels(length_m, FLOOR_TEXELS_PER_M // 2), _texels(width_m, FLOOR_TEXELS_PER_M // 2)
    image = bricks(rng, height, width, (196, 202, 204), (30, 30), 1)
    for top in range(30, height - 15, 90):
        for left in range(30, width - 30, 90):
            cv2.rectangle(image, (left, top), (left + 29, top + 14), (240, 246, 248), -1)
    return image


def clouds(rng: np.random.Generator) -> Image:
    """A sky of soft clouds, 256 texels square."""
    offset = smooth_noise(rng, 256, 256, 40, 22.0) + smooth_noise(rng, 256, 256, 12, 9.0)
    return shade((226, 200, 176), offset)


def object_face(rng: np.random.Generator, base: Bgr, width_m: float, height_m: float) -> Image:
    """One side of an object: its colour, panels and a darker edge."""
    width, height = _texels(width_m, FACE_TEXELS_PER_M), _texels(height_m, FACE_TEXELS_PER_M)
    image = shade(base, smooth_noise(rng, height, width, 12, 10.0))
    dark, light = tuple(int(c * 0.72) for c in base), tuple(min(255, int(c * 1.2) + 12) for c in base)
    for _ in range(int(rng.integers(2, 5))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        far = (x + int(rng.integers(6, width // 2 + 8)), y + int(rng.integers(6, height // 2 + 8)))
        cv2.rectangle(image, (x, y), far, dark if rng.random() < 0.5 else light, 2)
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), dark, 3)
    return image


@functools.lru_cache(maxsize=1024)
def plate(tag_id: int, name: str) -> Texture:
    """A white plate with an AprilTag of family 36h11 and its noun below.

    The black square is TAG_SIZE_M wide, the plate PLATE_WIDTH_M by PLATE_HEIGHT_M; the square's centre lies half a
    plate's width below the upper edge.
    """
    side = (_CELLS + 2) * _CELL_TEXELS
    image = np.full((side * 6 // 5, side), 244, np.uint8)
    image[_CELL_TEXELS : side - _CELL_TEXELS, _CELL_TEXELS : side - _CELL_TEXELS] = _marker(tag_id)
    (text_w, _), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 2)
    scale = min(0.75, (side - 8) / max(1, text_w))
    start = (round((side - text_w * scale) / 2), side + 14)
    cv2.putText(image, name, start, cv2.FONT_HERSHEY_SIMPLEX, scale, 40, 2, cv2.LINE_AA)
    return Texture(np.maximum(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), 24).astype(np.uint8))


def _marker(tag_id: int) -> Image:
    aruco = cv2.aruco
    side = _CELLS * _CELL_TEXELS
    family = aruco.DICT_APRILTAG_36h11
    if hasattr(aruco, 'generateImageMarker'):
        return np.asarray(aruco.generateImageMarker(aruco.getPredefinedDictionary(family), tag_id, side), np.uint8)
    return np.asarray(aruco.drawMarker(aruco.Dictionary_get(family), tag_id, side), np.uint8)


def _hang(image: Image, what: Image, left: int, top: int) -> None:
    image[top : top + what.shape[0], left : left + what.shape[1]] = what


def _texels(length_m: float, texels_per_m: int) -> int:
    return max(8, round(length_m * texels_per_m))
