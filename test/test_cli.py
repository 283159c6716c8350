"""The commands `python -m embodied_r_ros keyframes` and `answer`."""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import subprocess
import sys

import builders
import cv2
import numpy as np
import pytest
from fake_openai import FakeOpenAI
from tiny_models import chain_folder, make_foreign, with_template

from embodied_r_ros.__main__ import main
from embodied_r_ros.adapters import openai_http

pytestmark = pytest.mark.system

BAGS = pathlib.Path(__file__).resolve().parents[1] / 'data/bags'
REPLY = '<think> Frame 0 shows it. </think> <answer> B </answer>'
QUESTION = ('--question', 'Where is the lamp?', '--choice', 'to the left', '--choice', 'to the right')


def write_video(path, views, hz=10.0):
    height, width = views[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), hz, (width, height))
    for view in views:
        writer.write(view)
    writer.release()
    return path


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Three seconds at 10 Hz, to the right by 0.3 of the view each second."""
    return write_video(tmp_path_factory.mktemp('video') / 'pan.avi', builders.pan(31, 0.03))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(openai_http, 'FIRST_PAUSE_S', 0.01)


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    """A model pair whose reasoner says REPLY whatever it is asked: its words end in one that it does not know."""
    folder = tmp_path_factory.mktemp('pair')
    chain_folder(folder / 'chain', {'<unk>': REPLY}, max_position_embeddings=1024)
    reasoner = '{backend: numpy, folder: chain, prompt_format: paper}'
    path = folder / 'pair.yaml'
    path.write_text(f'perception: {{backend: opencv}}\nreasoner: {reasoner}\n')
    return path


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    return status, capsys.readouterr()


def last_json(captured):
    return json.loads(captured.out.splitlines()[-1])


def test_key_frames_of_a_video(video, capsys):
    status, captured = run(capsys, 'keyframes', video, '--json')
    found = last_json(captured)
    assert status == 0
    assert set(found) == {'key_frames', 'stamps_ns', 'ms_per_frame'}
    assert found['key_frames'] == [0, 20]
    assert found['stamps_ns'] == [0, 2_000_000_000]
    assert 0.0 < found['ms_per_frame'] < 1000.0


def test_a_higher_rate_finds_the_change_sooner(video, capsys):
    _, captured = run(capsys, 'keyframes', video, '--rate', 5, '--json')
    assert last_json(captured)['key_frames'] == [0, 18]


def test_a_static_camera_has_one_key_frame(tmp_path, capsys):
    views = [builders.noisy(builders.texture(320, 180), 2.0, seed) for seed in range(30)]
    _, captured = run(capsys, 'keyframes', write_video(tmp_path / 'still.avi', views), '--json')
    assert last_json(captured)['key_frames'] == [0]


def test_key_frames_for_people(video, capsys):
    status, captured = run(capsys, 'keyframes', video)
    assert status == 0
    first, second, summary = captured.out.splitlines()
    assert first.split() == ['0', '0.0', 's', 'first']
    assert second.split()[:4] == ['20', '2.0', 's', 'overlap,']
    assert summary.startswith('2 key frames of 4 looked at, ')


def test_an_answer(video, pair, capsys):
    status, captured = run(capsys, 'answer', video, *QUESTION, '--models', pair, '--json')
    found = last_json(captured)
    assert status == 0
    assert {name: found[name] for name in ('answer', 'choice', 'thinking', 'confidence', 'error_code', 'model')} == {
        'answer': 'to the right', 'choice': 1, 'thinking': 'Frame 0 shows it.', 'confidence': None, 'error_code': 'OK',
        'model': 'chain',
    }  # fmt: skip
    assert [cited['stamp_ns'] for cited in found['evidence']] == [0]
    assert all({'stamp_ns', 'action', 'text'} <= set(seen) for seen in found['observations'])
    assert found['observations'][1]['action'].startswith(('rotated right', 'moved right'))
    assert found['timings_s']['total'] > 0.0


def test_the_same_question_gets_the_same_answer(video, pair, capsys):
    found = []
    for _ in range(2):
        _, captured = run(capsys, 'answer', video, *QUESTION, '--models', pair, '--json')
        found.append(last_json(captured))
        del found[-1]['timings_s']
    assert found[0] == found[1]


def test_an_answer_for_people(video, pair, capsys):
    status, captured = run(capsys, 'answer', video, *QUESTION, '--models', pair)
    assert status == 0
    lines = captured.out.splitlines()
    assert lines[0] == 'Seen'
    assert lines[1].startswith('  Frame 0')
    assert '  Frame 0 shows it.' in lines
    assert 'Answer: B: to the right' in lines
    assert 'Rests on' in lines


def test_the_last_seconds_alone(video, pair, capsys):
    _, captured = run(capsys, 'answer', video, *QUESTION, '--models', pair, '--last', '0.5', '--json')
    assert [seen['stamp_ns'] for seen in last_json(captured)['observations']] == [3_000_000_000]


def test_model_servers_look_and_think(video, pair, capsys):
    with FakeOpenAI(reply='{"action": "Move right", "new": "a lamp"}') as eye, FakeOpenAI(reply=REPLY) as mind:
        servers = ['--vlm-url', eye.url, '--lm-url', mind.url, '--lm-model', 'fake-model']
        status, captured = run(capsys, 'answer', video, *QUESTION, '--models', pair, *servers, '--json')
        asked = mind.chats[-1].json['messages'][-1]['content']
    found = last_json(captured)
    assert (status, found['answer'], found['model'], found['prompt_id']) == (0, 'to the right', 'fake-model', 'paper')
    assert {seen['source'] for seen in found['observations']} == {'openai'}
    assert 'a lamp' in found['observations'][1]['text']
    assert 'a lamp' in asked


@pytest.mark.torch
def test_a_folder_alone_is_asked_in_the_format_of_its_model_which_the_answer_tells(video, tmp_path, capfd):
    folder = chain_folder(tmp_path / 'other', {'<unk>': REPLY}, max_position_embeddings=4096)
    make_foreign(with_template(folder))
    status, captured = run(capfd, 'answer', video, *QUESTION, '--lm-folder', folder)
    assert status == 0, captured
    assert 'Answer: B: to the right' in captured.out.splitlines()
    assert 'Model: other, asked in the format paper' in captured.out.splitlines()
    assert captured.err == ''


@pytest.mark.parametrize('as_json', [True, False], ids=['json', 'people'])
def test_no_answer_is_a_code_and_status_1(video, pair, capsys, as_json):
    options = ['--models', pair, '--lm-url', 'http://127.0.0.1:1/v1', *(['--json'] if as_json else [])]
    status, captured = run(capsys, 'answer', video, *QUESTION, *options)
    assert status == 1
    if as_json:
        found = last_json(captured)
        assert (found['error_code'], found['answer'], found['choice']) == ('SERVER_DOWN', '', -1)
        assert '127.0.0.1:1' in found['error_msg']
    else:
        assert 'No answer (SERVER_DOWN): ' in captured.out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param(['keyframes', 'nowhere.mp4'], "got 'nowhere.mp4'", id='no such video'),
        pytest.param(['keyframes', '{folder}'], 'got .*readable|recording', id='a folder that is no bag'),
        pytest.param(
            ['keyframes', '{video}', '--rate', '0'], r'sample_hz must lie in \[0.2, 60\] Hz, got 0.0', id='rate'
        ),
        pytest.param(['keyframes', '{video}', '--rate', 'nan'], 'sample_hz must lie in .* got nan', id='no rate'),
        pytest.param(['answer', '{video}', '--question', ' '], "got ' '", id='empty question'),
        pytest.param(['answer', '{video}', '--question', 'Where?', '--choice', 'a'], '2 to 26', id='one choice'),
        *(
            pytest.param(
                ['answer', '{video}', *QUESTION, f'--{option}={seconds}'],
                f'--{option} must be above 0 and below 2147483648 s, got {float(seconds)!r}',
                id=f'{option} {seconds}',
            )
            for option, seconds in itertools.product(('last', 'until'), ('0', '-3', 'nan', 'inf', '1e12'))
        ),
        pytest.param(['answer', '{video}', *QUESTION, '--models', 'nothing'], 'nothing.yaml', id='no such pair'),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--camera-pose', '1 2 3'],
            "camera_pose must be six numbers, 'x y z roll pitch yaw' in metres and degrees, got '1 2 3'",
            id='no camera pose',
        ),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--models', '{pair}', '--lm-folder', '/nowhere'],
            "a model folder with config.json was wanted, '/nowhere' does not exist",
            id='no such model',
        ),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--reasoner', 'numpy', '--lm-model', '{folder}'],
            "option 'lm_model' is now called 'lm_folder'; rename it for --reasoner numpy",
            id='a folder by its old name',
        ),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--lm-model', 'qwen'],
            "model 'qwen' is an id on a server, and reasoner numpy asks none",
            id='an id without a server',
        ),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--models', '{pair}', '--labels', '/nowhere.yaml'],
            "labels .*, got '/nowhere.yaml'",
            id='no such labels',
        ),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--perception', 'opencv', '--vlm-url', 'http://a'],
            'need --perception openai, got opencv',
            id='a server for opencv',
        ),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--reasoner', 'numpy', '--lm-url', 'http://a'],
            'needs --reasoner openai, got numpy',
            id='a server for numpy',
        ),
        pytest.param(
            ['answer', '{video}', *QUESTION, '--models', '{pair}', '--lm-url', 'ftp://a'], "got 'ftp://a'", id='no url'
        ),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, message, video, pair, tmp_path, capsys):
    places = {'video': video, 'pair': pair, 'folder': tmp_path}
    status, captured = run(capsys, *(argument.format(**places) for argument in arguments))
    assert status == 2
    assert captured.out == ''
    assert len(captured.err.splitlines()) == 1
    assert re.search(message, captured.err)


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        pytest.param([], 'sofa', id='beside the recording'),
        pytest.param(['--labels', '{folder}/own.yaml'], 'lamp', id='given'),
        pytest.param(['--labels', ''], 'tag 6', id='none'),
    ],
)
def test_tags_are_called_as_the_labels_say(options, name, pair, tmp_path, capsys):
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    view = np.full((240, 320, 3), 255, np.uint8)
    view[80:160, 120:200] = cv2.aruco.generateImageMarker(family, 6, 80)[..., None]
    video = write_video(tmp_path / 'wall.avi', [view] * 11)
    (tmp_path / 'labels.yaml').write_text('6: sofa')
    (tmp_path / 'own.yaml').write_text('6: lamp')
    options = [option.format(folder=tmp_path) for option in options]
    _, captured = run(capsys, 'answer', video, *QUESTION, '--models', pair, *options, '--json')
    assert last_json(captured)['observations'][0]['text'].startswith(f'{name} ')


def test_a_video_gets_its_calibration_from_a_file(pair, tmp_path, capsys):
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    view = np.full((240, 320, 3), 255, np.uint8)
    view[80:160, 120:200] = cv2.aruco.generateImageMarker(family, 6, 80)[..., None]
    video = write_video(tmp_path / 'wall.avi', [view] * 11)
    lens = tmp_path / 'lens.yaml'
    lens.write_text(
        'image_width: 320\nimage_height: 240\ndistortion_model: plumb_bob\n'
        'camera_matrix: {rows: 3, cols: 3, data: [200, 0, 160, 0, 200, 120, 0, 0, 1]}\n'
    )
    command = ['answer', video, *QUESTION, '--models', pair, '--json']
    _, plain = run(capsys, *command)
    _, calibrated = run(capsys, *command, '--camera-info', lens)
    assert last_json(plain)['observations'][0]['text'] == 'tag 6 straight ahead'
    assert last_json(calibrated)['observations'][0]['text'] == 'tag 6 straight ahead at 1.0 m'
    questions, report = tmp_path / 'questions.yaml', tmp_path / 'report.html'
    questions.write_text('- {question: "Where is tag 6?", choices: [ahead, behind], answer: ahead}')
    command = [
        'evaluate',
        questions,
        '--media',
        video,
        '--models',
        pair,
        '--cache',
        tmp_path / 'kept',
        '--report',
        report,
    ]
    for told, options in ((False, []), (True, ['--camera-info', lens])):
        run(capsys, *command, *options)
        assert ('straight ahead at 1.0 m' in report.read_text(encoding='utf-8')) == told
    status, captured = run(capsys, *command, '--camera-info', lens, '--through', 'graph')
    assert (status, captured.err) == (
        2, "--camera-info needs --through offline, got 'graph'; leave one of them out\n"
    )  # fmt: skip


def test_the_sample_recordings_have_labels(pair, capsys):
    _, captured = run(capsys, 'answer', BAGS / 'seed1', *QUESTION, '--models', pair, '--json')
    seen = ' '.join(observation['text'] for observation in last_json(captured)['observations'])
    assert 'monitor ' in seen and 'tag ' not in seen


@pytest.mark.parametrize('command', [['keyframes'], ['answer', *QUESTION]], ids=['keyframes', 'answer'])
def test_a_bag_without_rosbags_is_one_sentence_and_status_2(command):
    program = (
        'import sys\n'
        'sys.modules["rosbags"] = None\n'
        'from embodied_r_ros.__main__ import main\n'
        f'sys.exit(main({[*command, str(BAGS / "seed1")]!r}))'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, '')
    assert re.fullmatch(r"reading '.*seed1' needs the Python package rosbags .*; pip install rosbags.*\n", done.stderr)


@pytest.mark.parametrize(
    ('write', 'message'),
    [
        pytest.param(
            lambda path: path.with_suffix('.mcap').write_bytes(b'no bag'), 'in one piece, got', id='unreadable'
        ),
        pytest.param(lambda path: builders.write_bag(path, []), 'must hold messages, got', id='empty bag'),
        pytest.param(
            lambda path: builders.write_bag(path, [builders.recorded_odometry(builders.pose(), 1.0)]),
            'must have images, got topics /odom',
            id='bag without images',
        ),
        pytest.param(
            lambda path: path.with_suffix('.mp4').write_bytes(b'no video'), 'video', id='video that does not open'
        ),
    ],
)
def test_a_recording_that_cannot_be_used_is_one_sentence_and_status_2(write, message, tmp_path, capsys):
    write(tmp_path / 'recording')
    (path,) = tmp_path.iterdir()
    status, captured = run(capsys, 'answer', path, *QUESTION)
    assert (status, captured.out) == (2, '')
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err


def test_an_unknown_option_is_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(['keyframes', 'a.mp4', '--speed', '3'])
    assert stopped.value.code == 2
    assert 'unrecognized arguments: --speed' in capsys.readouterr().err


def test_the_command_runs_without_ros(video):
    program = (
        'import sys\n'
        'for name in ("rclpy", "rosbags", "torch"): sys.modules[name] = None\n'
        'from embodied_r_ros.__main__ import main\n'
        f'sys.exit(main(["keyframes", {str(video)!r}, "--json"]))'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    assert json.loads(done.stdout)['key_frames'] == [0, 20]


def test_topics_of_a_bag_may_be_named(tmp_path, capsys):
    views = builders.pan(6, 0.3)
    messages = []
    for step, view in enumerate(views):
        data = builders.jpeg(view).data
        messages.append(builders.recorded_jpeg(data, 100.0 + step, '/front/image/compressed'))
        messages.append(builders.recorded_jpeg(builders.jpeg(views[0]).data, 100.0 + step, '/rear/image/compressed'))
    path = builders.write_bag(tmp_path / 'bag', messages)
    _, chosen = run(capsys, 'keyframes', path, '--json')
    assert len(last_json(chosen)['key_frames']) > 2
    _, named = run(capsys, 'keyframes', path, '--image-topic', '/rear/image/compressed', '--json')
    assert last_json(named)['key_frames'] == [0]
    for option, what in (('--image-topic', 'images'), ('--camera-info-topic', 'camera_info'), ('--odom-topic', 'odom')):
        status, wrong = run(capsys, 'answer', path, *QUESTION, option, '/none')
        assert (status, wrong.out) == (2, '')
        assert f"topic '/none' must be one of the recording with {what}" in wrong.err


def test_a_video_has_no_topics(video, capsys):
    status, captured = run(capsys, 'keyframes', video, '--odom-topic', '/odom')
    assert status == 2
    assert 'a topic needs a bag, got ' in captured.err
