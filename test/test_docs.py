"""The documents keep up with the code: parameters, launch arguments, executables, error codes, topics, links."""

import ast
import importlib
import importlib.util
import pathlib
import re
import xml.etree.ElementTree

import pytest

from embodied_r_ros.core.questions import FORMS
from embodied_r_ros.core.records import ErrorCode

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
DOCUMENTS = ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', *(f'docs/{path.name}' for path in ROOT.glob('docs/*.md')))
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
NODE_CLASSES = {
    'camera_node': 'CameraNode',
    'perception_node': 'PerceptionNode',
    'reasoning_node': 'ReasoningNode',
    'bag_player_node': 'BagPlayerNode',
}


def without_code(text):
    return re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """What can be linked to in a Markdown file, as GitHub names it."""
    headings = re.findall(r'^#+ (.+)$', without_code(path.read_text(encoding='utf-8')), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def launch_arguments(name):
    """The arguments that a launch file declares, read without launch installed."""
    calls = (node for node in ast.walk(ast.parse((ROOT / 'launch' / name).read_text())) if isinstance(node, ast.Call))
    return {call.args[0].value for call in calls if getattr(call.func, 'id', '') == 'argument'}


def executables():
    tree = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    found = (re.fullmatch(r'(\w+) = embodied_r_ros\.\S+:main', text) for text in texts)
    return {match[1] for match in found if match}


@pytest.fixture(scope='module')
def writer():
    """scripts/write_parameters.py as a module."""
    pytest.importorskip('rclpy')
    spec = importlib.util.spec_from_file_location('write_parameters', ROOT / 'scripts/write_parameters.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.ros
def test_the_document_of_parameters_is_what_the_settings_say(writer):
    assert writer.FILE.read_text(encoding='utf-8') == writer.text(), (
        'write it anew: .venv/bin/python scripts/write_parameters.py'
    )


@pytest.mark.ros
@pytest.mark.parametrize('name', NODE_CLASSES)
def test_the_document_of_parameters_knows_every_parameter_of_a_node(name, writer):
    import rclpy
    from rclpy.parameter import Parameter

    from embodied_r_ros.core.settings import fields

    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    given = [Parameter('path', value=str(ROOT / 'data/bags/seed1'))] if name == 'bag_player_node' else []
    node_class = getattr(importlib.import_module(f'embodied_r_ros.nodes.{name}'), NODE_CLASSES[name])
    node = node_class(context=context, parameter_overrides=given)
    try:
        classes = (writer.NodeSettings, *writer.NODES[name])
        written = {setting for cls in classes for setting, _, _ in fields(cls)}
        own = {parameter for parameter in node.get_parameters_by_prefix('') if '.' not in parameter}
        assert own - {'use_sim_time', 'start_type_description_service'} == written
    finally:
        node.close()
        context.try_shutdown()


@pytest.mark.parametrize('argument', sorted(launch_arguments('reasoner.launch.py')))
def test_the_readme_names_each_launch_argument_in_its_table(argument):
    table = README.partition('| launch argument |')[2].partition('\n\n')[0]
    assert f'`{argument}`' in table


@pytest.mark.parametrize('argument', sorted(launch_arguments('demo.launch.py')))
def test_the_readme_names_each_launch_argument_of_the_demo(argument):
    assert f'`{argument}`' in README


@pytest.mark.parametrize('argument', sorted(launch_arguments('evaluate.launch.py')))
def test_the_document_of_own_data_names_each_launch_argument_of_the_evaluation(argument):
    assert f'`{argument}`' in (ROOT / 'docs/own-data.md').read_text(encoding='utf-8')


@pytest.mark.parametrize('name', sorted(executables()))
def test_the_readme_names_each_executable(name):
    assert f'`{name}`' in README or f'ros2 run embodied_r_ros {name}' in README


@pytest.mark.parametrize('code', ErrorCode, ids=lambda code: code.name)
def test_the_readme_says_what_to_do_about_each_error_code(code):
    assert f'\n| {int(code)} | {code.name} | ' in README


@pytest.mark.parametrize('task', FORMS)
def test_the_readme_shows_the_form_of_each_task(task):
    assert f'| {task} | {FORMS[task]} |' in README


def test_the_readme_names_each_model_pair():
    pairs = {path.stem for path in (ROOT / 'config/models').glob('*.yaml')}
    assert {pair for pair in pairs if f'| [{pair}](config/models/{pair}.yaml) |' not in README} == set()


@pytest.mark.parametrize('folder', ['srv', 'action'])
def test_the_readme_links_each_service_and_action(folder):
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / 'embodied_r_interfaces' / folder).iterdir()]
    assert [path for path in files if f'({path})' not in README] == []


def test_the_readme_opens_with_what_the_demo_prints():
    assert re.match(r'# embodied_r_ros\n\n<!-- demo -->\n```\n\$ make demo\n', README)


@pytest.mark.parametrize('name', DOCUMENTS)
def test_each_relative_link_leads_somewhere(name):
    document = ROOT / name
    broken = []
    for link in LINK.findall(without_code(document.read_text(encoding='utf-8'))):
        path, _, anchor = link.partition('#')
        if re.match(r'\w+:', link):
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_runs_modules_that_exist():
    modules = re.findall(r'python -m ([\w.]+)', README)
    assert modules
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_the_picture_is_readable_on_light_and_dark_ground():
    picture = ROOT / 'docs/architecture.svg'
    xml.etree.ElementTree.parse(picture)
    assert 'prefers-color-scheme: dark' in picture.read_text(encoding='utf-8')
