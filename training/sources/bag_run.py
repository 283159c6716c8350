"""What a bag measures: where the robot was, and where the things were whose tags it saw."""

from __future__ import annotations

import bisect
import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import yaml

from embodied_r_ros.adapters.bags import find_topics, read_recording
from embodied_r_ros.adapters.codec import decode_frame
from embodied_r_ros.adapters.eye_tags import TagEye, TagSettings, find_labels
from embodied_r_ros.adapters.eyes import Eye, Picture
from embodied_r_ros.core.camera import fit_camera, from_base, in_base
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, TIME_JUMP_NS, CameraInfoItem, ImageItem, OdometryItem, Transform
from embodied_r_ros.core.mounting import Mounting, MountingSettings
from embodied_r_ros.core.pose_track import PoseTrack
from embodied_r_ros.core.records import Calibration, Pose, Sighting
from training.world.path import Station

IMAGES_HZ = 5.0
POSE_AGE_S = 0.2

MIN_DETECTIONS = 3
MIN_BASELINE_M = 0.25
ASTRAY_M = 0.5
MIN_AGREEING = 0.8


@dataclasses.dataclass(frozen=True)
class Detection:
    """A thing seen in an image, `t_s` after the first one; metres in the axes of the first image's pose."""

    t_s: float
    name: str
    x_m: float
    y_m: float
    from_x_m: float
    from_y_m: float

    @property
    def distance_m(self) -> float:
        """How far away it was."""
        return math.hypot(self.x_m - self.from_x_m, self.y_m - self.from_y_m)


@dataclasses.dataclass(frozen=True)
class Run:
    """A bag as it was measured; the camera is taken to stand above the base's origin and to look along its x axis.

    Attributes:
        path: of the bag.
        site: where it was recorded.
        length_s: from its first image to its last.
        half_view_deg: from the middle of an image to its side.
        moments_s, stations: of the odometry, from the first image on, in the axes of the pose at that image.
        detections: in the order of time.
    """

    path: pathlib.Path
    site: str
    length_s: float
    half_view_deg: float
    moments_s: tuple[float, ...]
    stations: tuple[Station, ...]
    detections: tuple[Detection, ...]

    def until(self, now_s: float) -> Run:
        """What was known at a moment: nothing that came after it."""
        kept = bisect.bisect_right(self.moments_s, now_s)
        return dataclasses.replace(
            self,
            length_s=now_s,
            moments_s=self.moments_s[:kept],
            stations=self.stations[:kept],
            detections=tuple(one for one in self.detections if one.t_s <= now_s),
        )

    def at(self, t_s: float) -> Station:
        """Where the robot last was at a moment."""
        return self.stations[max(bisect.bisect_right(self.moments_s, t_s) - 1, 0)]


def read_run(path: pathlib.Path, site: str, tag_size_m: float) -> Run:
    """Read a bag once, looking for tags in IMAGES_HZ images a second.

    Args:
        path: of the bag; the nouns of its tags are in the labels.yaml beside it.
        site: where it was recorded; '' is the `site` of the custom data in its metadata, else the folder that holds it.
        tag_size_m: side of the tags whose labels do not say.

    Raises:
        InputError: it cannot be read, or lacks images, odometry or a calibration.
        SettingsError: the labels cannot be used, or no library that reads bags is installed.
    """
    topics = find_topics(path)
    if topics.odometry is None or topics.camera_info is None:
        lacking = 'nav_msgs/Odometry' if topics.odometry is None else 'sensor_msgs/CameraInfo'
        raise InputError(
            f'{str(path)!r} has no {lacking}, which questions made from a bag need; record it, or ask by --questions'
        )
    eye = TagEye(TagSettings(labels=str(find_labels(path) or ''), tag_size_m=tag_size_m))
    mounting, track, reader = Mounting(MountingSettings()), PoseTrack(POSE_AGE_S), _Reader()
    for item in read_recording(path, sample_hz=IMAGES_HZ):
        if isinstance(item, OdometryItem):
            pose = mounting.base_pose(item.pose, item.frame_id, item.child_frame_id, item.stamp_ns)
            if pose is not None and track.push(item.stamp_ns, pose):
                reader.move(item.stamp_ns, pose)
        elif isinstance(item, Transform):
            mounting.push(item)
        elif isinstance(item, CameraInfoItem):
            reader.calibration = item.calibration
        elif isinstance(item, ImageItem):
            mounted = mounting.camera_pose(item.frame.frame_id, item.stamp_ns)
            reader.look(item, track.at(item.stamp_ns), mounted, eye)
    if not reader.poses:
        raise InputError(f'{str(path)!r} holds no pose near its images; see that both carry the time of one clock')
    return reader.run(path, site or site_of(path))


class _Reader:
    """Gathers what a recording measures, in the order of time."""

    def __init__(self) -> None:
        self.calibration: Calibration | None = None
        self.poses: list[tuple[int, Pose]] = []
        self._looks: list[tuple[int, Pose, Sighting]] = []
        self._first_ns: int | None = None
        self._last_ns = 0
        self._half_view_deg = 0.0

    def move(self, stamp_ns: int, pose: Pose) -> None:
        """Take a pose; of those before the first image only the last one is kept."""
        if self._first_ns is None:
            self.poses.clear()
        elif stamp_ns < self._last_ns - TIME_JUMP_NS:
            raise InputError('time goes back in the recording, as where two runs are in one bag; split it there')
        self.poses.append((stamp_ns, pose))

    def look(self, item: ImageItem, pose: Pose | None, mounted: Pose | None, eye: Eye) -> None:
        """Find the things in an image."""
        self._first_ns = item.stamp_ns if self._first_ns is None else self._first_ns
        self._last_ns = max(self._last_ns, item.stamp_ns)
        if pose is None or self.calibration is None:
            return
        camera, _ = fit_camera(self.calibration, item.frame.width, item.frame.height)
        if camera is None:
            return
        self._half_view_deg = math.degrees(camera.half_view_rad)
        seen = eye.look(Picture(image=decode_frame(item.frame), camera=camera))
        for sighting in from_base(in_base(seen, mounted), mounted):
            if not math.isnan(sighting.distance_m):
                self._looks.append((item.stamp_ns, pose, sighting))

    def run(self, path: pathlib.Path, site: str) -> Run:
        """All of it, in the axes of the first pose."""
        first_ns = self._first_ns or 0
        origin = self.poses[0][1]
        yaws = np.unwrap([pose.yaw_rad for _, pose in self.poses]) - origin.yaw_rad
        turned = [_station(origin, pose) for _, pose in self.poses]
        stations = [dataclasses.replace(station, yaw_rad=float(yaw)) for station, yaw in zip(turned, yaws)]
        return Run(
            path=path,
            site=site,
            length_s=(self._last_ns - first_ns) / NS_PER_S,
            half_view_deg=self._half_view_deg,
            moments_s=tuple((stamp_ns - first_ns) / NS_PER_S for stamp_ns, _ in self.poses),
            stations=tuple(stations),
            detections=tuple(
                _detection((stamp_ns - first_ns) / NS_PER_S, _station(origin, pose), sighting)
                for stamp_ns, pose, sighting in self._looks
            ),
        )


def _station(origin: Pose, pose: Pose) -> Station:
    """A pose in the axes of another one, seen from above."""
    x_m, y_m, turned = pose.x_m - origin.x_m, pose.y_m - origin.y_m, origin.yaw_rad
    return Station(
        x_m=x_m * math.cos(turned) + y_m * math.sin(turned),
        y_m=y_m * math.cos(turned) - x_m * math.sin(turned),
        z_m=pose.z_m - origin.z_m,
        yaw_rad=pose.yaw_rad - turned,
    )


def _detection(t_s: float, here: Station, sighting: Sighting) -> Detection:
    way, distance_m = here.yaw_rad + math.radians(sighting.bearing_left_deg), sighting.level_distance_m
    return Detection(
        t_s=t_s,
        name=sighting.name,
        x_m=here.x_m + distance_m * math.cos(way),
        y_m=here.y_m + distance_m * math.sin(way),
        from_x_m=here.x_m,
        from_y_m=here.y_m,
    )


def site_of(path: pathlib.Path) -> str:
    """Where a bag says that it was recorded (`ros2 bag record --custom-data site=...`), else the folder it is in."""
    bag = path if path.is_dir() else path.parent
    metadata = bag / 'metadata.yaml'
    try:
        told = yaml.safe_load(metadata.read_text(encoding='utf-8')) if metadata.is_file() else {}
        custom = told['rosbag2_bagfile_information']['custom_data'] if told else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        custom = None
    site = custom.get('site') if isinstance(custom, dict) else None
    holder = bag.parent if metadata.is_file() else bag
    return str(site) if site else holder.resolve().name


def glimpses_s(run: Run, places: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The first moment at which each thing might have been made out: in the camera's way, hidden or not."""
    found: dict[str, float] = {}
    range_m = TagSettings().max_range_m
    for index in range(int(run.length_s * IMAGES_HZ) + 1):
        here = run.at(index / IMAGES_HZ)
        for name, (x_m, y_m) in places.items():
            aside_rad = math.remainder(math.atan2(y_m - here.y_m, x_m - here.x_m) - here.yaw_rad, 2 * math.pi)
            near = math.hypot(x_m - here.x_m, y_m - here.y_m) <= range_m
            if near and abs(math.degrees(aside_rad)) <= run.half_view_deg:
                found.setdefault(name, index / IMAGES_HZ)
    return found


def triangulate(detections: Sequence[Detection]) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """Where things are that were seen three times from two places, nearer looks counting more.

    Returns:
        the places in metres by name; and why each other thing has none, by name.
    """
    by_name: dict[str, list[Detection]] = {}
    for one in detections:
        by_name.setdefault(one.name, []).append(one)
    places, left_out = {}, {}
    for name, seen in by_name.items():
        spots = np.array([(one.x_m, one.y_m) for one in seen])
        near = np.linalg.norm(spots - np.median(spots, axis=0), axis=1) <= ASTRAY_M
        stands = np.array([(one.from_x_m, one.from_y_m) for one in seen])[near]
        if len(stands) < MIN_DETECTIONS or np.ptp(stands, axis=0).max() < MIN_BASELINE_M:
            left_out[name] = 'not seen three times from two places'
        elif near.mean() < MIN_AGREEING:
            left_out[name] = 'seen in several places, as of a tag that moved or hangs on two things'
        else:
            weights = np.array([1.0 / max(one.distance_m, 0.5) ** 2 for one in seen])[near]
            x_m, y_m = np.average(spots[near], axis=0, weights=weights)
            places[name] = (float(x_m), float(y_m))
    return places, left_out
