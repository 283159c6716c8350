"""`ros2 run embodied_r_ros ask "Which way is the dock?" --choice left --choice right --last 60`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import rclpy
from rclpy.utilities import remove_ros_args

from embodied_r_ros.app.request import FOCUS_MODES
from embodied_r_ros.core.landmark_report import sentence
from embodied_r_ros.core.records import Answer, ErrorCode, Evidence
from embodied_r_ros.nodes.conversions import NS_PER_S
from embodied_r_ros.ros_client.spatial_client import SpatialClient

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Ask one question: thinking as it comes, then the answer and its evidence.

    Returns:
        0 for an answer, 1 for an error code (one sentence on stderr), 130 after Ctrl-C.
    """
    arguments = list(sys.argv if argv is None else argv)
    options = _parser().parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    thinking = _Thinking()
    try:
        with SpatialClient() as client:
            answer = client.ask(
                options.question,
                options.choice,
                last_s=options.last,
                start_ns=options.start,
                end_ns=options.end,
                as_of_ns=options.as_of,
                focus=options.focus,
                fresh=options.fresh,
                votes=options.votes,
                check_consistency=options.check_consistency,
                deadline_s=options.deadline,
                on_progress=thinking.grow,
            )
    except KeyboardInterrupt:
        thinking.end()
        return EXIT_INTERRUPTED
    finally:
        rclpy.try_shutdown()
    thinking.end(answer.thinking)
    return _report(answer)


class _Thinking:
    """Writes the thinking as it grows, each part once."""

    def __init__(self) -> None:
        self._shown = ''

    def grow(self, stage: str, text: str) -> None:
        if text.startswith(self._shown) and text != self._shown:
            sys.stdout.write(text[len(self._shown) :])
            sys.stdout.flush()
            self._shown = text

    def end(self, text: str = '') -> None:
        """Write the final thinking: what is left of it, or all of it where it differs from what was shown."""
        if self._shown and text.startswith(self._shown):
            self.grow('', text)
        elif text:
            sys.stdout.write(('\n' if self._shown else '') + text)
        if self._shown or text:
            sys.stdout.write('\n')


def _report(answer: Answer) -> int:
    if answer.answer:
        print(f'answer: {answer.answer}')
    for cited in answer.evidence:
        print(f'  {_evidence(cited, answer.seen_until_ns)}')
    for landmark in answer.landmarks:
        print(f'  {sentence(landmark)}')
    if answer.available:
        agree = '' if answer.confidence != answer.confidence else f', {answer.confidence:.0%} of the thoughts agree'
        seconds = answer.timings_s.get('total', 0.0)
        print(f'from {answer.used} of {answer.available} observations in {seconds:.1f} s by {answer.model}{agree}')
    if answer.error_code is ErrorCode.OK:
        return 0
    sys.stdout.flush()
    sys.stderr.write(f'{answer.error_code.name}: {answer.error_msg}\n')
    return EXIT_FAILED


def _evidence(cited: Evidence, seen_until_ns: int) -> str:
    place = '' if cited.pose is None else f' at x {cited.pose.x_m:.1f} m, y {cited.pose.y_m:.1f} m'
    before_s = (seen_until_ns - cited.stamp_ns) / NS_PER_S
    return f'key frame {cited.index}, {before_s:.1f} s before the newest{place}: {cited.text}'


def _stamp_ns(text: str) -> int:
    try:
        return round(float(text) * NS_PER_S)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f'ROS time in seconds is wanted, got {text!r}') from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='ask',
        description='Ask a spatial question about what the robot has seen.',
        epilog='The node is found in the namespace given the ROS way: --ros-args -r __ns:=/robot1',
    )
    parser.add_argument('question', help='in words, without the choices')
    parser.add_argument(
        '--choice',
        action='append',
        default=[],
        metavar='WORDS',
        help='once per choice; leave it out for an open question',
    )
    parser.add_argument('--last', type=float, metavar='SECONDS', help='use only what was seen in these last seconds')
    parser.add_argument('--start', type=_stamp_ns, metavar='SECONDS', help='start of the window, ROS time')
    parser.add_argument('--end', type=_stamp_ns, metavar='SECONDS', help='end of the window, ROS time')
    parser.add_argument('--as-of', type=_stamp_ns, metavar='SECONDS', help='ROS time that counts as now')
    parser.add_argument('--focus', choices=FOCUS_MODES, default='off', help='look at key frames again (default off)')
    parser.add_argument('--fresh', action='store_true', help='capture and describe the newest frame first')
    parser.add_argument('--votes', type=int, default=1, help='sampled thoughts that vote (default 1, greedy)')
    parser.add_argument('--check-consistency', action='store_true', help='ask again with the thinking alone')
    parser.add_argument(
        '--deadline', type=float, default=30.0, metavar='SECONDS', help='wall-clock time allowed (default 30)'
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())
