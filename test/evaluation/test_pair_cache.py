"""The cache of descriptions: each thing that words depend on is in their key, and nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import math
import os
from pathlib import Path

import cv2
import dummy_backends
import pytest
from builders import ROOM_CAMERA

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.eye_tags import TagSettings
from embodied_r_ros.core import prompts
from embodied_r_ros.core.models import EYES, PerceptionModel, ServerSettings
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Motion, MotionSource, Move
from embodied_r_ros.evaluation import pair_cache, perceiver_source
from embodied_r_ros.evaluation.pair_cache import PairCache, code_key, file_key, key_of, pair_key
from embodied_r_ros.evaluation.perceiver_source import OwnPerceivers, ServerSource

MOTION = Motion(
    name='move forward', forward_m=2.0, left_m=0.0, up_m=0.0, rotate_left_deg=0.0, source=MotionSource.ODOMETRY
)
BEFORE = KeyFrame(
    session=1, index=4, stamp_ns=5, frame_id='camera', image=EncodedImage(data=b'before'), reason='overlap',
    overlap=0.4, calibration=ROOM_CAMERA.calibration,
)  # fmt: skip
AFTER = dataclasses.replace(BEFORE, index=5, stamp_ns=6, image=EncodedImage(data=b'after'), motion=MOTION)
OTHER = dataclasses.replace(ROOM_CAMERA, fx_px=ROOM_CAMERA.fx_px + 1.0).calibration
PNG = EncodedImage(data=b'after', mime='image/png')


def key(before: KeyFrame | None = BEFORE, perceiver_key: str = 'opencv', question: str = '', **after: object) -> str:
    return pair_key(perceiver_key, before, dataclasses.replace(AFTER, **after), question)


def moved(**changes: object) -> Motion:
    return dataclasses.replace(MOTION, **changes)


@pytest.mark.parametrize(
    'changes',
    [
        pytest.param({'perceiver_key': 'openai'}, id='who looks'),
        pytest.param({'question': 'Where is the sofa?'}, id='question'),
        pytest.param({'before': None}, id='one image in place of two'),
        pytest.param({'before': dataclasses.replace(BEFORE, image=AFTER.image)}, id='earlier image'),
        pytest.param({'before': dataclasses.replace(BEFORE, calibration=OTHER)}, id='earlier calibration'),
        pytest.param({'image': BEFORE.image}, id='image'),
        pytest.param({'image': PNG}, id='kind of image'),
        pytest.param({'calibration': OTHER}, id='calibration'),
        pytest.param({'calibration': None}, id='no calibration'),
        pytest.param({'motion': None}, id='no motion'),
        pytest.param({'motion': moved(source=MotionSource.IMAGES)}, id='source of the motion'),
        pytest.param({'motion': moved(name='move left')}, id='name of the motion'),
        pytest.param({'motion': moved(forward_m=2.001)}, id='a motion that the words round away'),
        pytest.param({'motion': moved(tilt_up_deg=1.0)}, id='tilt'),
        pytest.param({'motion': moved(moves=(Move(kind='turn', amount=9.0),))}, id='moves'),
    ],
)
def test_a_pair_has_another_key_where_its_words_may_be_others(changes: dict[str, object]) -> None:
    assert key(**changes) != key()


def test_a_pair_keeps_its_key_wherever_it_stands_in_a_recording() -> None:
    before = dataclasses.replace(BEFORE, session=7, index=0, stamp_ns=0, reason='first', overlap=math.nan)
    assert key(before, session=7, index=1, stamp_ns=1, reason='requested', overlap=0.1) == key()


OPENCV = PerceptionModel(backend='opencv')


def source_key(source: OwnPerceivers | ServerSource, recording: Path | str = 'bag') -> str:
    async def opened() -> str:
        async with source.open(str(recording)) as (_, found):
            return found

    return asyncio.run(opened())


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    file = tmp_path / 'labels.yaml'
    file.write_text('17: sofa\n', encoding='utf-8')
    return file


def test_the_key_of_tags_holds_their_size_their_labels_the_settings_and_the_eyes(
    labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = source_key(OwnPerceivers(OPENCV, 0.4, str(labels)))
    assert source_key(OwnPerceivers(OPENCV, 0.4, str(labels))) == first
    keys = {
        first,
        source_key(OwnPerceivers(OPENCV, 0.3, str(labels))),
        source_key(OwnPerceivers(OPENCV, 0.4, None)),
    }
    monkeypatch.setitem(EYES, 'dummy', dummy_backends.EYE)
    keys.add(source_key(OwnPerceivers(dataclasses.replace(OPENCV, eyes='tags,dummy'), 0.4, str(labels))))
    labels.write_text('17: lamp\n', encoding='utf-8')
    keys.add(source_key(OwnPerceivers(OPENCV, 0.4, str(labels))))
    labels.write_text('17: sofa\n', encoding='utf-8')
    monkeypatch.setattr(perceiver_source, 'TagSettings', functools.partial(TagSettings, max_range_m=5.0))
    keys.add(source_key(OwnPerceivers(OPENCV, 0.4, str(labels))))
    assert len(keys) == 6


def test_labels_beside_a_recording_are_in_the_key_wherever_they_lie(labels: Path, tmp_path: Path) -> None:
    (tmp_path / 'bag').mkdir()
    assert source_key(OwnPerceivers(OPENCV, 0.4, None), tmp_path / 'bag') == source_key(
        OwnPerceivers(OPENCV, 0.4, str(labels))
    )


def test_the_key_of_tags_holds_the_code_and_the_version_of_opencv(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {source_key(OwnPerceivers(OPENCV, 0.4, str(labels)))}
    monkeypatch.setattr(cv2, '__version__', '3.0')
    keys.add(source_key(OwnPerceivers(OPENCV, 0.4, str(labels))))
    monkeypatch.setattr(perceiver_source, 'CODE', (tmp_path,))
    keys.add(source_key(OwnPerceivers(OPENCV, 0.4, str(labels))))
    assert len(keys) == 3


def model_key(name: str = 'a-model', **changes: object) -> str:
    model = PerceptionModel(backend='openai', server=ServerSettings(model=name, **changes.pop('server', {})), **changes)
    return source_key(ServerSource(backends.perceiver(model), model))


def test_the_key_of_a_model_holds_its_name_and_how_it_is_sampled() -> None:
    keys = [model_key(), model_key('other'), model_key(temperature=0.7), model_key(max_tokens=64)]
    assert len(set(keys)) == len(keys)
    assert model_key(server={'url': 'http://10.0.0.1:8000/v1', 'timeout_s': 5.0}) == model_key()


CHANGED = pytest.mark.parametrize('changes', [{'text': 'Say no more.'}, {'schema': {}}], ids=['text', 'schema'])


@CHANGED
@pytest.mark.parametrize('source', [None, MotionSource.IMAGES, MotionSource.ODOMETRY, 'the first image'])
def test_the_key_of_a_model_holds_each_prompt_for_a_description(
    source: MotionSource | str | None, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(has_previous: bool, motion: Motion | None = None) -> prompts.PerceptionPrompt:
        prompt = prompts.describe_prompt(has_previous, motion)
        of = (motion and motion.source) if has_previous else 'the first image'
        return dataclasses.replace(prompt, **changes) if of == source else prompt

    before = model_key()
    monkeypatch.setattr(perceiver_source, 'describe_prompt', changed)
    assert model_key() != before


@CHANGED
@pytest.mark.parametrize('of_a_pair', [False, True], ids=['one image', 'a pair'])
def test_the_key_of_a_model_holds_each_prompt_for_a_second_look(
    of_a_pair: bool, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(has_previous: bool, question: str) -> prompts.PerceptionPrompt:
        prompt = prompts.focus_prompt(has_previous, question)
        return dataclasses.replace(prompt, **changes) if has_previous is of_a_pair else prompt

    before = model_key()
    monkeypatch.setattr(perceiver_source, 'focus_prompt', changed)
    assert model_key() != before


def test_the_key_of_a_model_holds_the_code_that_asks_and_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model_key()
    (tmp_path / 'replies.py').write_text('pass', encoding='utf-8')
    monkeypatch.setattr(perceiver_source, 'MODEL_CODE', (tmp_path / 'replies.py',))
    assert model_key() != before


def test_the_key_of_a_recording_holds_its_files_the_settings_and_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / 'v.avi'
    video.write_bytes(b'one')
    first = file_key(str(video), 'settings')
    assert file_key(str(video), 'settings') == first
    keys = {first, file_key(str(video), 'others'), file_key(str(video), 'settings', 'question')}
    os.utime(video, (1.0, 1.0))
    keys.add(file_key(str(video), 'settings'))
    monkeypatch.setattr(pair_cache, 'CODE', (video,))
    keys.add(file_key(str(video), 'settings'))
    assert len(keys) == 5


def test_code_of_another_content_has_another_key(tmp_path: Path) -> None:
    for version in ('one', 'two', 'three'):
        (tmp_path / version).mkdir()
        (tmp_path / version / 'eye.py').write_text(f'{version[:3]!r}', encoding='utf-8')
    (tmp_path / 'three' / 'eye.py').write_text("'one'", encoding='utf-8')
    one, two, three = (code_key((tmp_path / version,)) for version in ('one', 'two', 'three'))
    assert one == three != two


def test_a_file_that_the_disk_lost_is_written_anew(tmp_path: Path) -> None:
    cache = PairCache(tmp_path / 'cache')
    assert cache.get('abcd') is None
    cache.put('abcd', {'text': 'a sofa'})
    assert cache.get('abcd') == {'text': 'a sofa'}
    (file,) = (tmp_path / 'cache').rglob('*.json')
    file.write_text('{"text": "a so')
    assert cache.get('abcd') is None


def test_no_two_lists_share_a_key() -> None:
    lists = [[], [''], ['', ''], ['ab'], ['a', 'b'], [b'a', 'b1:c'], ['a', 'b', 'c'], ['1:a']]
    assert len({key_of(parts) for parts in lists}) == len(lists)
