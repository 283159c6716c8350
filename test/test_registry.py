"""One adapter and one row make a backend known to settings, command lines, launch file, nodes and documents."""

import dataclasses
import importlib.util
import json
import pathlib
import subprocess
import sys
import types

import builders
import cv2
import dummy_backends
import pytest
from dummy_backends import DummyEyeSettings, DummySettings

from embodied_r_ros.__main__ import main
from embodied_r_ros.adapters import backends
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.models import (
    EYES,
    PERCEIVERS,
    REASONERS,
    PerceptionModel,
    ReasonerModel,
    load,
    load_model_pair,
)
from embodied_r_ros.core.settings import fields

ROOT = pathlib.Path(__file__).resolve().parents[1]


def file_as_module(path):
    """A file outside of any package as a module, read anew."""
    spec = importlib.util.spec_from_file_location(path.name.partition('.')[0], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dummies(monkeypatch):
    """A row for each dummy."""
    monkeypatch.setitem(PERCEIVERS, 'dummy', dummy_backends.PERCEIVER)
    monkeypatch.setitem(EYES, 'dummy', dummy_backends.EYE)
    monkeypatch.setitem(REASONERS, 'dummy', dummy_backends.REASONER)


@pytest.fixture
def launch_file(monkeypatch):
    """Reads the launch file with stand-ins for launch and launch_ros, and without rclpy."""

    def argument(name, **values):
        return types.SimpleNamespace(name=name, **values)

    for module in ('launch', 'launch.actions', 'launch.substitutions', 'launch_ros', 'launch_ros.actions'):
        stand_in = types.ModuleType(module)
        stand_in.DeclareLaunchArgument = argument
        for name in ('GroupAction', 'LaunchConfiguration', 'LaunchDescription', 'Node', 'OpaqueFunction'):
            setattr(stand_in, name, None)
        stand_in.PushROSNamespace = None
        monkeypatch.setitem(sys.modules, module, stand_in)
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    return lambda: file_as_module(ROOT / 'launch/reasoner.launch.py')


ALL = [
    pytest.param(row, model, id=f'{kind}-{name}')
    for kind, rows, model in (
        ('perceiver', PERCEIVERS, PerceptionModel),
        ('eye', EYES, PerceptionModel),
        ('reasoner', REASONERS, ReasonerModel),
    )
    for name, row in rows.items()
]


@pytest.mark.parametrize(('row', 'model'), ALL)
def test_each_row_names_an_adapter_settings_and_fields_that_exist(row, model):
    assert isinstance(load(row.adapter), type)
    assert not row.settings or dataclasses.is_dataclass(load(row.settings))
    assert set(row.takes) <= {name for name, _, _ in fields(model)}


def test_the_registry_is_read_without_ros_and_without_a_backends_library():
    program = (
        'import sys, embodied_r_ros.core.models\n'
        'print(sorted({"rclpy", "torch", "httpx", "cv2", "numpy"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == '[]'


def test_a_pair_may_name_a_registered_backend(dummies, tmp_path):
    path = tmp_path / 'pair.yaml'
    path.write_text('perception: {backend: dummy}\nreasoner: {backend: dummy, prompt_format: paper}\n')
    pair = load_model_pair(path)
    assert (pair.perception.backend, pair.reasoner.backend) == ('dummy', 'dummy')


def test_a_backend_gets_its_own_settings_or_their_defaults(dummies):
    given = [DummySettings(colour='red'), DummyEyeSettings(reach_m=5.0)]
    assert backends.make(EYES['dummy'], own=given).reach_m == 5.0
    assert backends.make(EYES['dummy']).reach_m == 2.0


def test_a_backend_whose_library_is_missing_says_what_it_needs(monkeypatch):
    row = dataclasses.replace(dummy_backends.REASONER, adapter='no_such_library:Model', needs='no-such-library 3')
    monkeypatch.setitem(REASONERS, 'dummy', row)
    with pytest.raises(SettingsError, match="backend 'dummy' needs no-such-library 3; install it"):
        backends.reasoner(ReasonerModel(backend='dummy'))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: PerceptionModel(backend='mirror'), "one of opencv, openai, dummy, got 'mirror'"),
        (lambda: ReasonerModel(backend='mirror'), "one of numpy, openai, transformers, dummy, got 'mirror'"),
        (lambda: backends.PerceptionBackend(backend='mirror'), "one of opencv, openai, dummy, got 'mirror'"),
        (lambda: backends.ReasonerBackend(backend='mirror'), "one of numpy, openai, transformers, dummy, got 'mirror'"),
    ],
    ids=['perception of a pair', 'reasoner of a pair', 'parameter of perception', 'parameter of the reasoner'],
)
def test_an_unknown_backend_is_refused_with_those_that_are_registered(dummies, make, message):
    with pytest.raises(SettingsError, match=f'backend must be {message}'):
        make()


@pytest.fixture
def answered(dummies, tmp_path, capsys):
    """Runs `answer` with the dummy reasoner and more options on a short video, and gives its JSON."""
    views = builders.pan(11, 0.03)
    height, width = views[0].shape[:2]
    writer = cv2.VideoWriter(str(tmp_path / 'pan.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (width, height))
    for view in views:
        writer.write(view)
    writer.release()
    asked = ['--question', 'Where is the lamp?', '--choice', 'to the left', '--choice', 'to the right']
    chosen = ['--reasoner', 'dummy', '--prompt-format', 'paper', '--json']

    def run(*options):
        assert main(['answer', str(tmp_path / 'pan.avi'), *asked, *chosen, *options]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.mark.system
def test_the_command_line_answers_with_registered_backends(answered):
    found = answered('--perception', 'dummy')
    assert (found['answer'], found['model']) == ('to the right', 'dummy-reasoner')
    assert {(seen['source'], seen['text']) for seen in found['observations']} == {('dummy', 'a grey lamp')}


EYES_NOW = 'tags, boxes, detections, signs, dummy'


@pytest.mark.system
@pytest.mark.parametrize('eyes', ['dummy', 'tags,dummy', ' dummy, tags '])
def test_observations_contain_what_a_registered_eye_saw(eyes, answered):
    first = answered('--eyes', eyes)['observations'][0]
    assert (first['source'], first['text']) == ('opencv', 'plant 20 deg left at 2.0 m')
    (sighting,) = first['sightings']
    assert (sighting['name'], sighting['source'], sighting['distance_m']) == ('plant', 'dummy', 2.0)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--eyes', 'tags,third'], f"eyes must be some of {EYES_NOW}, each once, got 'third' in 'tags,third'"),
        (['--eyes', 'dummy,dummy'], f"eyes must be some of {EYES_NOW}, each once, got 'dummy' in 'dummy,dummy'"),
        (['--eyes', 'detections'], "the eye 'detections' hears topics of a graph, got none; leave it out of eyes"),
        (
            ['--eyes', 'tags', '--perception', 'dummy'],
            "eyes 'tags' need perception by opencv or openai, got dummy; leave one",
        ),
    ],
    ids=['unknown', 'twice', 'without a graph', 'a perceiver without eyes'],
)
def test_eyes_that_cannot_be_used_are_refused(dummies, options, message, capsys):
    assert main(['answer', 'a.avi', '--question', 'Where?', *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--perception', '--reasoner'])
def test_the_command_line_refuses_an_unknown_backend_with_those_that_are_registered(dummies, option, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(['answer', 'a.avi', '--question', 'Where?', option, 'mirror'])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert option in said and 'mirror' in said and 'openai' in said and 'dummy' in said


def test_the_help_of_the_command_line_says_what_each_backend_does(dummies, capsys):
    with pytest.raises(SystemExit):
        main(['answer', '--help'])
    said = ' '.join(capsys.readouterr().out.split())
    for row in (dummy_backends.PERCEIVER, dummy_backends.EYE, dummy_backends.REASONER):
        assert row.purpose in said


def test_the_launch_file_offers_registered_backends_without_rclpy(dummies, launch_file):
    arguments = {argument.name: argument for argument in launch_file().ARGUMENTS}
    assert arguments['perception'].choices == ['', 'opencv', 'openai', 'dummy']
    assert arguments['reasoner'].choices == ['', 'numpy', 'openai', 'transformers', 'dummy']
    assert dummy_backends.PERCEIVER.purpose in arguments['perception'].description
    assert dummy_backends.EYE.purpose in arguments['eyes'].description


@pytest.mark.ros
def test_the_document_of_parameters_tells_registered_backends_and_their_settings(dummies):
    pytest.importorskip('rclpy')
    text = file_as_module(ROOT / 'scripts/write_parameters.py').text()
    for row in (dummy_backends.PERCEIVER, dummy_backends.EYE, dummy_backends.REASONER):
        assert f'| `dummy` | {row.purpose} | nothing |' in text
    node = text.partition('## perception_node')[2].partition('## reasoning_node')[0]
    assert '| `colour` |' in node and '| `reach_m` |' in node and 'opencv, openai, dummy' in node


@pytest.mark.ros
def test_perception_node_has_the_settings_of_registered_perceivers_and_eyes_as_parameters(dummies):
    rclpy = pytest.importorskip('rclpy')
    from rclpy.parameter import Parameter

    from embodied_r_ros.nodes.perception_node import PerceptionNode

    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    given = [Parameter('backend', value='dummy'), Parameter('reach_m', value=5.0)]
    node = PerceptionNode(context=context, parameter_overrides=given)
    try:
        assert node.get_parameter('reach_m').value == 5.0
        assert node.get_parameter('colour').value == 'grey'
        assert node.describe_parameter('backend').additional_constraints == 'one of: opencv, openai, dummy'
        assert node.get_parameter('eyes').value == ''
        with pytest.raises(SettingsError, match=f"eyes must be some of {EYES_NOW}, each once, got 'third'"):
            PerceptionNode(context=context, parameter_overrides=[Parameter('eyes', value='tags,third')])
    finally:
        node.close()
        context.try_shutdown()
