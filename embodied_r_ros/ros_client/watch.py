"""`ros2 run embodied_r_ros watch`: what is seen and what is answered, a line each, as it comes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import rclpy
from embodied_r_interfaces import msg as messages
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from embodied_r_ros.core.landmark_report import sentence
from embodied_r_ros.core.records import ErrorCode
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import NS_PER_S, error_code
from embodied_r_ros.nodes.landmark_messages import landmark_from_message

DEPTH = 2000


class Watch(Node):
    """Writes observations and answers to stdout."""

    def __init__(self) -> None:
        super().__init__('watch', start_parameter_services=False)
        self.create_subscription(messages.Observation, 'observations', self._on_observation, qos.observations(DEPTH))
        self.create_subscription(messages.AnsweredQuestion, 'answers', self._on_answer, qos.ANSWERS)

    def _on_observation(self, message: messages.Observation) -> None:
        stamp = message.header.stamp
        since_s = stamp.sec + stamp.nanosec / NS_PER_S - message.session / NS_PER_S
        words = '(given up)' if message.given_up else message.words
        print(f'{since_s:8.1f} s  {message.index:4d}  {words}', flush=True)

    def _on_answer(self, message: messages.AnsweredQuestion) -> None:
        answer = message.answer
        frames = ', '.join(str(cited.index) for cited in answer.evidence) or 'none'
        if answer.error_code == ErrorCode.OK:
            said = f'{answer.answer} (key frames: {frames})'
        else:
            said = f'{error_code(answer.error_code).name}: {answer.error_msg}'
        places = ''.join(f'\n  {sentence(landmark_from_message(landmark))}' for landmark in answer.landmarks)
        print(f'? {message.question.question}\n! {said}{places}', flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Watch until Ctrl-C."""
    arguments = list(sys.argv if argv is None else argv)
    description = 'Print observations (seconds since the session began, key frame, words) and answers as they come.'
    argparse.ArgumentParser(prog='watch', description=description).parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments)
    node = Watch()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
