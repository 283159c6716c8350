"""Egocentric frames of a simulated place, by the painter's algorithm over textured rectangles.

Walls, floor and ceiling lie behind everything and are drawn first; then the objects, each before those that stand in
front of it; of each object its visible sides, then the tag plates on them. A rectangle is cut to the view, in slices of
depth so that each is drawn from a fitting texture level, and warped by the homography between texture and image.
"""

from __future__ import annotations

import cv2
import numpy as np

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.poses import rotation_matrix
from embodied_r_ros.core.records import Pose
from training.world.path import CAMERA, CAMERA_HEIGHT_M
from training.world.scene import Scene
from training.world.surfaces import Array, Solid, Surface, room_surfaces, solid, street_surfaces
from training.world.textures import Image, Texture

NEAR_M = 0.05

_SLICES_M = (NEAR_M, 2.0, 4.0, 8.0, 16.0, 1e4)
_PLATE_FINENESS = 3


class Renderer:
    """Draws one scene as a camera sees it.

    Args:
        scene: the place.
        camera: without distortion; images come in their width and height.
        camera_height_m: of the camera above the base, along base z; it looks along base x.
    """

    def __init__(self, scene: Scene, camera: Camera = CAMERA, camera_height_m: float = CAMERA_HEIGHT_M) -> None:
        self.camera = camera
        self.camera_height_m = camera_height_m
        self._k = np.array([[camera.fx_px, 0, camera.cx_px], [0, camera.fy_px, camera.cy_px], [0, 0, 1.0]])
        self._view_planes = _view_planes(camera)
        self._backdrop = street_surfaces(scene) if scene.kind == 'street' else room_surfaces(scene)
        self._solids = [solid(item, scene.seed) for item in scene.objects]

    def render(self, pose: Pose) -> Image:
        """The view from a base pose, (height, width, 3) uint8 BGR."""
        base = rotation_matrix(pose)
        eye = np.array([pose.x_m, pose.y_m, pose.z_m]) + base[:, 2] * self.camera_height_m
        view = np.stack([-base[:, 1], -base[:, 2], base[:, 0]])
        image = np.full((self.camera.height, self.camera.width, 3), (206, 190, 172), np.uint8)
        for surface in self._backdrop:
            self._draw(image, surface, eye, view)
        for item in in_painting_order(self._solids, eye):
            for surface in item.sides:
                self._draw(image, surface, eye, view)
            for surface in item.plates:
                self._draw(image, surface, eye, view, _PLATE_FINENESS)
        return image

    def _draw(self, image: Image, surface: Surface, eye: Array, view: Array, fineness: int = 1) -> None:
        """Warp the visible part of a surface into the image, drawn `fineness` times finer and then averaged."""
        if not surface.faces(eye):
            return
        polygon = cut(_in_camera(surface.corners(), eye, view), self._view_planes)
        if len(polygon) < 3:
            return
        edges = np.stack([view @ surface.right_m, view @ surface.down_m, view @ (surface.corner_m - eye)], axis=1)
        near, far = float(polygon[:, 2].min()), float(polygon[:, 2].max())
        for low, high in zip(_SLICES_M, _SLICES_M[1:]):
            if far < low or near > high or (fineness > 1 and low > near):
                continue
            whole = (low <= near and far <= high) or fineness > 1
            slice_ = polygon if whole else cut(polygon, np.array([[0, 0, 1.0, -low], [0, 0, -1.0, high]]))
            if len(slice_) >= 3:
                self._warp(image, slice_, self._k @ edges, surface.texture, fineness)

    def _warp(self, image: Image, polygon: Array, to_image: Array, texture: Texture, fineness: int) -> None:
        """Fill a polygon in camera axes from a texture; `to_image` takes (0..1, 0..1, 1) of the texture to pixels."""
        pixels = polygon @ self._k.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 1, (self.camera.width, self.camera.height))
        if right <= left or bottom <= top:
            return
        zoom = np.array(
            [[fineness, 0, fineness * (0.5 - left) - 0.5], [0, fineness, fineness * (0.5 - top) - 0.5], [0, 0, 1.0]]
        )
        texels = texture.level(_texels_per_px(texture, to_image, pixels.mean(axis=0)) / fineness)
        height, width = texels.shape[:2]
        unit = np.array([[1.0 / width, 0, 0.5 / width], [0, 1.0 / height, 0.5 / height], [0, 0, 1.0]])
        size = (int(right - left) * fineness, int(bottom - top) * fineness)
        patch = cv2.warpPerspective(
            texels, zoom @ to_image @ unit, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        outline = np.round(((pixels - (left, top) + 0.5) * fineness - 0.5) * 16).astype(np.int32)
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_8, 4)
        region = image[top:bottom, left:right]
        if fineness == 1:
            cv2.copyTo(patch, mask, region)
            return
        small = (int(right - left), int(bottom - top))
        share = cv2.resize(mask, small, interpolation=cv2.INTER_AREA).astype(np.float32)[:, :, None] / 255.0
        patch = cv2.resize(patch, small, interpolation=cv2.INTER_AREA)
        region[:] = np.rint(region + (patch - region.astype(np.float32)) * share).astype(np.uint8)


def cut(polygon: Array, planes: Array) -> Array:
    """The part of a convex polygon (N, 3) on the inner side of each plane (a, b, c, d), ax + by + cz + d >= 0.

    Sutherland and Hodgman, "Reentrant polygon clipping", 1974.
    """
    depths = polygon @ planes[:, :3].T + planes[:, 3]
    if (depths < 0).all(axis=0).any():
        return np.empty((0, 3))
    for index in np.flatnonzero((depths < 0).any(axis=0)):
        depth = polygon @ planes[index, :3] + planes[index, 3]
        kept: list[Array] = []
        for start, end, at, to in zip(polygon, np.roll(polygon, -1, axis=0), depth, np.roll(depth, -1)):
            if at >= 0:
                kept.append(start)
            if (at >= 0) != (to >= 0):
                kept.append(start + (end - start) * (at / (at - to)))
        if len(kept) < 3:
            return np.empty((0, 3))
        polygon = np.array(kept)
    return polygon


def in_painting_order(solids: list[Solid], eye_m: Array) -> list[Solid]:
    """The solids, each after all that it can cover, seen from a point.

    Of two boxes that a plane across an axis keeps apart, only the one on the eye's side can cover the other.
    """
    waiting = sorted(solids, key=lambda item: -float(np.linalg.norm(np.clip(eye_m, item.low_m, item.high_m) - eye_m)))
    ordered = []
    while waiting:
        free = (
            item
            for item in waiting
            if not any(_can_cover(item, other, eye_m) for other in waiting if other is not item)
        )
        ordered.append(next(free, waiting[0]))
        waiting = [item for item in waiting if item is not ordered[-1]]
    return ordered


def _can_cover(front: Solid, back: Solid, eye_m: Array) -> bool:
    apart_low = (front.high_m <= back.low_m) & (eye_m < back.low_m)
    apart_high = (front.low_m >= back.high_m) & (eye_m > back.high_m)
    never = ((back.high_m <= front.low_m) & (eye_m < front.low_m)) | (
        (back.low_m >= front.high_m) & (eye_m > front.high_m)
    )
    return bool((apart_low | apart_high).any()) and not bool(never.any())


def _in_camera(points: Array, eye: Array, view: Array) -> Array:
    in_camera: Array = (points - eye) @ view.T
    return in_camera


def _view_planes(camera: Camera) -> Array:
    """Near plane and four sides of the view, (a, b, c, d) in camera axes, positive inside, half a pixel wider."""
    left, right = (camera.cx_px + 1) / camera.fx_px, (camera.width - camera.cx_px) / camera.fx_px
    top, bottom = (camera.cy_px + 1) / camera.fy_px, (camera.height - camera.cy_px) / camera.fy_px
    return np.array(
        [[0, 0, 1, -NEAR_M], [1, 0, left, 0], [-1, 0, right, 0], [0, 1, top, 0], [0, -1, bottom, 0]], np.float64
    )


def _texels_per_px(texture: Texture, to_image: Array, pixel: Array) -> float:
    """How many of the finest texels one pixel covers along one side, about a pixel."""
    to_texture = np.linalg.inv(to_image)
    at = np.array([pixel, pixel + (1.0, 0.0), pixel + (0.0, 1.0)])
    points = np.column_stack([at, np.ones(3)]) @ to_texture.T
    points = points[:, :2] / points[:, 2:] * (texture.levels[0].shape[1], texture.levels[0].shape[0])
    (ax, ay), (bx, by) = points[1] - points[0], points[2] - points[0]
    return float(np.sqrt(abs(ax * by - ay * bx)))
