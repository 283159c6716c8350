"""Drive to a thing that the robot has seen: ask where it is, and send Nav2 there.

    python3 examples/go_to.py "fire extinguisher" --stand-off 0.8

The robot stops before the thing, on the straight line from where it stands, and faces it. This needs reasoning_node,
odometry on the topic `odom`, and Nav2's action `navigate_to_pose`. Remap and name spaces the ROS way:
`--ros-args -r __ns:=/robot1`.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence

import rclpy
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import Point, PoseStamped
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from embodied_r_ros import SpatialClient
from embodied_r_ros.core.landmark_report import sentence
from embodied_r_ros.core.records import Landmark
from embodied_r_ros.nodes import qos

CHOICES = ('ahead of me', 'to my left', 'to my right', 'behind me')
WAIT_S = 10.0
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


class CannotGoError(Exception):
    """Why the robot does not get there, in one sentence."""


class GoTo(Node):
    """Asks where a thing is, and drives there."""

    def __init__(self) -> None:
        super().__init__('go_to')
        self._odometry: Odometry | None = None
        self.create_subscription(Odometry, 'odom', self._on_odometry, qos.ODOMETRY)
        self._navigate = ActionClient(self, NavigateToPose, 'navigate_to_pose')

    def place_of(self, thing: str) -> Landmark:
        """The nearest thing of that name.

        Raises:
            CannotGoError: its place is not known.
        """
        with SpatialClient(self) as client:
            answer = client.ask(f'Where is the {thing} now?', CHOICES, deadline_s=WAIT_S)
        if not answer.landmarks:
            why = answer.error_msg or 'show it to the robot, from several places where there is no depth'
            raise CannotGoError(f'no place of the {thing} is known: {why}')
        return answer.landmarks[0]

    def stand_before(self, landmark: Landmark, stand_off_m: float) -> PoseStamped:
        """Where to stand before a thing.

        Raises:
            CannotGoError: where the robot stands is not known, or is told in another frame.
        """
        end_s = time.monotonic() + WAIT_S
        while self._odometry is None and time.monotonic() < end_s:
            rclpy.spin_once(self, timeout_sec=0.1)
        if self._odometry is None:
            topic = self.resolve_topic_name('odom')
            raise CannotGoError(f'odometry must tell where the robot is, nothing came on {topic!r}')
        frame_id = self._odometry.header.frame_id
        if landmark.frame_id != frame_id:
            raise CannotGoError(f'the place must be in the frame of odometry, {frame_id!r}, got {landmark.frame_id!r}')
        return pose_before(landmark, self._odometry.pose.pose.position, stand_off_m)

    def go(self, pose: PoseStamped) -> None:
        """Drive to a pose, and wait until the robot is there; Ctrl-C stops it.

        Raises:
            CannotGoError: Nav2 is missing, refuses the goal, or gives it up.
        """
        if not self._navigate.wait_for_server(timeout_sec=WAIT_S):
            raise CannotGoError('Nav2 must offer the action navigate_to_pose, nobody does; start it')
        sent = self._navigate.send_goal_async(NavigateToPose.Goal(pose=pose))
        rclpy.spin_until_future_complete(self, sent, timeout_sec=WAIT_S)
        goal: ClientGoalHandle | None = sent.result()
        if goal is None or not goal.accepted:
            raise CannotGoError('Nav2 does not take the goal; see its log')
        arrived = goal.get_result_async()
        try:
            rclpy.spin_until_future_complete(self, arrived)
        except KeyboardInterrupt:
            rclpy.spin_until_future_complete(self, goal.cancel_goal_async(), timeout_sec=WAIT_S)
            raise
        outcome = arrived.result()
        if outcome.status != GoalStatus.STATUS_SUCCEEDED:
            what = 'was told to stop' if outcome.status == GoalStatus.STATUS_CANCELED else 'gave up'
            raise CannotGoError(f'Nav2 {what}, with error code {outcome.result.error_code}; see its log')

    def _on_odometry(self, message: Odometry) -> None:
        self._odometry = message


def pose_before(landmark: Landmark, robot: Point, stand_off_m: float) -> PoseStamped:
    """Where to stand so far before a thing, on the line from the robot, facing it.

    The stamp is zero, which is the newest transform. A robot that is nearer stays where it is and turns.
    """
    ahead_m, left_m = landmark.position_m[0] - robot.x, landmark.position_m[1] - robot.y
    away_m, heading_rad = math.hypot(ahead_m, left_m), math.atan2(left_m, ahead_m)
    drive_m = max(0.0, away_m - stand_off_m)
    pose = PoseStamped()
    pose.header.frame_id = landmark.frame_id
    pose.pose.position.x = robot.x + drive_m * math.cos(heading_rad)
    pose.pose.position.y = robot.y + drive_m * math.sin(heading_rad)
    pose.pose.orientation.z, pose.pose.orientation.w = math.sin(heading_rad / 2), math.cos(heading_rad / 2)
    return pose


def main(argv: Sequence[str] | None = None) -> int:
    """Drive; 0 on arrival, 1 with a sentence on stderr, 130 after Ctrl-C."""
    arguments = list(sys.argv if argv is None else argv)
    parser = argparse.ArgumentParser(prog='go_to', description='Drive to a thing that the robot has seen.')
    parser.add_argument('thing', help='its name, such as "fire extinguisher" or "chair 2"')
    stand_off = 'stop so far before its middle (default %(default)s)'
    parser.add_argument('--stand-off', type=float, default=0.8, metavar='METRES', help=stand_off)
    options = parser.parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    try:
        robot = GoTo()
        landmark = robot.place_of(options.thing)
        print(f'driving to {sentence(landmark)}')
        robot.go(robot.stand_before(landmark, options.stand_off))
    except CannotGoError as error:
        print(f'go_to: {error}', file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        rclpy.try_shutdown()
    print('arrived')
    return 0


if __name__ == '__main__':
    sys.exit(main())
