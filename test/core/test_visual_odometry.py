"""Visual odometry: motion from image to image, and between two images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
import pytest
from builders import ROOM_CAMERA, blank, noisy, room, texture

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.matching import Grey
from embodied_r_ros.core.poses import pose_from_angles
from embodied_r_ros.core.records import Motion, MotionSource
from embodied_r_ros.core.visual_odometry import VisualOdometry, motion_between

HZ = 10.0
WALK_M_S, TURN_DEG_S = 1.0, 60.0
Leg = tuple[str, float]


def views(*legs: Leg, start: Sequence[float] = (-2.5, 0.0, 1.2)) -> list[Grey]:
    """What a camera sees ten times a second on its way: 'forward', 'left' and 'up' in metres, 'turn' in degrees, 'rest'
    in seconds.
    """
    x_m, y_m, z_m = start
    yaw_deg, seen = 0.0, [room(start)]
    for kind, amount in legs:
        speed = {'turn': TURN_DEG_S, 'rest': 1.0}.get(kind, WALK_M_S)
        steps = max(round(abs(amount) / speed * HZ), 1)
        for _ in range(steps):
            part = amount / steps
            way = math.radians(yaw_deg + (90.0 if kind == 'left' else 0.0))
            if kind == 'turn':
                yaw_deg += part
            elif kind == 'up':
                z_m += part
            elif kind != 'rest':
                x_m, y_m = x_m + part * math.cos(way), y_m + part * math.sin(way)
            seen.append(room((x_m, y_m, z_m), yaw_deg))
    return [noisy(view, 2, number) for number, view in enumerate(seen)]


def tracked(seen: Iterable[Grey], camera: Camera | None = ROOM_CAMERA) -> tuple[Motion | None, VisualOdometry]:
    odometry = VisualOdometry(HZ)
    for number, view in enumerate(seen):
        odometry.push(view, round(number / HZ * NS_PER_S), camera)
    return odometry.take(0), odometry


def told(motion: Motion | None) -> list[tuple[str, float]]:
    assert motion is not None
    return [(move.kind, move.amount) for move in motion.moves]


@pytest.mark.parametrize(
    'legs',
    [
        pytest.param([('forward', 1.5)], id='ahead'),
        pytest.param([('forward', -1.0)], id='back'),
        pytest.param([('left', 0.8)], id='to the left'),
        pytest.param([('left', -0.8)], id='to the right'),
        pytest.param([('turn', 150.0)], id='turn farther than one view'),
        pytest.param([('forward', 1.5), ('turn', -45.0)], id='ahead, then turn'),
        pytest.param([('turn', 45.0), ('forward', 1.0)], id='turn, then ahead'),
        pytest.param([('forward', 1.0), ('turn', 60.0), ('forward', 1.0)], id='round a corner'),
        pytest.param([('turn', 40.0), ('rest', 1.0), ('turn', -30.0)], id='there and halfway back'),
    ],
)
def test_moves_are_told_in_their_order(legs: list[Leg]) -> None:
    motion, _ = tracked(views(*legs))
    ways = {'forward': ('move forward', 'move backward'), 'left': ('move left', 'move right')}
    turned_deg = sum(amount for kind, amount in legs if kind == 'turn')
    wanted: list[str] = [ways[kind][amount < 0] if kind in ways else kind for kind, amount in legs if kind != 'rest']
    if wanted == ['turn', 'turn']:
        wanted = ['turn']
    assert [kind for kind, _ in told(motion)] == wanted
    assert sum(amount for kind, amount in told(motion) if kind == 'turn') == pytest.approx(turned_deg, abs=1.5)
    assert all(math.isnan(amount) for kind, amount in told(motion) if kind != 'turn')
    assert motion is not None
    assert motion.source is MotionSource.IMAGES


@pytest.mark.parametrize(('up_m', 'name'), [(0.6, 'move upward'), (-0.6, 'move downward')])
def test_climbing_and_sinking_are_told(up_m: float, name: str) -> None:
    motion, _ = tracked(views(('up', up_m), start=(1.0, 0.0, 1.3)))
    assert motion is not None
    assert motion.name == name
    assert motion.rotate_left_deg == pytest.approx(0.0, abs=1.5)


@pytest.mark.parametrize(
    ('legs', 'wanted'),
    [
        ([('turn', 50.0)], ['rotate left']),
        ([('turn', -50.0)], ['rotate right']),
        ([('forward', 1.5)], ['move forward']),
        ([('forward', -1.0)], ['move backward']),
        ([('forward', 1.5), ('turn', 50.0)], ['move forward', 'rotate left']),
        ([('turn', -50.0), ('forward', 1.5)], ['rotate right', 'move forward']),
        ([('rest', 1.0)], []),
    ],
)
def test_without_calibration_the_order_of_names_is_told(legs: list[Leg], wanted: list[str]) -> None:
    motion, _ = tracked(views(*legs), None)
    assert [kind for kind, _ in told(motion)] == wanted
    assert motion is not None
    assert math.isnan(motion.rotate_left_deg)
    assert all(math.isnan(amount) for _, amount in told(motion))


def test_near_things_that_are_gone_between_two_key_frames_have_told_the_way() -> None:
    seen = views(('forward', 4.5), start=(-3.0, 0.0, 1.2))
    motion, _ = tracked(seen)
    assert {kind for kind, _ in told(motion)} - {'turn'} == {'move forward'}
    assert motion is not None
    assert motion.rotate_left_deg == pytest.approx(0.0, abs=3.0)
    alone = motion_between(seen[0], seen[-1], ROOM_CAMERA)
    assert alone is None or alone.name != 'move backward'


def patch(view: Grey, left_px: float, width_px: int, seed: int) -> Grey:
    """A view with a thing before it, from the top to the bottom."""
    left, right = (min(max(round(edge), 0), view.shape[1]) for edge in (left_px, left_px + width_px))
    seen = view.copy()
    seen[:, left:right] = texture(width_px, view.shape[0], seed)[:, : right - left, 0]
    return seen


@pytest.mark.parametrize(
    'left_px',
    [
        pytest.param(lambda number: 12.0 * number - 100, id='passing to the right'),
        pytest.param(lambda number: 300 - 9.0 * number, id='passing to the left'),
        pytest.param(lambda number: 100 + 40 * math.sin(number / 2), id='to and fro'),
    ],
)
@pytest.mark.parametrize('width_px', [40, 100])
def test_a_camera_stands_still_while_something_moves_past(left_px: Callable[[int], float], width_px: int) -> None:
    here = room((-1.0, 0.0, 1.2))
    seen = [noisy(patch(here, left_px(number), width_px, 5), 2, number) for number in range(30)]
    motion, odometry = tracked(seen)
    assert motion is not None
    assert (motion.name, motion.moves) == ('stay', ())
    assert (motion.forward_m, motion.left_m) == (0.0, 0.0)
    assert motion.rotate_left_deg == pytest.approx(0.0, abs=0.5)
    assert odometry.lost == 0


def test_a_turn_is_told_while_something_moves_past() -> None:
    seen = views(('turn', -60.0))
    moving = [patch(view, 200 - 9 * number, 80, 5) for number, view in enumerate(seen)]
    motion, _ = tracked(moving)
    assert motion is not None
    assert motion.rotate_left_deg == pytest.approx(-60.0, abs=2.0)


def blurred(view: Grey) -> Grey:
    return np.asarray(cv2.blur(view, (61, 61)), np.uint8)


def dark(view: Grey) -> Grey:
    return noisy((view // 64).astype(np.uint8), 1.0, int(view.sum()) % 1000)


def covered(view: Grey) -> Grey:
    return noisy(blank(320, 180, 20)[..., 0], 2.0, int(view.sum()) % 1000)


@pytest.mark.parametrize('spoil', [blurred, dark, covered])
def test_what_cannot_be_seen_is_unknown_and_counted(spoil: Callable[[Grey], Grey]) -> None:
    seen = views(('turn', 90.0))
    motion, odometry = tracked([*seen[:5], *map(spoil, seen[5:11]), *seen[11:]])
    assert motion is None
    assert odometry.lost >= 1


def test_a_motion_is_known_again_after_one_that_is_not() -> None:
    seen = views(('turn', 60.0), ('turn', 60.0))
    odometry = VisualOdometry(HZ)
    for number, view in enumerate(seen[:11]):
        odometry.push(covered(view) if 4 <= number < 8 else view, round(number / HZ * NS_PER_S), ROOM_CAMERA)
    assert odometry.take(0) is None
    for number, view in enumerate(seen[11:], 11):
        odometry.push(view, round(number / HZ * NS_PER_S), ROOM_CAMERA)
    motion = odometry.take(NS_PER_S)
    assert motion is not None
    assert motion.rotate_left_deg == pytest.approx(60.0, abs=1.5)


def test_a_motion_from_before_the_first_image_is_unknown() -> None:
    odometry = VisualOdometry(HZ)
    for number, view in enumerate(views(('turn', 30.0))):
        odometry.push(view, NS_PER_S + round(number / HZ * NS_PER_S), ROOM_CAMERA)
    assert odometry.take(NS_PER_S - 1) is None


def test_an_image_of_another_size_is_a_step_that_is_lost() -> None:
    seen = views(('turn', 30.0))
    motion, odometry = tracked([*seen, np.ascontiguousarray(seen[-1][:160])])
    assert (motion, odometry.lost) == (None, 1)


@pytest.mark.parametrize(
    ('yaw_deg', 'pitch_deg', 'roll_deg', 'wanted'),
    [
        (180.0, 0.0, 0.0, ['move backward', 'turn']),
        (90.0, 0.0, 0.0, ['move left', 'turn']),
        (0.0, 0.0, 180.0, ['move forward', 'turn']),
    ],
    ids=['to the rear', 'to the left', 'upside down'],
)
def test_moves_are_those_of_the_base(yaw_deg: float, pitch_deg: float, roll_deg: float, wanted: list[str]) -> None:
    mount = pose_from_angles(0.0, 0.0, 0.0, *(math.radians(angle) for angle in (roll_deg, pitch_deg, yaw_deg)))
    camera = Camera(width=320, height=180, fx_px=250.0, fy_px=250.0, cx_px=159.5, cy_px=89.5, pose=mount)
    seen = views(('forward', 1.0), ('turn', 45.0))
    if roll_deg:
        seen = [np.ascontiguousarray(view[::-1, ::-1]) for view in seen]
    motion, _ = tracked(seen, camera)
    assert [kind for kind, _ in told(motion)] == wanted
    assert told(motion)[1][1] == pytest.approx(45.0, abs=1.5)


def test_memory_stays_bounded_while_no_key_frame_comes() -> None:
    odometry = VisualOdometry(HZ)
    seen = views(*[('turn', 8.0), ('forward', 0.4), ('turn', -8.0), ('forward', -0.4)])
    for number in range(40 * len(seen)):
        odometry.push(seen[number % len(seen)], round(number / HZ * NS_PER_S), ROOM_CAMERA)
    assert len(odometry._sum._stretches) <= 64
    motion = odometry.take(0)
    assert motion is not None
    assert motion.moves == ()
    assert motion.rotate_left_deg == pytest.approx(0.0, abs=8.0)


HERE = (-1.0, 0.0, 1.2)


@pytest.mark.parametrize(
    ('before', 'after', 'name', 'left_deg', 'up_deg'),
    [
        pytest.param((HERE, 0, 0), (HERE, 20, 0), 'rotate left', 20, 0, id='turn left'),
        pytest.param((HERE, 0, 0), (HERE, -30, 0), 'rotate right', -30, 0, id='turn right'),
        pytest.param((HERE, 0, 0), (HERE, 0, 12), 'tilt upward', 0, 12, id='tilt up'),
        pytest.param((HERE, 0, 0), (HERE, 0, -15), 'tilt downward', 0, -15, id='tilt down'),
        pytest.param((HERE, 0, 0), (HERE, 0, 0), 'stay', 0, 0, id='still'),
        pytest.param(((-2, 0.5, 1.2), 0, 0), ((-1, 0.5, 1.2), 0, 0), 'move forward', 0, 0, id='forward'),
        pytest.param(((-1, 0.5, 1.2), 0, 0), ((-2, 0.5, 1.2), 0, 0), 'move backward', 0, 0, id='backward'),
        pytest.param(((0, 0, 1.2), 0, 0), ((0, 0.7, 1.2), 0, 0), 'move left', 0, 0, id='left along a wall'),
        pytest.param(((0, 0, 1.2), 0, 0), ((0, -0.7, 1.2), 0, 0), 'move right', 0, 0, id='right along a wall'),
        pytest.param(((1, 0, 1.0), 0, 0), ((1, 0, 1.5), 0, 0), 'move upward', 0, 0, id='up'),
        pytest.param(((1, 0, 1.5), 0, 0), ((1, 0, 1.0), 0, 0), 'move downward', 0, 0, id='down'),
        pytest.param(((-2, 0, 1.2), 0, 0), ((-1.5, 0, 1.2), 20, 0), 'rotate left', 20, 0, id='turn while walking'),
    ],
)
def test_motion_from_images_with_calibration(
    before: tuple, after: tuple, name: str, left_deg: float, up_deg: float
) -> None:
    motion = motion_between(noisy(room(*before), 2, 1), noisy(room(*after), 2, 2), ROOM_CAMERA)
    assert motion.name == name
    assert motion.rotate_left_deg == pytest.approx(left_deg, abs=1.5)
    assert motion.tilt_up_deg == pytest.approx(up_deg, abs=1.5)
    assert motion.forward_m == 0.0 if name == 'stay' else math.isnan(motion.forward_m)
    assert motion.source is MotionSource.IMAGES


@pytest.mark.parametrize(
    ('before', 'after', 'name'),
    [
        pytest.param((HERE, 0, 0), (HERE, 20, 0), 'rotate left', id='turn left'),
        pytest.param((HERE, 0, 0), (HERE, -30, 0), 'rotate right', id='turn right'),
        pytest.param((HERE, 0, 0), (HERE, 0, 12), 'tilt upward', id='tilt up'),
        pytest.param((HERE, 0, 0), (HERE, 0, -15), 'tilt downward', id='tilt down'),
        pytest.param((HERE, 0, 0), (HERE, 0, 0), 'stay', id='still'),
        pytest.param(((-2, 0.5, 1.2), 0, 0), ((-1, 0.5, 1.2), 0, 0), 'move forward', id='forward'),
        pytest.param(((-1, 0.5, 1.2), 0, 0), ((-2, 0.5, 1.2), 0, 0), 'move backward', id='backward'),
    ],
)
def test_motion_from_images_without_calibration_is_a_name_only(before: tuple, after: tuple, name: str) -> None:
    motion = motion_between(noisy(room(*before), 2, 1), noisy(room(*after), 2, 2), None)
    assert motion.name == name
    assert math.isnan(motion.rotate_left_deg)
    assert motion.source is MotionSource.IMAGES


@pytest.mark.parametrize('camera', [None, ROOM_CAMERA], ids=['uncalibrated', 'calibrated'])
@pytest.mark.parametrize(
    ('before', 'after'),
    [
        pytest.param(blank(320, 180)[..., 0], blank(320, 180)[..., 0], id='blank'),
        pytest.param(texture(320, 180, 1)[..., 0], texture(320, 180, 2)[..., 0], id='different scenes'),
    ],
)
def test_images_that_do_not_tell(camera: Camera | None, before: np.ndarray, after: np.ndarray) -> None:
    assert motion_between(before, after, camera) is None


def test_the_camera_of_a_larger_image_is_scaled() -> None:
    full = Camera(width=1280, height=720, fx_px=1000.0, fy_px=1000.0, cx_px=640.0, cy_px=360.0)
    motion = motion_between(room(HERE), room(HERE, 20), full)
    assert motion.rotate_left_deg == pytest.approx(20, abs=1)


def test_images_must_be_of_one_size() -> None:
    with pytest.raises(InputError, match=r'two images of one size, got .*\(180, 320\) and \(240, 320\); bring them'):
        motion_between(np.zeros((180, 320), np.uint8), np.zeros((240, 320), np.uint8), None)


@pytest.mark.parametrize('ahead_m', [0.4, -0.4], ids=['at the front', 'at the rear'])
def test_a_camera_off_the_middle_swings_as_the_base_turns_on_the_spot(ahead_m: float) -> None:
    seen = []
    for number in range(11):
        yaw = math.radians(4.0 * number)
        spot = (-1.0 + ahead_m * math.cos(yaw), ahead_m * math.sin(yaw), 1.2)
        seen.append(noisy(room(spot, math.degrees(yaw)), 2, number))
    mount = pose_from_angles(ahead_m, 0.0, 0.5, 0.0, 0.0, 0.0)
    camera = Camera(width=320, height=180, fx_px=250.0, fy_px=250.0, cx_px=159.5, cy_px=89.5, pose=mount)
    motion, _ = tracked(seen, camera)
    assert told(motion) == [('turn', pytest.approx(40.0, abs=4.0))]
