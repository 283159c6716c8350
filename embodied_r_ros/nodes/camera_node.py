"""Images in, key frames out."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

from embodied_r_interfaces import msg as messages
from embodied_r_interfaces.srv import Capture
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CameraInfo

from embodied_r_ros.adapters import codec
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import Frame
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.records import ErrorCode, KeyFrame
from embodied_r_ros.core.stamps import ClockDifference
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import (
    calibration_from_message,
    key_frame_to_message,
    ns_from_stamp,
    pose_from_message,
    stamp_from_ns,
)
from embodied_r_ros.nodes.depth_topic import DepthTopic, DepthTopicSettings
from embodied_r_ros.nodes.diagnostics import Diagnostics, Judgement, Level
from embodied_r_ros.nodes.image_topic import ImageMessage, ImageTopic, ImageTopicSettings
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.process import run
from embodied_r_ros.nodes.rclpy_internals import take
from embodied_r_ros.nodes.transform_topics import TransformTopics

WATCH_PERIOD_S = 0.5
# After bad input the node's level stays at WARN for this long.
BAD_SHOWN_S = 10.0
# So many sampling periods may pass before it counts that no image could be used.
UNUSED_PERIODS = 3.0
# Where transforms are published, the first image waits so long for the one that tells where the camera is.
TRANSFORMS_WAIT_S = 2.0


class CameraNode(ManagedNode):
    """Picks key frames out of a camera's images as they come, and publishes them with pose, motion and calibration.

    Subscribes: image or image/compressed; odom, camera_info, depth, /tf and /tf_static (all optional). Publishes:
    key_frames and key_frame_depth. Serves: capture.
    """

    def __init__(self, **options: Any) -> None:
        classes = (ImageTopicSettings, DepthTopicSettings, KeyFrameSettings, MountingSettings)
        super().__init__('camera_node', *classes, **options)
        self._topic_settings = self.settings(ImageTopicSettings)
        settings = self.settings(KeyFrameSettings)
        self._framer = KeyFramer(settings, codec.small_grey, codec.encode_frame, self.settings(MountingSettings))
        refuse = functools.partial(self._reject, 'transform')
        self._transforms = TransformTopics(self, self._framer.mounting.push, refuse)
        self._clocks = ClockDifference(settings.pose_max_age_s)
        self._may_be_unused_s = max(self._topic_settings.silence_s, UNUSED_PERIODS / settings.sample_hz)
        self._images = ImageTopic(self, self._topic_settings, self._on_image)
        self._depth = DepthTopic(self, self.settings(DepthTopicSettings), functools.partial(self._reject, 'depth'))
        self.diagnostics = Diagnostics(self, self._judge)
        self._warned: set[str] = set()
        self._last_bad = ''
        self._clocks_differ = False
        self._session_due = False
        self._reasons_told: set[str] = set()
        self._format: tuple[object, ...] | None = None
        self._published: KeyFrame | None = None
        self.create_service(Capture, 'capture', self._on_capture, qos_profile=qos.SERVICES)

    def configure(self) -> None:
        """Create the publisher."""
        self._key_frames = self.held(self.create_publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES))
        self._transforms.listen()
        self._depth.configure()

    def activate(self) -> None:
        """Begin a new session; its number is the stamp of the first image to come."""
        self._session_due = True
        self._reasons_told.clear()
        self.diagnostics.seen('activation')
        self.diagnostics.forget('image', 'used_image')
        self._clocks.reset()
        self.diagnostics.start()
        self._odometry = self.held(self.create_subscription(Odometry, 'odom', self._on_odometry, qos.ODOMETRY))
        self.held(self.create_subscription(CameraInfo, 'camera_info', self._on_camera_info, qos.CAMERA_INFO))
        self._images.listen()
        self._depth.listen()
        self.held(self.create_timer(WATCH_PERIOD_S, self._watch_silence, clock=Clock(clock_type=ClockType.STEADY_TIME)))
        self.get_logger().info(f'listening to {self._images.describe()}')

    def _on_image(self, message: ImageMessage) -> None:
        start_s = time.monotonic()
        self.diagnostics.count('images_received')
        self.diagnostics.seen('image')
        if self._reasons_told:
            self._reasons_told.clear()
            self.get_logger().info(f'images come again on {self._images.name}')
        self._transforms.drain()
        self._drain_odometry()
        framer = self._framer
        session, sampled, ignored, outliers = framer.session, framer.sampled, framer.ignored, framer.outliers
        try:
            frame = self._images.frame(message)
            if self._session_due and self._awaits_transforms(frame):
                self.diagnostics.count('images_before_transforms')
                return
            if self._session_due:
                self._session_due = False
                session = framer.start_session(frame.stamp_ns)
            keys = framer.push(frame)
        except InputError as error:
            self._reject('frame', str(error))
            return
        self._note_format(message)
        if framer.ignored > ignored:
            self._reject('stamp', f'a stamp must be later than the one before, got {frame.stamp_ns!r} ns again or late')
        if framer.outliers > outliers:
            self._reject('stamp', _far_off('an image', framer.wrong_ns), framer.outliers - outliers)
        if session is not None and framer.session != session:
            self.diagnostics.count('time_jumps')
            self.get_logger().warning(
                f'stamps are now about {frame.stamp_ns} ns, as after a clock was set or a recording began anew: '
                f'session {framer.session} begins'
            )
        if framer.sampled > sampled:
            self.diagnostics.seen('used_image')
            self.diagnostics.took('sampled_image', time.monotonic() - start_s)
        if framer.last_ns == frame.stamp_ns:
            self._clocks.image(frame.stamp_ns, start_s)
            self._tell_of_clocks()
        if framer.misfit:
            self._warn_once(framer.misfit, framer.misfit)
        self._tell_of_mounting()
        for key in keys:
            self._publish(key)

    def _awaits_transforms(self, frame: Frame) -> bool:
        """Whether it is about to be told where the camera is."""
        if self._framer.mounting.knows(frame.frame_id, frame.stamp_ns) or not self._transforms.announced:
            return False
        return self.diagnostics.age_s('activation') < TRANSFORMS_WAIT_S

    def _tell_of_mounting(self) -> None:
        for note in self._framer.mounting.take_notes():
            log = self.get_logger()
            log.warning(f'{note.sentence} (logged once)') if note.grave else log.info(note.sentence)

    def _tell_of_clocks(self) -> None:
        sentence = self._clocks.sentence()
        if sentence and not self._clocks_differ:
            self.diagnostics.count('clocks_differ')
            self._warn_once('clocks', sentence)
        self._clocks_differ = bool(sentence)

    def _note_format(self, message: ImageMessage) -> None:
        new = self._images.format_of(message)
        if self._format is not None and new != self._format:
            self.diagnostics.count('format_changes')
            was, now = (' '.join(map(str, one)) for one in (self._format, new))
            self._warn_once('format', f'images changed in mid-run from {was} to {now}; the next one is a key frame')
        self._format = new

    def _drain_odometry(self) -> None:
        """Take all odometry that waits: on a busy machine the executor would call back for it after the images."""
        while (message := take(self._odometry)) is not None:
            self._on_odometry(message)

    def _on_odometry(self, message: Odometry) -> None:
        poses = self._framer.poses
        ignored, outliers = poses.ignored, poses.outliers
        try:
            stamp_ns, pose = ns_from_stamp(message.header.stamp), pose_from_message(message.pose.pose)
        except InputError as error:
            self._reject('odometry', str(error))
            return
        jumps = poses.jumps
        if self._framer.push_pose(stamp_ns, pose, clean(message.header.frame_id), clean(message.child_frame_id)):
            self._clocks.pose(stamp_ns, time.monotonic())
        if poses.jumps > jumps:
            self.diagnostics.count('odometry_jumps', poses.jumps - jumps)
            self._warn_once('jump', 'odometry jumped, faster than max_speed_m_s or max_turn_deg_s; no motion across it')
        if poses.outliers > outliers:
            self._reject('odometry', _far_off('an odometry message', poses.wrong_ns), poses.outliers - outliers)
        elif poses.ignored > ignored:
            self._reject('odometry', 'the stamp of an odometry message must be later than the one before')

    def _on_camera_info(self, message: CameraInfo) -> None:
        try:
            calibration = calibration_from_message(message)
        except InputError as error:
            self._reject('calibration', str(error))
            return
        self._framer.set_calibration(calibration)
        if calibration is None:
            self._warn_once('calibration', 'camera_info gives no image size, so there is no calibration')

    def _on_capture(self, _request: Capture.Request, response: Capture.Response) -> Capture.Response:
        if not self.active:
            response.error_code = int(ErrorCode.NOT_ACTIVE)
            response.error_msg = f'a capture needs an active node, {self.get_name()} is inactive; activate it'
            return response
        try:
            if self._session_due:
                raise InputError(
                    f'a capture needs an image, got none since activation on {self._images.describe()}; '
                    f'{self._images.explain_silence()}'
                )
            key = self._framer.capture()
        except InputError as error:
            response.error_code, response.error_msg = int(ErrorCode.NO_FRAMES), str(error)
            return response
        if key is not self._published:
            self._publish(key)
        response.success, response.error_code = True, int(ErrorCode.OK)
        response.camera, response.session, response.index = key.key
        response.stamp = stamp_from_ns(key.stamp_ns)
        return response

    def _publish(self, key: KeyFrame) -> None:
        self._key_frames.publish(key_frame_to_message(key))
        self._published = key
        self._depth.expect(key)
        self.diagnostics.count('key_frames')
        age_s = (self.get_clock().now().nanoseconds - key.stamp_ns) / 1e9
        self.diagnostics.took('stamp_to_key_frame', age_s)
        self.get_logger().debug(f'key frame {key.index} ({key.reason}, overlap {key.overlap:.2f})')

    def _reject(self, kind: str, sentence: str, count: int = 1) -> None:
        self.diagnostics.count(f'bad_{kind}', count)
        self.diagnostics.seen('bad_input')
        self._last_bad = sentence
        # The part before ', got' names the rule that was broken: one warning per rule.
        self._warn_once(f'{kind}: {sentence.partition(", got ")[0]}', f'left out: {sentence}')

    def _warn_once(self, kind: str, sentence: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self.get_logger().warning(f'{sentence} (logged once, counted in /diagnostics)')

    def _silence_s(self) -> float:
        return min(self.diagnostics.age_s('image'), self.diagnostics.age_s('activation'))

    def _watch_silence(self) -> None:
        silence_s = self._silence_s()
        if silence_s < self._topic_settings.silence_s:
            return
        # Publishers come and go while this node waits; it logs each new reason once.
        why = self._images.explain_silence()
        if why not in self._reasons_told:
            self._reasons_told.add(why)
            self.get_logger().warning(f'no image for {silence_s:.1f} s on {self._images.describe()}: {why}')
        if self._images.listen_anew(silence_s):
            self.diagnostics.count('listened_anew')

    def _judge(self) -> Judgement:
        framer = self._framer
        self.diagnostics.counters['buffer_full_drops'] = framer.frames.dropped
        self.diagnostics.counters['poses_ignored'] = framer.poses.ignored
        self.diagnostics.counters['steps_lost'] = framer.odometry.lost
        self.diagnostics.counters['motions_unknown'] = framer.unknown
        lost = self._images.gaps.lost
        self.diagnostics.tell('images_lost', 'not known' if lost is None else lost)
        if self._silence_s() >= self._topic_settings.silence_s:
            level = Level.ERROR if self._images.incompatible else Level.STALE
            return level, f'no image for {self._silence_s():.0f} s on {self._images.describe()}'
        bad = self.diagnostics.age_s('bad_input') < BAD_SHOWN_S
        why = f': {self._last_bad}' if bad else ''
        unused_s = min(self.diagnostics.age_s('used_image'), self.diagnostics.age_s('activation'))
        if unused_s >= self._may_be_unused_s:
            return Level.ERROR, f'images come, but none could be used for {unused_s:.0f} s{why}'
        if self._clocks.sentence():
            return Level.WARN, self._clocks.sentence()
        if bad:
            return Level.WARN, f'some of what comes cannot be used{why}'
        if math.isinf(self.diagnostics.age_s('used_image')):
            return Level.STALE, f'waiting for the first image on {self._images.describe()}'
        return Level.OK, f'session {framer.session}: {self.diagnostics.counters["key_frames"]} key frames'


def _far_off(what: str, stamp_ns: int | None) -> str:
    return f'the stamp of {what} must lie near those around it, got {stamp_ns!r} ns; see whether its clock is set'


def main() -> int:
    """The executable camera_node."""
    return run(CameraNode)


if __name__ == '__main__':
    raise SystemExit(main())
