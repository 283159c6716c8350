"""Every command in README and docs is run, here or by another test, or named with what it needs."""

import ast
import functools
import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest
import yaml

from embodied_r_ros.adapters.eye_detections import read_names
from embodied_r_ros.adapters.eye_tags import read_labels
from embodied_r_ros.core.models import load_model_pair

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md')] + sorted(ROOT.glob('docs/*.md'))
BLOCK = re.compile(r'^( *)```(\w*)\n(.*?)^\1```', re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r'^(?:\.venv/bin/python|python3|\$P) ')

# Run as they stand, in a folder with data/, and a video and a picture that show tag 17, a monitor.
RUN = (
    'python -m embodied_r_ros keyframes data/bags/seed1',
    'python -m embodied_r_ros answer data/bags/seed1 --question "Where is the monitor now?" ',
    'python -m embodied_r_ros answer data/bags/seed1 --question "Where is the blackboard?" ',
    'python -m embodied_r_ros answer drive.mp4 --camera-info lens.yaml ',
    'python -m embodied_r_ros evaluate data/questions.jsonl ',
)
# Begin of a command -> the test that runs it, or does the same on less, and a word by which that can be seen.
TESTED = {
    'make demo': ('system/test_demo.py', 'data/questions.jsonl'),
    'python scripts/write_parameters.py': ('test_docs.py', 'write_parameters'),
    'python -m embodied_r_ros sightings ': ('app/test_one_picture.py', "'sightings'"),
    'python -m embodied_r_ros answer drive.mp4 --question "What did I pass on the left?" --perception': (
        'test_cli.py',
        '--vlm-url',
    ),
    "python -m embodied_r_ros answer data/bags/seed1 --question 'Where is the monitor now?' --lm-folder": (
        'test_cli.py',
        '--lm-folder',
    ),
    'python -m embodied_r_ros keyframes runs/morning': ('test_cli.py', "'keyframes'"),
    'python -m embodied_r_ros evaluate out/own/': ('test_own_data.py', 'COMMANDS'),
    'python -m embodied_r_ros evaluate questions.jsonl --media archive ': ('evaluation/test_on_ray.py', "'--ray'"),
    'python -m training.prepare bag ': ('test_own_data.py', 'COMMANDS'),
    'python -m training.perceive ': ('test_own_data.py', 'COMMANDS'),
    'python -m training.sft --init ': ('test_own_data.py', 'COMMANDS'),
    'python -m training.prepare world ': ('training/test_prepare.py', "'world'"),
    'python -m training.sft --model ': ('training/test_own_model.py', "'--model'"),
    'python -m training.sft --steps ': ('training/test_sft.py', "'--steps'"),
    'python -m training.select_hard ': ('training/test_sampling.py', 'select_hard'),
    'python -m training.grpo ': ('training/test_grpo.py', "'--samples'"),
    'python -m training.evaluate ': ('training/test_evaluate.py', "'--against'"),
    'python -m training.export ': ('training/test_export.py', "'--out'"),
    'python -m training.world.recording ': ('training/test_recording.py', 'training.world.recording'),
    'python -m training.world.box_server ': ('training/test_box_server.py', 'box_server'),
    'python -m embodied_r_ros answer out/bags/seed7 ': ('training/test_box_server.py', 'answer'),
    'python -m benchmarks.key_frames ': ('test_figures.py', 'benchmarks.key_frames'),
    'python examples/go_to.py ': ('nodes/test_go_to.py', 'go_to'),
    'python examples/yolo_detections.py ': ('nodes/test_detections.py', 'yolo_detections'),
    'ros2 run embodied_r_ros ask ': ('nodes/test_spatial_client.py', 'ros_client.ask'),
    'ros2 run embodied_r_ros watch': ('nodes/test_spatial_client.py', 'ros_client.watch'),
    'ros2 service call /ask ': ('test_launch.py', "'service', 'call'"),
    'ros2 launch embodied_r_ros ': ('test_launch.py', "'launch', 'embodied_r_ros'"),
}
# Begin of a command -> what it needs that the machines of the tests lack.
NEEDS = {
    'sudo apt install ': 'root',
    'make ': 'another make; what the target runs is what tests run',
    'pip install ': 'network',
    'rosdep install ': 'ROS 2 from apt',
    'colcon build ': 'ROS 2 from apt',
    'source install/setup.bash': 'ROS 2 from apt',
    'ros2 lifecycle set ': 'ROS 2 from apt',
    'ros2 topic echo ': 'ROS 2 from apt',
    'ros2 action send_goal ': 'ROS 2 from apt',
    'ros2 bag record ': 'a camera',
    'ros2 launch yolo_bringup ': 'yolo_ros and a camera',
    'vllm serve ': 'a GPU',
    'python -m benchmarks.answer_latency_vllm ': 'model servers',
}


def blocks(language):
    """(document, text) of each code block in a language."""
    return [
        (path, textwrap.dedent(text))
        for path in DOCUMENTS
        for _, marked, text in BLOCK.findall(path.read_text(encoding='utf-8'))
        if marked == language
    ]


def commands():
    """Each command line, on one line, without the variables before it; Python by that name."""
    lines = [line for _, text in blocks('bash') for line in text.replace('\\\n', ' ').splitlines()]
    plain = (re.sub(r'^(?:[A-Z_]+=\S+ )+', '', ' '.join(line.split())) for line in lines if line.strip())
    return list(dict.fromkeys(PYTHON.sub('python ', line) for line in plain))


def named():
    """What running text names in backquotes: the targets of make, modules that are run, and scripts."""
    text = '\n'.join(BLOCK.sub('', path.read_text(encoding='utf-8')) for path in DOCUMENTS)
    spans = [' '.join(span.split()) for span in re.findall(r'`([^`]+)`', text)]
    found = {span.split()[1] for span in spans if span.startswith('make ')}
    found |= {module for span in spans for module in re.findall(r'python -m (\w+(?:\.\w+)*)', span)}
    return sorted(
        found | {path for span in spans for path in re.findall(r'\b(?:training/runs|scripts)/\w+\.\w+', span)}
    )


def of(start):
    return [command for command in commands() if command.startswith(start)]


def test_code_blocks_name_their_language():
    assert {marked for path in DOCUMENTS for _, marked, _ in BLOCK.findall(path.read_text(encoding='utf-8'))} <= {
        'bash', 'mermaid', 'python', 'text', 'yaml',
    }  # fmt: skip


@pytest.mark.parametrize('command', commands())
def test_each_command_is_run_or_named_with_what_it_needs(command):
    assert [start for start in (*RUN, *TESTED, *NEEDS) if command.startswith(start)]


@pytest.mark.parametrize('start', [*RUN, *TESTED, *NEEDS])
def test_no_command_is_listed_that_no_document_shows(start):
    assert of(start)


@pytest.mark.parametrize(('test', 'word'), sorted(set(TESTED.values())))
def test_the_test_that_runs_a_command_exists(test, word):
    assert word in (ROOT / 'test' / test).read_text(encoding='utf-8')


@pytest.mark.parametrize('name', named())
def test_what_running_text_tells_to_run_exists(name):
    targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(encoding='utf-8'), re.MULTILINE)
    assert name in (*targets, 'pytest') or (ROOT / name).is_file() or importlib.util.find_spec(name)


def picture():
    """A wall with tag 17, half a metre across in the middle of a view of 90 degrees."""
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    view = np.full((480, 640, 3), 255, np.uint8)
    view[180:300, 260:380] = cv2.aruco.generateImageMarker(family, 17, 120)[..., None]
    return view


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What the commands find: the checkout's folders, a video, its calibration and labels."""
    folder = tmp_path_factory.mktemp('reader')
    for name in ('data', 'embodied_r_ros', 'package.xml', 'config'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'out').mkdir()
    (folder / 'labels.yaml').write_text('17: monitor\n')
    (folder / 'lens.yaml').write_text(
        'image_width: 640\nimage_height: 480\ndistortion_model: plumb_bob\n'
        'camera_matrix: {rows: 3, cols: 3, data: [320, 0, 320, 0, 320, 240, 0, 0, 1]}\n'
    )
    writer = cv2.VideoWriter(str(folder / 'drive.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 5.0, (640, 480))
    for _ in range(6):
        writer.write(picture())
    writer.release()
    return folder


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize('command', [command for start in RUN for command in of(start)])
def test_a_command_runs_as_it_stands(command, folder):
    environment = {**os.environ, 'XDG_CACHE_HOME': str(folder / 'cache'), 'PYTHONPATH': str(ROOT)}
    words = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('command', of('make '))
def test_make_knows_each_target(command):
    done = subprocess.run(['make', '-n', *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('command', of('vllm serve '))
def test_the_commands_for_servers_are_those_of_the_model_pair(command):
    told = re.sub(r'(?: \\)?\n#\s*', ' ', (ROOT / 'config/models/gpu24gb.yaml').read_text(encoding='utf-8'))
    assert command in ' '.join(told.split())


@functools.cache
def launch_arguments(name):
    tree = ast.parse((ROOT / 'launch' / name).read_text(encoding='utf-8'))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {call.args[0].value for call in calls if getattr(call.func, 'id', '') == 'argument'}


@pytest.mark.parametrize('command', of('ros2 launch embodied_r_ros '))
def test_a_launch_command_has_arguments_that_its_file_takes(command):
    name, *given = command.split()[3:]
    assert {argument.partition(':=')[0] for argument in given} <= launch_arguments(name)


@pytest.mark.parametrize('command', [*of('ros2 service call /ask '), *of('ros2 action send_goal /ask_spatial ')])
def test_a_question_for_ros2_has_fields_that_the_message_has(command):
    name, given = re.search(r'embodied_r_interfaces/((?:srv|action)/\w+) "(.*)"', command).groups()
    assert list(ROOT.glob(f'embodied_r_interfaces/{name}.*'))
    message = (ROOT / 'embodied_r_interfaces/msg/SpatialQuestion.msg').read_text(encoding='utf-8')
    fields = set(re.findall(r'^[\w/\[\]]+ (\w+) ', message, re.MULTILINE))
    (question,) = yaml.safe_load(given).values()
    assert set(question) <= fields


@pytest.mark.torch
@pytest.mark.parametrize('command', [command for command in of('python -m ') if 'benchmarks' not in command])
def test_a_command_has_options_that_its_help_names(command, monkeypatch, capsys):
    words = shlex.split(command)[2:]
    module = 'embodied_r_ros.__main__' if words[0] == 'embodied_r_ros' else words[0]
    if module.startswith('training'):
        pytest.importorskip('trl')
    monkeypatch.setenv('COLUMNS', '10000')
    first = 2 if words[0] in ('embodied_r_ros', 'training.prepare') else 1
    with pytest.raises(SystemExit):
        importlib.import_module(module).main([*words[1:first], '--help', *words[first:]])
    help_text = capsys.readouterr().out
    assert [word for word in words if word.startswith('--') and word not in help_text] == []


@pytest.mark.parametrize('text', [text for _, text in blocks('python') if 'cv2' in text])
def test_the_tag_that_python_draws_is_read(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(text, {})
    drawn = cv2.imread(str(tmp_path / 'tag17.png'))
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11))
    assert detector.detectMarkers(drawn)[1].ravel().tolist() == [17]


def test_the_labels_of_the_page_about_eyes_are_read(tmp_path):
    of_tags, of_detections = (text for path, text in blocks('yaml') if path.name == 'eyes.md')
    (tmp_path / 'labels.yaml').write_text(of_tags)
    assert sorted(read_labels(tmp_path / 'labels.yaml')) == [17, 18]
    (tmp_path / 'labels.yaml').write_text(of_detections)
    assert read_names(tmp_path / 'labels.yaml') == {'56': 'chair', 'tvmonitor': 'monitor', 'person': None}


def test_the_model_pair_of_the_page_about_models_is_read(tmp_path):
    (text,) = [text for path, text in blocks('yaml') if path.name == 'models.md']
    (tmp_path / 'own.yaml').write_text(text)
    assert load_model_pair(tmp_path / 'own.yaml').reasoner.server.url == 'http://gpu:8001/v1'
