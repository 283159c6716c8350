"""The demo as its user sees it: what it prints, how it ends, and that nothing is left behind."""

import json
import os
import pathlib
import re
import signal
import time

import pytest

pytestmark = pytest.mark.system
pytest.importorskip('rclpy')

from demo_process import ROOT, record  # noqa: E402


def asked(**changes):
    sample = {
        'id': 'a',
        'source': 'test',
        'scene': 'x',
        'category': 'x',
        'question': '?',
        'choices': ['left', 'right'],
        'answer': 'A',
        'media': {'path': '.'},
        **changes,
    }
    return json.dumps(sample) + '\n'


def logs_left(tmp_path):
    return list(tmp_path.glob('embodied_r_graph_*'))


def test_recordings_are_played_and_asked_about_through_service_and_action(demo, server, tmp_path):
    record(tmp_path / 'walk')
    record(tmp_path / 'again')
    status, lines, err = demo({'walk': 4, 'again': 2}).wait()
    assert status == 0, err
    summary = json.loads(lines[-1])
    assert {name: summary[name] for name in ('asked', 'right', 'chance')} == {'asked': 6, 'right': 3, 'chance': 0.25}
    assert 0.0 < summary['latency_s']['p50'] <= summary['latency_s']['p95'] < 5.0
    asked = [line for line in lines if re.match(r' *\d+ (right|wrong) ', line)]
    assert len(asked) == 6
    assert re.search(
        r'^ 1 wrong landmark_position, service: .* -> right \(truth: left\); key frames 1; \d+\.\d\d s$', asked[0]
    )
    assert re.search(r'^ 2 right route_planning, action: .* -> right; key frames 1; \d+\.\d\d s$', asked[1])
    assert any(line.split() == ['all', '6', '3', '0.25'] for line in lines)
    prompt = str(server.chats[0].json)
    assert 'Observe: sofa' in prompt and 'Move right' in prompt and 'plant' in prompt
    assert 'plant' not in str(server.chats[3].json), 'it was asked as of the second second'
    assert err == '' and logs_left(tmp_path) == []


@pytest.mark.slow
def test_the_second_recording_is_a_session_of_its_own(demo, server, tmp_path):
    record(tmp_path / 'walk')
    record(tmp_path / 'again')
    status, _, err = demo({'walk': 1, 'again': 1}).wait()
    assert status == 0, err
    first, second = (str(chat.json).count('Observe: ') for chat in server.chats)
    assert first == second


@pytest.mark.slow
def test_a_node_that_dies_is_one_sentence_and_a_failure(demo, tmp_path):
    record(tmp_path / 'walk')
    running = demo({'walk': 2}, rate=0.2)
    running.read_until('walk: playing')
    children = running.children()
    os.kill(children['perception_node'], signal.SIGKILL)
    status, _, err = running.wait(20.0)
    assert status == 1
    assert re.fullmatch(r'demo: perception_node ended with status -9: .*; the logs are in \S+\n', err)
    assert len(logs_left(tmp_path)) == 1
    assert running.is_alone(children.values())


@pytest.mark.slow
def test_a_recording_without_images_is_one_sentence_and_a_failure(demo, tmp_path):
    record(tmp_path / 'blind', images=False)
    status, _, err = demo({'blind': 1}, rate=20.0).wait()
    assert status == 1
    assert re.fullmatch(
        r'demo: question 1 got NO_FRAMES: a capture needs an image, got none since activation on '
        r'/camera/image_raw/compressed .*; the logs are in \S+\n',
        err,
    )


@pytest.mark.slow
def test_a_model_server_that_is_not_there_is_one_sentence_and_a_failure(demo, server, tmp_path):
    record(tmp_path / 'walk')
    server.models_status = 503
    status, _, err = demo({'walk': 1}).wait()
    assert status == 1
    assert re.match(r'demo: question 1 got (SERVER_DOWN|MODEL_LOADING): ', err) and err.count('\n') == 1


@pytest.mark.slow
def test_model_weights_that_are_missing_are_one_sentence_and_a_failure(demo, tmp_path):
    record(tmp_path / 'walk')
    pair = tmp_path / 'weightless.yaml'
    pair.write_text('perception:\n  backend: opencv\nreasoner:\n  backend: numpy\n  folder: nowhere\n')
    status, _, err = demo({'walk': 1}, models=pair).wait(20.0)
    assert status == 1
    assert re.fullmatch(r'demo: reasoning_node ended with status [12]: .*nowhere.*; the logs are in \S+\n', err)


@pytest.mark.slow
def test_too_long_playing_is_one_sentence_and_a_failure(demo, tmp_path):
    record(tmp_path / 'walk')
    status, _, err = demo({'walk': 1}, rate=0.05, limit=3).wait(20.0)
    assert status == 1
    assert re.fullmatch(r'demo: playing and asking took more than 3 s; allow more time; the logs are in \S+\n', err)


@pytest.mark.slow
def test_sigint_takes_everything_down(demo, tmp_path):
    record(tmp_path / 'walk')
    running = demo({'walk': 1}, rate=0.2)
    running.read_until('walk: playing')
    children = running.wait_for_children({'camera_node', 'perception_node', 'reasoning_node', 'bag_player_node'})
    begin = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    status, _, err = running.wait(10.0)
    assert (status, err) == (130, '')
    assert time.monotonic() - begin < 4.0
    assert running.is_alone(children.values()) and logs_left(tmp_path) == []


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        pytest.param(None, 'samples cannot be read from', id='missing'),
        pytest.param('', 'wanted questions, got none', id='empty'),
        pytest.param('{"question": "?"}\n', 'line 1 lacks id, source', id='no sample'),
        pytest.param(asked(choices=[], answer='3.2'), "sample 'a' has [] and {'path': '.'}", id='no choices'),
        pytest.param(asked(media={'end_s': 1.0}), "sample 'a' has ['left', 'right'] and {'end_s': 1.0}", id='no media'),
        pytest.param(asked(media={'path': 'nowhere'}), "no recording 'nowhere' in", id='no such recording'),
    ],
)
def test_questions_that_cannot_be_read_are_one_sentence(demo, tmp_path, content, words):
    questions = tmp_path / 'asked.jsonl'
    if content is not None:
        questions.write_text(content)
    status, lines, err = demo({}, questions=questions).wait(20.0)
    assert (status, lines) == (1, [])
    assert err.startswith('demo: ') and words in err and err.count('\n') == 1


@pytest.mark.slow
def test_the_sample_recordings_are_answered_by_the_embedded_default(demo):
    questions = ROOT / 'data/questions.jsonl'
    for needed in (questions, ROOT / 'data/reasoner/model.safetensors'):
        if not needed.exists():
            pytest.skip(f'needs {needed.relative_to(ROOT)}')
    begin = time.monotonic()
    status, lines, err = demo({}, questions=questions, models='embedded', rate=2.0).wait(200.0)
    assert status == 0, err
    assert time.monotonic() - begin < 170.0
    summary = json.loads(lines[-1])
    assert summary['asked'] == len(pathlib.Path(questions).read_text().splitlines())
    assert summary['right'] / summary['asked'] > 1.5 * summary['chance']
