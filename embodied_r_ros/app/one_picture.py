"""What eyes see in one picture: the quickest way to try an eye, a lens or a tag."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.perception import Perceiver
from embodied_r_ros.core.camera import fit_camera
from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.keyframes import FIRST
from embodied_r_ros.core.records import Calibration, EncodedImage, KeyFrame, Sighting
from embodied_r_ros.core.yaml_file import read_yaml

_MATRICES = {'k': ('camera_matrix', 9), 'r': ('rectification_matrix', 9), 'p': ('projection_matrix', 12)}


async def sightings_in(
    path: str | pathlib.Path, perceiver: Perceiver, calibration: Calibration | None
) -> tuple[Sighting, ...]:
    """The things in a picture, from left to right.

    Args:
        path: of a JPEG or PNG file.
        perceiver: who looks.
        calibration: of the camera; None gives bearings alone.

    Raises:
        InputError: the file cannot be read, is no picture, or not of that camera.
        BackendError: the perceiver did not do its part.
    """
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'a picture must be a JPEG or PNG file, got {str(path)!r} ({error.strerror})') from error
    image = EncodedImage(data=data, mime=codec.sniff(data))
    if calibration is not None:
        _, misfit = fit_camera(calibration, *codec.image_size(image))
        if misfit:
            raise InputError(misfit)
    frame = KeyFrame(
        session=0, index=0, stamp_ns=0, frame_id='', image=image, reason=FIRST, calibration=calibration
    )  # fmt: skip
    return (await perceiver.describe(None, frame)).sightings


def read_calibration(path: str | pathlib.Path | None) -> Calibration | None:
    """A calibration as ROS camera drivers keep it: image_width, image_height, camera_matrix, distortion_coefficients.

    None where no file is named.

    Raises:
        SettingsError: the file cannot be read, or holds something else.
    """
    if not path:
        return None
    try:
        content = read_yaml(pathlib.Path(path))
    except SettingsError as error:
        raise SettingsError(f'a calibration must be a readable YAML file, got {str(path)!r}: {error}') from error
    try:
        lens = content.get('distortion_coefficients')
        matrices: dict[str, Any] = {
            name: _matrix(content, *of) for name, of in _MATRICES.items() if of[0] in content or name == 'k'
        }
        return Calibration(
            width=int(content['image_width']),
            height=int(content['image_height']),
            distortion_model=str(content.get('distortion_model', '')),
            d=() if lens is None else tuple(map(float, lens['data'])),
            **matrices,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SettingsError(
            f'{path}: a calibration as camera_info_manager writes it was wanted, with image_width, image_height and '
            f'camera_matrix; got another ({type(error).__name__}: {error})'
        ) from error


def _matrix(content: Mapping[str, Any], name: str, length: int) -> tuple[float, ...]:
    numbers = tuple(map(float, content[name]['data']))
    if len(numbers) != length:
        raise ValueError(f'{name} has {length} numbers, got {len(numbers)}')
    return numbers
