"""The documents keep up with the code: parameters, launch arguments, executables, error codes, topics, links."""

import ast
import importlib
import importlib.util
import json
import pathlib
import re

import pytest

from embodied_r_ros.core.models import EYES
from embodied_r_ros.core.questions import FORMS
from embodied_r_ros.core.records import ErrorCode

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {path.stem: path.read_text(encoding='utf-8') for path in (*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'))}
README = PAGES['README']
DOCUMENTS = [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'))]
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


def test_the_table_of_launch_arguments_is_what_the_launch_file_declares():
    table = PAGES['launch'].partition('| launch argument |')[2].partition('\n\n')[0]
    rows = re.findall(r'^\| ([^|]+) \|', table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r'`(\w+)`', row)} == launch_arguments('reasoner.launch.py')


@pytest.mark.parametrize('argument', sorted(launch_arguments('demo.launch.py')))
def test_the_page_about_launching_names_each_argument_of_the_demo(argument):
    assert f'`{argument}`' in PAGES['launch']


@pytest.mark.parametrize('argument', sorted(launch_arguments('evaluate.launch.py')))
def test_the_page_about_own_data_names_each_launch_argument_of_the_evaluation(argument):
    assert f'`{argument}`' in PAGES['own-data']


@pytest.mark.parametrize('name', sorted(executables()))
def test_each_executable_is_told_of(name):
    assert f'`{name}`' in PAGES['launch'] or f'ros2 run embodied_r_ros {name}' in README


@pytest.mark.parametrize('code', ErrorCode, ids=lambda code: code.name)
def test_the_page_about_asking_says_what_to_do_about_each_error_code(code):
    assert f'\n| {int(code)} | {code.name} | ' in PAGES['asking']


@pytest.mark.parametrize('task', FORMS)
def test_the_page_about_the_embedded_pair_shows_the_form_of_each_task(task):
    assert f'| {task} | {FORMS[task]} |' in PAGES['embedded']


@pytest.mark.parametrize('eye', EYES)
def test_the_page_about_eyes_has_a_row_for_each(eye):
    assert f'\n| `{eye}` | ' in PAGES['eyes']


def test_the_page_about_models_names_each_pair():
    pairs = {path.stem for path in (ROOT / 'config/models').glob('*.yaml')}
    assert {pair for pair in pairs if f'| [{pair}](../config/models/{pair}.yaml) |' not in PAGES['models']} == set()


@pytest.mark.parametrize('folder', ['srv', 'action'])
def test_the_page_about_the_graph_links_each_service_and_action(folder):
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / 'embodied_r_interfaces' / folder).iterdir()]
    assert [path for path in files if f'(../{path})' not in PAGES['launch']] == []


def test_the_readme_is_read_in_ten_minutes():
    assert len(README.splitlines()) <= 150
    tables = re.findall(r'(?:^\|.*\n)+', README, re.MULTILINE)
    assert [table for table in tables if table.count('\n') > 12] == []


def test_the_readme_leads_to_each_page():
    pages = {f'docs/{path.name}' for path in ROOT.glob('docs/*.md')} | {
        'CONTRIBUTING.md',
        'CHANGELOG.md',
        'SECURITY.md',
    }
    assert {page for page in pages if f'({page}' not in README} == set()


def test_the_picture_of_the_graph_names_nodes_and_topics_that_exist():
    picture = README.partition('```mermaid\n')[2].partition('```')[0]
    nodes = set(re.findall(r'\b(\w+_node)\b', picture))
    names = {name for label in re.findall(r'-- "?([\w, ]+?)"? -->', picture) for name in label.split(', ')}
    assert nodes == executables() - {'bag_player_node', 'ask', 'watch'}
    assert names
    assert [name for name in names if f'`{name}' not in PAGES['launch']] == []


def test_the_readme_shows_what_the_demo_prints():
    printed = README.partition('```text\n')[2].partition('```')[0].splitlines()
    summary = json.loads(printed[-1])
    questions = (ROOT / 'data/questions.jsonl').read_text(encoding='utf-8').splitlines()
    assert list(summary) == ['asked', 'right', 'chance', 'latency_s']
    assert summary['asked'] == len(questions)


def test_each_share_in_the_readme_is_a_result():
    shares = re.findall(r'\d+\.\d %', README)
    assert shares
    assert [share for share in shares if share not in PAGES['results']] == []


def test_the_page_about_troubleshooting_quotes_what_the_code_says():
    quoted = re.findall(r'^(?:- \*|\*\*")([^*"]+?)(?:\*|")', PAGES['troubleshooting'], re.MULTILINE)
    sources = [path.read_text(encoding='utf-8') for path in (ROOT / 'embodied_r_ros').rglob('*.py')]
    said = re.sub(r"'\n +f?'", '', '\n'.join(sources))
    parts = [part for words in quoted for part in words.split(' ... ') if len(part) > 3]
    assert len(parts) > 10
    assert [part for part in parts if part.removesuffix(' ...') not in said] == []


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
