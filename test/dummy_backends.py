"""A perceiver, an eye and a reasoner for the tests of the registry, with the rows that register them."""

import dataclasses
import math

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.core.models import BackendRow
from embodied_r_ros.core.records import Completion, Sighting
from embodied_r_ros.core.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class DummySettings(Settings):
    """How the dummy perceiver paints."""

    colour: str = setting('grey', 'The dummy sees a lamp of this colour.')


@dataclasses.dataclass(frozen=True, kw_only=True)
class DummyEyeSettings(Settings):
    """How far the dummy eye reaches."""

    reach_m: float = setting(2.0, 'The dummy eye sees nothing farther away.', unit='m', within=(0.0, None))


class DummyPerceiver:
    name = 'dummy-perceiver'
    source = 'dummy'

    def __init__(self, settings):
        self._settings = settings

    async def probe(self):
        pass

    async def ping(self):
        pass

    async def describe(self, previous, current):
        return Description(text=f'a {self._settings.colour} lamp')

    async def focus(self, previous, current, question_text):
        return ''

    async def aclose(self):
        pass


class DummyEye:
    name = 'dummy-eye'
    takes_long = False

    def __init__(self, settings):
        self.reach_m = settings.reach_m

    def look(self, picture):
        return (Sighting.level('plant', 20.0, self.reach_m, source='dummy'),)


class DepthEye:
    """Sees one thing, as far away as the middle of the picture is by depth."""

    name = 'depth-eye'
    takes_long = False

    def look(self, picture):
        height, width = picture.image.shape[:2]
        far_m = math.nan if picture.depth is None else picture.depth.of_box((0, 0, width, height), (width, height))
        return (Sighting.level('wall', 0.0, far_m, source='box'),)


class DummyReasoner:
    name = 'dummy-reasoner'

    async def probe(self):
        pass

    async def ping(self):
        pass

    async def generate(self, request, on_text=None):
        return Completion(text='<think> Frame 0 shows it. </think> <answer> B </answer>')

    async def aclose(self):
        pass


PERCEIVER = BackendRow(
    name='dummy',
    purpose='The dummy sees a lamp everywhere.',
    adapter='dummy_backends:DummyPerceiver',
    settings='dummy_backends:DummySettings',
    needs='nothing',
)
EYE = BackendRow(
    name='dummy',
    purpose='The dummy eye sees a plant as far as it reaches.',
    adapter='dummy_backends:DummyEye',
    settings='dummy_backends:DummyEyeSettings',
    needs='nothing',
)
DEPTH_EYE = BackendRow(
    name='depth', purpose='The depth eye sees how far the wall is.', adapter='dummy_backends:DepthEye', needs='nothing'
)
REASONER = BackendRow(
    name='dummy', purpose='The dummy takes the second choice.', adapter='dummy_backends:DummyReasoner', needs='nothing'
)
