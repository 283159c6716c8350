"""The server that draws boxes in simulated pictures, and the eye `boxes` behind it, from a recording to an answer."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from embodied_r_ros.__main__ import main
from embodied_r_ros.adapters.bags import read_recording
from embodied_r_ros.core.box_replies import with_things
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import DepthItem
from embodied_r_ros.core.prompts import describe_prompt
from training.world import box_server
from training.world.box_eyes import EyeNoise
from training.world.box_server import BoxModel, serving
from training.world.path import WIDE_CAMERA, Leg, Station
from training.world.path import Path as Walked
from training.world.recording import DEPTH_TOPIC, write_bag
from training.world.scene import Scene, SceneObject, Walk

SOFA = SceneObject(name='sofa', center_m=(4.0, 0.5, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=17)
BED = SceneObject(name='bed', center_m=(1.5, 3.0, 0.5), size_m=(1.2, 0.8, 1.0), tag_id=18)
SCENE = Scene(seed=7, kind='room', objects=(SOFA, BED), bounds_m=(-5.0, -5.0, 7.0, 5.0))
WALK = Walk(scene=SCENE, path=Walked((Leg(kind='forward', amount=0.5), Leg(kind='turn', amount=90.0))))


def asked(picture: bytes, with_boxes: bool = True) -> dict[str, Any]:
    """The body of a request about a picture."""
    prompt = describe_prompt(False, None)
    prompt = with_things(prompt, (640, 480), 'px') if with_boxes else prompt
    url = f'data:image/jpeg;base64,{base64.b64encode(picture).decode()}'
    parts = [{'type': 'image_url', 'image_url': {'url': url}}, {'type': 'text', 'text': prompt.text}]
    schema = {'type': 'json_schema', 'json_schema': {'name': 'key_frame', 'schema': prompt.schema}}
    return {'messages': [{'role': 'user', 'content': parts}], 'response_format': schema}


def model(seed: int = 0, **noise: float) -> BoxModel:
    """A model that knows one picture, of the start."""
    knowing = BoxModel(EyeNoise(**noise), seed)
    knowing.note(b'start', SCENE, Station())
    return knowing


def test_a_known_picture_is_told_with_names_and_boxes() -> None:
    told = json.loads(model().reply(asked(b'start')))
    assert told['new'] == 'In view: sofa.'
    (sofa,) = told['things']
    left, upper, right, lower = sofa['box']
    # From x = 3.75 on, y from 0.25 to 0.75, z from 0 to 1.6, the camera 1.2 m up, 400 px to a metre at a metre.
    assert (sofa['name'], left, right) == ('sofa', pytest.approx(239, abs=3), pytest.approx(294, abs=3))
    assert (upper, lower) == (pytest.approx(197, abs=3), pytest.approx(367, abs=3))


def test_boxes_come_where_they_are_asked_for_alone() -> None:
    assert 'things' not in json.loads(model().reply(asked(b'start', with_boxes=False)))


def test_of_an_unknown_picture_nothing_is_told_and_it_is_counted() -> None:
    knowing = model()
    assert json.loads(knowing.reply(asked(b'another')))['things'] == []
    assert (knowing.asked, knowing.unknown) == (1, 1)


def test_noise_is_that_of_the_eye_and_repeats_with_its_seed() -> None:
    sharp, first, again, other = (
        model(seed, jitter=jitter).reply(asked(b'start')) for seed, jitter in ((0, 0), (0, 0.1), (0, 0.1), (1, 0.1))
    )
    assert first == again
    assert len({sharp, first, other}) == 3
    assert json.loads(model(missed=1.0).reply(asked(b'start')))['things'] == []
    assert [one['name'] for one in json.loads(model(false=1.0).reply(asked(b'start')))['things']].count('bed') == 1


@pytest.mark.system
def test_depth_is_recorded_beside_each_image(tmp_path: Path) -> None:
    write_bag(WALK, tmp_path / 'bag', with_depth=True)
    items = read_recording(tmp_path / 'bag', depth_topic=DEPTH_TOPIC)
    depths = [item.read().metres for item in items if isinstance(item, DepthItem)]
    assert len(depths) > 10
    assert depths[0][140, 133] == pytest.approx(3.75, abs=0.3)
    with pytest.raises(InputError, match='depth is simulated for the standard camera alone'):
        write_bag(WALK, tmp_path / 'wide', WIDE_CAMERA, with_depth=True)


@pytest.mark.system
def test_boxes_over_http_and_depth_lead_to_an_answer_with_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(WALK, tmp_path / 'bag', with_depth=True)
    drawing = BoxModel(EyeNoise(jitter=0.05), 0)
    drawing.note_recording(tmp_path / 'bag', WALK)
    with serving(drawing) as url:
        words = ['--perception', 'openai', '--eyes', 'boxes', '--vlm-url', url, '--depth-topic', DEPTH_TOPIC, '--json']
        question = [
            '--question',
            'Where is the sofa now?',
            *(f'--choice={side}' for side in ('ahead', 'left', 'right')),
        ]
        status = main(['answer', str(tmp_path / 'bag'), *question, *words])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (status, found['answer'], found['error_code']) == (0, 'right', 'OK')
    sofa = next(one for one in found['landmarks'] if one['name'] == 'sofa')
    assert sofa['position_m'][:2] == pytest.approx([4.0, 0.5], abs=0.3)
    assert (sofa['frame'], drawing.asked > 1, drawing.unknown) == ('odom', True, 0)


@pytest.mark.system
def test_the_command_serves_the_recordings_that_it_is_told(tmp_path: Path) -> None:
    write_bag(WALK, tmp_path / 'bag')
    command = [sys.executable, '-m', 'training.world.box_server', str(tmp_path / 'bag')]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(f'{url}/models', timeout=30.0) as reply:
                assert json.load(reply)['data'][0]['id'] == 'boxes'
        finally:
            process.terminate()


def test_a_recording_of_another_place_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert box_server.main([str(tmp_path / 'kitchen' / 'run')]) == 2
    assert "a recording of a site 'world-<seed>' is wanted, got 'kitchen' in" in capsys.readouterr().err
