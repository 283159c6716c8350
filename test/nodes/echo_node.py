"""The smallest managed node, for the tests of what all nodes share."""

from __future__ import annotations

import dataclasses

from std_msgs.msg import String

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.nodes.diagnostics import Diagnostics, Level
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.process import run


@dataclasses.dataclass(frozen=True, kw_only=True)
class EchoSettings(Settings):
    """Settings of the echo."""

    rate_hz: float = setting(2.0, 'how often', unit='Hz', within=(0.1, 10.0))
    times: int = setting(1, 'how many times', within=(1, None))
    tone: str = setting('soft', 'how loud', choices=('soft', 'loud'))
    loud: bool = setting(False, 'say it loud')
    fail_in: str = setting('', 'the hook that is to fail')
    input_error: bool = setting(False, 'fail with an error of ours, not with a bug')


class EchoNode(ManagedNode):
    """Says again what it hears."""

    def __init__(self, **options):
        super().__init__('echo_node', EchoSettings, **options)
        self.wanted = self.settings(EchoSettings)
        self.events = []
        self.diagnostics = Diagnostics(self, lambda: (Level.WARN, 'all too quiet'))

    def configure(self):
        self.echo = self.held(self.create_publisher(String, 'echo', 10))
        self.note('configure')

    def activate(self):
        self.held(self.create_subscription(String, 'chatter', self.echo.publish, 10))
        self.held(self, undo=lambda: self.events.append('undo'))
        self.note('activate')
        self.diagnostics.start()

    def deactivate(self):
        self.note('deactivate')

    def cleanup(self):
        self.note('cleanup')

    def note(self, event):
        self.events.append(event)
        if event == self.wanted.fail_in:
            raise InputError('no echo here') if self.wanted.input_error else RuntimeError('a bug')


def main():
    return run(EchoNode)
