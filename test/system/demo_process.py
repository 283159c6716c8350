"""What tests of whole graphs are made of: a recording along a wall with tags, and the demo's process."""

import dataclasses
import pathlib
import subprocess
import time

import cv2
import numpy as np
import pytest
from builders import (
    encode_jpeg,
    recorded_camera_info,
    recorded_jpeg,
    recorded_odometry,
    texture,
    write_bag,
)

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.records import Pose

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 1_000.0
LENS = Camera(width=320, height=240, fx_px=300.0, fy_px=300.0, cx_px=160.0, cy_px=120.0)


def tagged(left_px, tag_id):
    """A view along a wall, with an AprilTag on it."""
    picture = texture(320, 240, left_px=left_px)
    tags = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    tag = cv2.aruco.generateImageMarker(tags, tag_id, 60)
    patch = np.full((84, 84), 255, np.uint8)
    patch[12:72, 12:72] = tag
    picture[80:164, 118:202] = patch[..., None]
    return encode_jpeg(picture, 80).data


def record(folder, *, images=True):
    """Four seconds along a wall, with four tags; or the odometry alone."""
    seen = []
    for step in range(21):
        at_s = START_S + step * 0.2
        pose = Pose(x_m=0.0, y_m=-0.2 * step, z_m=0.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)
        seen.append(recorded_odometry(pose, at_s))
        if images:
            seen.append(recorded_camera_info(LENS.calibration, at_s))
            seen.append(recorded_jpeg(tagged(step * 40.0, step // 5), at_s))
    return write_bag(folder, seen)


@dataclasses.dataclass
class Demo:
    """A demo's process."""

    process: subprocess.Popen

    def wait(self, timeout_s=60.0):
        """Exit status, lines of stdout, stderr."""
        try:
            out, err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            written = ''.join(self.process.communicate())
            pytest.fail(f'the demo did not end within {timeout_s} s; it wrote:\n{written}')
        return self.process.returncode, out.splitlines(), err

    def read_until(self, words):
        """Read stdout up to a line that holds these words."""
        for line in self.process.stdout:
            if words in line:
                return
        pytest.fail(f'the demo ended without {words!r}: {self.process.stderr.read()}')

    def wait_for_children(self, names, timeout_s=20.0):
        """Process id by name of the node, once the demo has started these and no others."""
        end_s = time.monotonic() + timeout_s
        while set(found := self.children()) != names:
            assert time.monotonic() < end_s, f'{names} were wanted, got {set(found)}'
            time.sleep(0.05)
        return found

    def children(self):
        """Process id by name of the node, of what the demo has started."""
        found = {}
        for status in pathlib.Path('/proc').glob('[0-9]*/status'):
            try:
                if f'PPid:\t{self.process.pid}\n' in status.read_text():
                    command = (status.parent / 'cmdline').read_text().split('\0')
                    found[command[2].rpartition('.')[2]] = int(status.parent.name)
            except OSError:
                continue
        return found

    def is_alone(self, pids, timeout_s=3.0):
        """Whether none of these processes is left."""
        end_s = time.monotonic() + timeout_s
        while any(pathlib.Path(f'/proc/{pid}').exists() for pid in pids):
            if time.monotonic() > end_s:
                return False
            time.sleep(0.05)
        return True
