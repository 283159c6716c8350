"""Whatever stands in a model pair's file or is given as a setting, and whatever a clock says, is taken or refused."""

import dataclasses
import json

import pytest
from arbitrary import json_values, numbers, outcome, share, texts
from builders import blank, frame, pose
from fake_models import observation
from hypothesis import given
from hypothesis import strategies as st

from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.backends import PerceptionBackend, ReasonerBackend, perception_model, reasoner_model
from embodied_r_ros.adapters.eye_tags import TagSettings
from embodied_r_ros.app.asker import AskerSettings
from embodied_r_ros.app.describer import DescriberSettings
from embodied_r_ros.app.request import Request
from embodied_r_ros.app.timeline import Timeline
from embodied_r_ros.app.windows import cut
from embodied_r_ros.core.frames import StampSampler
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.core.memory import MemorySettings, ObservationMemory
from embodied_r_ros.core.models import PerceptionModel, ReasonerModel, ServerSettings, load_model_pair
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.pose_track import PoseTrack
from embodied_r_ros.core.reasoning import ReasoningSettings, with_age
from embodied_r_ros.core.records import Answer, Question
from embodied_r_ros.core.settings import from_mapping, keys

pytestmark = pytest.mark.slow

CLASSES = [
    AskerSettings, DescriberSettings, KeyFrameSettings, MemorySettings, MountingSettings, PerceptionBackend,
    PerceptionModel, ReasonerBackend, ReasonerModel, ReasoningSettings, ServerSettings, TagSettings,
]  # fmt: skip
NAMES = sorted({name for cls in CLASSES for name, _, _ in keys(cls)})
values = (
    json_values
    | numbers
    | st.sampled_from(['openai', 'opencv', 'numpy', 'tags', 'http://[::1', 'http://x:99999', '..'])
)
stamps = st.integers(0, 10**10) | st.integers(-(2**31) * 10**9, (2**31 + 5) * 10**9) | st.integers(-(2**63), 2**63 - 1)


@share(4)
@given(st.sampled_from(CLASSES), st.dictionaries(st.sampled_from(NAMES) | texts, values, max_size=3))
def test_any_values_are_settings_or_refused(cls, given_values):
    own = {name for name, _, _ in keys(cls)}
    outcome(from_mapping, cls, given_values)
    outcome(from_mapping, cls, {name: value for name, value in given_values.items() if name in own})


@share(4)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.dictionaries(st.sampled_from(['backend', *NAMES]), values, max_size=4) | values
            for name in ('perception', 'reasoner', 'other')
        },
    ).map(json.dumps)
    | texts
    | st.lists(
        st.sampled_from(
            [
                'perception:',
                'reasoner:',
                '\n',
                '  ',
                'backend: openai',
                'url: ',
                '&a',
                '*a',
                '[',
                '{',
                '- ',
                '!!python/name:os.system',
                '0x',
                '1e999',
                "'",
                '2001-99-99',
                '<<: ',
                '? ',
            ]
        ),
        max_size=12,
    ).map(''.join)
)
def test_any_file_is_a_model_pair_or_refused(tmp_path, text):
    path = tmp_path / 'pair.yaml'
    path.write_bytes(text.encode('utf-8', 'surrogatepass'))
    outcome(load_model_pair, path)


@share(1)
@given(texts | st.sampled_from(['/', '/etc/passwd', '.', '\0', 'a' * 5000, '/dev/null/x']))
def test_any_name_of_a_pair_is_found_or_refused(name):
    outcome(lambda: perception_model(PerceptionBackend(models=name)))
    outcome(lambda: reasoner_model(ReasonerBackend(models=name, folder=name)))


@share(4)
@given(st.lists(st.tuples(st.sampled_from(['frame', 'pose', 'capture']), stamps), max_size=8))
def test_frames_and_poses_of_any_stamps_become_key_frames_or_are_left_out(items):
    framer = KeyFramer(KeyFrameSettings(max_gap_s=0.5), codec.small_grey, codec.encode_frame)
    picture = frame(blank(8, 8), 0.0, compressed=False)
    for kind, stamp_ns in items:
        if kind == 'pose':
            framer.push_pose(stamp_ns, pose(stamp_ns % 7))
        elif kind == 'capture':
            outcome(framer.capture)
        else:
            outcome(framer.push, type(picture)(stamp_ns=stamp_ns, pixels=picture.pixels, width=8, height=8))
    framer.finish()


HEARD = ('key frame', 'observation', 'pose', 'given up')


@share(3)
@given(st.lists(stamps, min_size=1, max_size=8), stamps, stamps)
def test_any_stamps_can_be_looked_up(each, start_ns, end_ns):
    track, sampler = PoseTrack(0.2), StampSampler(4.0)
    for stamp_ns in each:
        track.push(stamp_ns, pose())
        if sampler.due(stamp_ns):
            sampler.take(stamp_ns)
    track.keep_from(start_ns)
    track.at(end_ns)
    track.between(start_ns, end_ns)


@share(4)
@given(
    st.lists(st.tuples(st.sampled_from(HEARD), st.integers(-2, 3), stamps, stamps), max_size=8),
    st.floats() | st.none(), stamps | st.none(), stamps | st.none(), stamps | st.none(), stamps,
)  # fmt: skip
def test_windows_of_any_stamps_are_cut_or_refused(heard, last_s, start_ns, end_ns, as_of_ns, now_ns):
    memory = ObservationMemory(5)
    timeline = Timeline(memory, 20.0, lambda: 0.0)
    for index, (kind, session, stamp_ns, at_ns) in enumerate(heard):
        if kind == 'key frame':
            timeline.key_frame(('', session, index), stamp_ns, at_ns)
        elif kind == 'observation':
            seen = dataclasses.replace(observation(index), session=session, stamp_ns=stamp_ns)
            memory.add(seen)
            timeline.observed(seen, at_ns)
        elif kind == 'pose':
            timeline.pose(stamp_ns, at_ns)
        else:
            timeline.given_up(('', session, index))

    def window():
        request = Request(
            question=Question(text='Where?'), last_s=last_s, start_ns=start_ns, end_ns=end_ns, as_of_ns=as_of_ns
        )
        return cut(request, timeline.present_ns(now_ns))

    found = outcome(window)
    if found is not None:
        memory.window(timeline.session, found.start_ns, found.end_ns)
        timeline.in_flight(found.start_ns, found.end_ns)
        with_age(Answer(seen_until_ns=start_ns or 0), found.as_of_ns)
