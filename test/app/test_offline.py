"""From a recording to an answer without ROS, with a fake eye and a fake mind."""

from __future__ import annotations

import asyncio
import dataclasses
import math

import builders
import pytest

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.app import offline
from embodied_r_ros.core.errors import BackendTimeout, BackendUnavailable, InputError, ReplyError
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.records import Completion, ErrorCode, Motion, Question

pytestmark = pytest.mark.system

ROOM = Question(text='Where is the lamp?', choices=('left', 'right'))


class Eye:
    name = 'fake-eye'
    source = 'text'

    def __init__(self, troubles=None):
        self.pairs = []
        self._troubles = troubles or {}

    async def probe(self):
        pass

    async def ping(self):
        pass

    async def describe(self, previous, current):
        self.pairs.append((previous.index if previous else None, current.index))
        await asyncio.sleep(0.002 * (5 - current.index))
        if current.index in self._troubles:
            raise self._troubles[current.index]
        return Description(motion=Motion(name='move right') if previous else None, text=f'thing {current.index}')

    async def focus(self, previous, current, question_text):
        raise AssertionError('nothing here looks again')

    async def aclose(self):
        pass


class Mind:
    name = 'fake-mind'

    def __init__(self, text='<think> Frame 0 </think> <answer> B </answer>', trouble=None):
        self._text, self._trouble = text, trouble
        self.prompts = []

    async def probe(self):
        if self._trouble:
            raise self._trouble

    async def ping(self):
        pass

    async def generate(self, request, on_text=None):
        self.prompts.append(request.messages[-1].content)
        return Completion(text=self._text)

    async def aclose(self):
        pass


def write_bag(folder, views, odometry=True):
    """Four seconds to the right at 5 Hz, 0.3 of the view each second; poses run on for half a second more."""
    messages = [builders.recorded_jpeg(view, 100 + step / 5) for step, view in enumerate(views)]
    if odometry:
        messages += [builders.recorded_odometry(builders.pose(y_m=-step / 10), 100 + step / 10) for step in range(46)]
    return builders.write_bag(folder, sorted(messages, key=lambda item: item.stamp_ns))


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """The bag with odometry, and the one without."""
    folder = tmp_path_factory.mktemp('bags')
    views = [builders.jpeg(view).data for view in builders.pan(21, 0.06)]
    return write_bag(folder / 'with', views), write_bag(folder / 'without', views, odometry=False)


@pytest.fixture(scope='module')
def recording(bags):
    return offline.scan(bags[0], KeyFrameSettings(sample_hz=5.0))


@pytest.fixture(scope='module')
def unlocated(bags):
    return offline.scan(bags[1], KeyFrameSettings(sample_hz=5.0))


def ask(recording, eye=None, mind=None, question=ROOM, **options):
    eye, mind = eye or Eye(), mind or Mind()
    return asyncio.run(offline.answer(question, recording, eye, mind, PaperFormat(), **options))


def test_key_frames_of_a_bag_have_numbers_stamps_and_poses(recording):
    assert recording.numbers[0] == 0
    assert len(recording.numbers) >= 2
    assert recording.sampled == 21
    assert [frame.stamp_ns for frame in recording.key_frames] == [
        100_000_000_000 + number * 200_000_000 for number in recording.numbers
    ]
    assert recording.key_frames[1].pose.y_m == pytest.approx(-0.2 * recording.numbers[1], abs=1e-6)
    assert recording.end_ns == recording.last_pose[0] == 104_500_000_000
    assert recording.selection_s > 0.0


def test_key_frames_are_looked_for_once_a_second_unless_told(bags):
    frames = offline.key_frames(bags[0])
    assert [frame.stamp_ns / 1e9 for frame in frames] == [100, 102, 104]


def test_without_odometry_the_last_image_tells_where_the_camera_is(bags, unlocated):
    kept = offline.scan(bags[1], KeyFrameSettings(sample_hz=5.0), keep_last=True)
    assert kept.numbers == (*unlocated.numbers, 20)
    assert kept.key_frames[-1].reason == 'requested'


def test_pairs_are_described_side_by_side_and_put_in_order(recording):
    eye = Eye()
    result = ask(recording, eye)
    count = len(recording.key_frames)
    assert sorted(eye.pairs, key=lambda pair: pair[1]) == [(None if n == 0 else n - 1, n) for n in range(count)]
    assert [seen.text for seen in result.observations[:count]] == [f'thing {n}' for n in range(count)]
    assert result.observations[0].model == 'fake-eye'


def test_the_answer_names_its_evidence_and_times(recording):
    answer = ask(recording).answer
    assert (answer.error_code, answer.answer, answer.choice) == (ErrorCode.OK, 'right', 1)
    assert [cited.index for cited in answer.evidence] == [0]
    assert (answer.model, answer.prompt_id) == ('fake-mind', 'paper')
    assert math.isnan(answer.confidence)
    assert {'key_frames', 'describe', 'think', 'total'} <= set(answer.timings_s)


def test_the_present_is_read_but_not_cited(recording):
    last = len(recording.key_frames)
    mind = Mind(f'<think> Frame 0 and Frame {last} </think> <answer> B </answer>')
    result = ask(recording, mind=mind)
    assert result.observations[-1].source == 'latest motion'
    assert f'Frame {last}: After Move right' in mind.prompts[0]
    assert [cited.index for cited in result.answer.evidence] == [0]


def test_the_window_counts_back_from_the_end_of_the_recording(recording):
    last_ns = recording.key_frames[-1].stamp_ns
    last_s = (recording.end_ns - last_ns) / 1e9 + 0.01
    result = ask(recording, last_s=last_s)
    assert [seen.stamp_ns for seen in result.observations] == [last_ns, recording.end_ns]
    empty = ask(dataclasses.replace(recording, last_pose=None), last_s=last_s - 0.02).answer
    assert empty.error_code is ErrorCode.WINDOW_EMPTY


def test_a_question_may_be_asked_as_of_a_moment_within_the_recording(recording):
    first_ns, second_ns = (frame.stamp_ns for frame in recording.key_frames[:2])
    before = ask(recording, until_s=(second_ns - first_ns) / 1e9 - 0.01)
    assert [seen.stamp_ns for seen in before.observations] == [first_ns]
    after = ask(recording, until_s=(second_ns - first_ns) / 1e9 + 0.01)
    assert [seen.stamp_ns for seen in after.observations] == [first_ns, second_ns]
    assert 'present' not in [seen.source for seen in after.observations], (
        'where it stood then is not where it stands now'
    )


def test_the_window_counts_back_from_the_moment_asked_about(recording):
    first_ns, second_ns = (frame.stamp_ns for frame in recording.key_frames[:2])
    found = ask(recording, until_s=(second_ns - first_ns) / 1e9 + 0.01, last_s=0.05)
    assert [seen.stamp_ns for seen in found.observations] == [second_ns]


def test_a_moment_after_the_recording_sees_all_of_it_but_no_present(recording):
    found = ask(recording, until_s=1000.0)
    assert [seen.stamp_ns for seen in found.observations] == [frame.stamp_ns for frame in recording.key_frames]


@pytest.mark.parametrize(('last_s', 'until_s'), [(0.05, 0.1), (5.0, -1.0)], ids=['between frames', 'before the first'])
def test_a_window_without_key_frames_says_so(recording, last_s, until_s):
    found = ask(recording, last_s=last_s, until_s=until_s)
    assert found.answer.error_code is ErrorCode.WINDOW_EMPTY
    assert 'no observation lies in the window' in found.answer.error_msg


@pytest.mark.parametrize(
    'trouble', [InputError('broken image'), ReplyError('no words', raw='?')], ids=['image', 'reply']
)
def test_a_key_frame_that_cannot_be_described_is_left_out(recording, trouble, caplog):
    result = ask(recording, Eye({1: trouble}))
    assert result.answer.error_code is ErrorCode.OK
    assert 'thing 1' not in [seen.text for seen in result.observations]
    assert 'key frame 1 is left out' in caplog.text


@pytest.mark.parametrize(
    ('eye', 'mind', 'code'),
    [
        pytest.param(Eye({0: BackendTimeout('slow')}), Mind(), ErrorCode.TIMEOUT, id='perception too slow'),
        pytest.param(Eye(), Mind(trouble=BackendUnavailable('down')), ErrorCode.SERVER_DOWN, id='reasoner down'),
        pytest.param(Eye(), Mind('hmm'), ErrorCode.BAD_REPLY, id='nonsense'),
        pytest.param(Eye(), Mind('<answer> C </answer>'), ErrorCode.BAD_REPLY, id='no such choice'),
    ],
)
def test_what_went_wrong_is_a_code_and_a_sentence(recording, eye, mind, code):
    answer = ask(recording, eye, mind).answer
    assert answer.error_code is code
    assert answer.error_msg
    assert answer.choice == -1


def test_of_several_sessions_the_last_one_counts(tmp_path):
    views = builders.pan(6, 0.6)
    stamps_s = (100, 101, 102, 50, 51, 52)
    messages = [
        builders.recorded_jpeg(builders.jpeg(view).data, stamp_s, recorded_s=100 + place)
        for place, (view, stamp_s) in enumerate(zip(views, stamps_s))
    ]
    recording = offline.scan(builders.write_bag(tmp_path / 'bag', messages), KeyFrameSettings(sample_hz=5.0))
    assert [frame.session for frame in recording.key_frames] == [100_000_000_000] * 3 + [50_000_000_000] * 3
    assert [seen.stamp_ns for seen in ask(recording).observations] == [50_000_000_000, 51_000_000_000, 52_000_000_000]


def test_broken_images_are_left_out(tmp_path, caplog):
    good = builders.jpeg(builders.texture(320, 180)).data
    messages = [builders.recorded_jpeg(data, 100 + place) for place, data in enumerate((good[:200], good, good[:90]))]
    recording = offline.scan(builders.write_bag(tmp_path / 'bag', messages), KeyFrameSettings())
    assert recording.numbers == (1,)


def test_a_recording_of_nothing_but_broken_images_is_refused(tmp_path):
    messages = [builders.recorded_jpeg(builders.jpeg(builders.blank(320, 180)).data[:200], 100.0)]
    with pytest.raises(InputError, match='image'):
        offline.scan(builders.write_bag(tmp_path / 'bag', messages), KeyFrameSettings())


@pytest.mark.parametrize(
    ('part', 'stamps_s'),
    [
        ({'end_s': 2.0}, (100.0, 102.0)),
        ({'start_s': 0.9}, (101.0, 104.0)),
        ({'start_s': 1.0, 'end_s': 3.0}, (101.0, 103.0)),
    ],
    ids=['an end included', 'the rest', 'the middle'],
)
def test_a_part_of_a_recording_is_looked_at(bags, part, stamps_s):
    recording = offline.scan(bags[0], KeyFrameSettings(), keep_last=True, **part)
    frames = recording.key_frames
    assert (frames[0].stamp_ns / 1e9, frames[-1].stamp_ns / 1e9) == pytest.approx(stamps_s)
    assert all(frame.pose is not None for frame in frames)
    assert recording.end_ns <= (100.0 + part.get('end_s', 4.5)) * 1e9


def test_a_part_without_images_is_said(bags):
    with pytest.raises(InputError, match='wanted a recording with images, found none in .* from 60 s to inf s'):
        offline.scan(bags[0], KeyFrameSettings(), start_s=60.0)


def test_odometry_can_be_left_out(bags, unlocated):
    without = offline.scan(bags[0], KeyFrameSettings(sample_hz=5.0), odometry=False)
    assert without.last_pose is None
    # In words, since numbers that are not known are equal to nothing.
    assert [(f.stamp_ns, f.pose, str(f.motion)) for f in without.key_frames] == [
        (f.stamp_ns, f.pose, str(f.motion)) for f in unlocated.key_frames
    ]


def with_odometry(path, image_stamps_s, ahead_s=0.0):
    """Images as they come and odometry at 10 Hz; recorded when the images are due, at 5 Hz."""
    messages = []
    for place, (view, stamp_s) in enumerate(zip(builders.pan(len(image_stamps_s), 0.06), image_stamps_s)):
        recorded_s = 100 + place / 5
        messages.append(builders.recorded_jpeg(builders.jpeg(view).data, stamp_s, recorded_s=recorded_s))
        for step in (0.0, 0.1):
            pose, pose_s = builders.pose(y_m=-place / 10), recorded_s + step + ahead_s
            messages.append(builders.recorded_odometry(pose, pose_s, recorded_s=recorded_s + step))
    return builders.write_bag(path, sorted(messages, key=lambda item: item.stamp_ns))


def test_one_image_stamped_a_day_ahead_is_left_out_and_told(tmp_path, caplog):
    stamps_s = [100 + step / 5 for step in range(40)]
    stamps_s[20] += 86400.0
    path = with_odometry(tmp_path / 'bag', stamps_s)
    recording = offline.scan(path, KeyFrameSettings(sample_hz=5.0), keep_last=True, end_s=7.0)
    assert {frame.session for frame in recording.key_frames} == {100_000_000_000}
    assert recording.sampled == 35
    assert recording.key_frames[-1].stamp_ns == 107_000_000_000
    assert recording.end_ns == pytest.approx(107_000_000_000, abs=500_000_000)
    whole = offline.scan(path, KeyFrameSettings(sample_hz=5.0))
    assert (whole.sampled, whole.end_ns) == (39, 107_900_000_000)
    assert 'images left out, since their stamps lie far from those around them: 1' in caplog.text


@pytest.mark.parametrize('ahead_s', [12.3, 4000.0, -12.3])
def test_odometry_of_another_clock_does_not_move_the_end(tmp_path, caplog, ahead_s):
    path = with_odometry(tmp_path / 'bag', [100 + step / 5 for step in range(60)], ahead_s)
    recording = offline.scan(path, KeyFrameSettings(sample_hz=5.0))
    assert (recording.end_ns, recording.last_pose) == (111_800_000_000, None)
    assert not any(frame.pose for frame in recording.key_frames)
    assert 'odometry is stamped ' in caplog.text
    assert 'key frames carry no pose; let both use one clock' in caplog.text
