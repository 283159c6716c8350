"""What launch files and the parameter file name exists; `ros2 launch` brings up what `ros2 service call` asks."""

import contextlib
import functools
import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
NODES = {
    'camera_node': 'CameraNode',
    'perception_node': 'PerceptionNode',
    'reasoning_node': 'ReasoningNode',
}
BLACKBOARD = '{question: "Where is the blackboard now?", choices: [on my left, behind me], answer: A, second: 8}'


def parameter_blocks():
    blocks = yaml.safe_load((ROOT / 'config/reasoner.yaml').read_text(encoding='utf-8'))
    return {name.removeprefix('/**/'): block['ros__parameters'] for name, block in blocks.items()}


def launch_file(name):
    """A launch file as a module."""
    pytest.importorskip('launch_ros', reason='launch_ros is not installed')
    spec = importlib.util.spec_from_file_location('launch_file', ROOT / 'launch' / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ros_context(request):
    """A ROS context with the parameter file, as a node's process has it."""
    rclpy = pytest.importorskip('rclpy')
    context = rclpy.Context()
    rclpy.init(args=['--ros-args', '--params-file', str(ROOT / 'config/reasoner.yaml')], context=context)
    yield context
    context.try_shutdown()


def test_the_parameter_file_has_one_block_per_node():
    assert set(parameter_blocks()) == {*NODES, 'bag_player_node'}


@pytest.mark.ros
@pytest.mark.parametrize('name', NODES)
@pytest.mark.parametrize('namespace', ['', 'robot_1'])
def test_the_parameter_file_reaches_each_node_in_any_namespace_and_differs_from_its_defaults(
    name, namespace, ros_context
):
    node_class = getattr(importlib.import_module(f'embodied_r_ros.nodes.{name}'), NODES[name])
    node = node_class(context=ros_context, namespace=namespace)
    plain = node_class(context=ros_context, namespace=namespace, use_global_arguments=False)
    try:
        for parameter, value in parameter_blocks()[name].items():
            assert node.get_parameter(parameter).value == value
            assert plain.get_parameter(parameter).value != value
    finally:
        node.destroy_node()
        plain.destroy_node()


@pytest.mark.ros
@pytest.mark.parametrize('name', NODES)
def test_each_launch_argument_sets_a_parameter_that_its_node_has(name, ros_context):
    module = launch_file('reasoner.launch.py')
    node_class = getattr(importlib.import_module(f'embodied_r_ros.nodes.{name}'), NODES[name])
    node = node_class(context=ros_context)
    try:
        assert [
            parameter for parameter in module.OF_ALL | module.PARAMETERS[name] if not node.has_parameter(parameter)
        ] == []
    finally:
        node.destroy_node()


def test_the_demo_names_files_that_exist():
    text = (ROOT / 'launch/demo.launch.py').read_text(encoding='utf-8')
    named = re.findall(r"SHARE / '([^']+)'", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_shared_memory_segment_for_raw_images_is_64_mib():
    tree = xml.etree.ElementTree.parse(ROOT / 'config/fastdds_large_images.xml')
    assert [int(element.text) for element in tree.iter() if element.tag.endswith('segment_size')] == [64 * 2**20]


def ros2(*arguments, timeout_s=40.0):
    """Output of a ros2 command."""
    done = subprocess.run(['ros2', *arguments], capture_output=True, text=True, timeout=timeout_s, env=environment())
    return done.stdout


def environment():
    return {**os.environ, 'ROS_DOMAIN_ID': str(11 + os.getpid() % 9), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}


@pytest.fixture
def installed():
    """The package is in a workspace that is sourced."""
    if shutil.which('ros2') is None or not ros2('pkg', 'prefix', 'embodied_r_ros').strip():
        pytest.skip('needs ros2launch and a sourced workspace with embodied_r_ros')
    yield
    ros2('daemon', 'stop')


@pytest.fixture
def launched(installed, tmp_path):
    """`ros2 launch` from the install space, in a process of its own."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            log = stack.enter_context((tmp_path / 'launch.log').open('w+'))
            command = ['ros2', 'launch', 'embodied_r_ros', *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), start_new_session=True)
            stack.callback(functools.partial(stop, process))
            return tmp_path / 'launch.log'

        yield start


def stop(process):
    """End a launch as Ctrl-C does, and all that it started."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(20.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition, log, timeout_s=30.0):
    """Wait until the condition holds; fail with the log after the deadline."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, log.read_text()
        time.sleep(0.2)


@pytest.mark.system
def test_ros2_launch_brings_up_what_ros2_service_call_asks(launched):
    log = launched('reasoner.launch.py', 'namespace:=robot_1')
    wait_for(lambda: 'is ready to describe key frames' in log.read_text(), log)
    nodes = {f'/robot_1/{name}' for name in NODES}
    # The first list may come from a daemon that has heard of nobody yet.
    wait_for(lambda: nodes <= set(ros2('node', 'list').split()), log)
    question = json.dumps({'question': {'question': 'Where is the sofa?', 'choices': ['left', 'right']}})
    response = ros2('service', 'call', '/robot_1/ask', 'embodied_r_interfaces/srv/AskSpatial', question)
    assert 'error_code=3' in response, response
    assert 'process has died' not in log.read_text()


def test_the_evaluation_gets_the_arguments_that_were_given():
    given = dict.fromkeys(('report', 'out', 'against'), '')
    given |= {'bag': 'walk', 'questions': 'asked.yaml', 'models': 'embedded', 'rate': '2.0'}
    words = launch_file('evaluate.launch.py').command(given)
    assert words[1:6] == ['-m', 'embodied_r_ros', 'evaluate', 'asked.yaml', '--media']
    assert words[6:] == ['walk', '--through', 'graph', '--models', 'embedded', '--rate', '2.0']


@pytest.mark.system
@pytest.mark.parametrize(
    ('asked', 'status', 'sentence'),
    [
        (BLACKBOARD, 0, 'codes: OK 1'),
        ('{question: Where?, answer: left}', 1, 'a text with a colon, or with a question mark within braces, needs'),
    ],
    ids=['a question', 'no YAML'],
)
def test_ros2_launch_asks_real_nodes_and_its_exit_status_says_whether_that_went_well(
    installed, tmp_path, asked, status, sentence
):
    (tmp_path / 'asked.yaml').write_text(f'- {asked}\n')
    words = [f'bag:={ROOT}/data/bags/seed1', f'questions:={tmp_path}/asked.yaml', f'out:={tmp_path}/run']
    command = ['ros2', 'launch', 'embodied_r_ros', 'evaluate.launch.py', *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300.0, env=environment())
    assert done.returncode == status, done.stdout + done.stderr
    assert sentence in done.stdout
    assert (tmp_path / 'run/answers.jsonl').exists() == (status == 0)
