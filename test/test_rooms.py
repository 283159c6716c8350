"""House rules that a reader would otherwise have to check: who imports whom, and how long things are."""

import ast
import functools
import graphlib
import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = 'embodied_r_ros'

# A room may import itself and the rooms named here; `share` and the programs at the package's root have their own rows.
ROOMS = {
    'embodied_r_ros/core': {'core'},
    'embodied_r_ros/adapters': {'core', 'adapters', 'share'},
    'embodied_r_ros/app': {'core', 'adapters', 'app', 'share'},
    'embodied_r_ros/evaluation': {'core', 'adapters', 'app', 'evaluation', 'share'},
    'embodied_r_ros/nodes': {'core', 'adapters', 'app', 'evaluation', 'nodes', 'share'},
    'embodied_r_ros/ros_client': {'core', 'adapters', 'app', 'evaluation', 'nodes', 'ros_client', 'share'},
    'training': {'core', 'adapters', 'app', 'evaluation', 'share', 'training'},
}
ROS = set(
    'rclpy embodied_r_interfaces sensor_msgs std_msgs nav_msgs geometry_msgs diagnostic_msgs lifecycle_msgs '
    'rosgraph_msgs builtin_interfaces rcl_interfaces action_msgs tf2_msgs vision_msgs visualization_msgs nav2_msgs '
    'ament_index_python launch launch_ros rosbag2_py'.split()
)
HEAVY = {'torch', 'transformers', 'trl', 'accelerate', 'datasets', 'peft', 'vllm'}
CORE_MAY_IMPORT = {'numpy', 'cv2', 'yaml'}
ROS_ROOMS = ('embodied_r_ros/nodes/', 'embodied_r_ros/ros_client/')
ROS_PROGRAMS = {'embodied_r_ros/demo.py'}
ROSBAG2_FILE = 'embodied_r_ros/adapters/rosbag2_reader.py'
RCLPY_FILE = 'embodied_r_ros/nodes/rclpy_internals.py'
HEAVY_FILE = 'embodied_r_ros/adapters/lm_transformers.py'

FILE_LINES = 400
NODE_LINES = 300
TEST_LINES = 500
BODY_LINES = 60


OURS = ('embodied_r_ros', 'training', 'benchmarks', 'examples', 'launch', 'test', 'setup.py')


def python_files(*folders):
    roots = [ROOT / folder for folder in folders or OURS]
    found = (path for root in roots for path in (root.rglob('*.py') if root.is_dir() else [root]))
    return sorted(path.relative_to(ROOT) for path in found)


@functools.cache
def outline(file):
    """The imports of a file, and (name, line, lines of body) of its functions; its whole tree is too large to keep."""
    imports, functions = [], []
    waiting = [ast.parse(file.read_text(encoding='utf-8'), filename=str(file))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions.append((node.name, node.lineno, body_lines(node)))
        for part in ('body', 'orelse', 'finalbody', 'handlers', 'cases'):
            waiting.extend(getattr(node, part, ()))
    return imports, functions


def body_lines(function):
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        if len(function.body) == 1:
            return 0
        first = function.body[1]
    return function.end_lineno - first.lineno + 1


def imported(path):
    """Full name of each module that a file imports, with the line on which it does."""
    package = '.'.join(path.with_suffix('').parts[:-1])
    for node in outline(ROOT / path)[0]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        else:
            module = importlib.util.resolve_name('.' * node.level + (node.module or ''), package)
            if (ROOT / module.replace('.', '/')).is_dir():
                yield from ((f'{module}.{alias.name}', node.lineno) for alias in node.names)
            else:
                yield module, node.lineno


def room_of(module):
    """The room that one of our own modules lies in: 'core', 'nodes', 'training', ...; None for others' modules."""
    parts = module.split('.')
    if parts[0] == PACKAGE:
        return parts[1] if len(parts) > 1 else PACKAGE
    return parts[0] if parts[0] in ('training', 'benchmarks', 'test') else None


@pytest.mark.parametrize('folder', ROOMS)
def test_a_room_imports_only_the_rooms_below_it(folder):
    wrong = [
        f'{path}:{line} imports {module}'
        for path in python_files(folder)
        for module, line in imported(path)
        if room_of(module) not in {None, PACKAGE, *ROOMS[folder]}
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        '.'.join(path.with_suffix('').parts): {module for module, _ in imported(path)}
        for path in python_files(PACKAGE, 'training')
    }
    graphlib.TopologicalSorter(graph).prepare()  # its error names the modules of the circle


def test_ros_is_imported_by_nodes_clients_and_one_adapter_alone():
    wrong = [
        f'{path}:{line} imports {module}'
        for path in python_files(PACKAGE, 'training')
        if not path.as_posix().startswith(ROS_ROOMS) and path.as_posix() not in {*ROS_PROGRAMS, ROSBAG2_FILE}
        for module, line in imported(path)
        if module.split('.')[0] in ROS
    ]
    assert wrong == []


def test_private_parts_of_rclpy_are_imported_by_one_file_alone():
    wrong = [
        f'{path}:{line} imports {module}'
        for path in python_files(PACKAGE, 'benchmarks')
        if path.as_posix() != RCLPY_FILE
        for module, line in imported(path)
        if module.startswith(('rclpy.impl', 'rclpy._rclpy'))
    ]
    assert wrong == []


def test_torch_is_imported_by_training_and_one_adapter_alone():
    wrong = [
        f'{path}:{line} imports {module}'
        for path in python_files(PACKAGE)
        if path.as_posix() != HEAVY_FILE
        for module, line in imported(path)
        if module.split('.')[0] in HEAVY
    ]
    assert wrong == []


def test_core_imports_the_standard_library_numpy_opencv_and_yaml_alone():
    wrong = [
        f'{path}:{line} imports {module}'
        for path in python_files('embodied_r_ros/core')
        for module, line in imported(path)
        if room_of(module) is None and module.split('.')[0] not in CORE_MAY_IMPORT | set(sys.stdlib_module_names)
    ]
    assert wrong == []


def test_no_file_is_a_drawer_of_utilities():
    assert [
        path for path in python_files() if {'utils', 'util', 'helpers', 'common', 'misc'} & {path.stem, *path.parts}
    ] == []


def longest(path):
    if path.parts[0] == 'test':
        return TEST_LINES
    return NODE_LINES if path.stem.endswith('_node') else FILE_LINES


def test_no_file_is_longer_than_its_limit():
    lines = {path: len((ROOT / path).read_text(encoding='utf-8').splitlines()) for path in python_files()}
    assert [f'{path}: {count} lines' for path, count in lines.items() if count >= longest(path)] == []


def test_no_function_body_is_longer_than_its_limit():
    long = [
        f'{path}:{line} {name}: {lines} lines'
        for path in python_files()
        for name, line, lines in outline(ROOT / path)[1]
        if lines >= BODY_LINES
    ]
    assert long == []


def test_no_test_uses_mocks():
    assert [
        str(path)
        for path in python_files('test')
        for module, _ in imported(path)
        if module.startswith(('unittest.mock', 'mock'))
    ] == []


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('from embodied_r_ros.core import frames', ['embodied_r_ros.core.frames']),
        ('from embodied_r_ros import share', ['embodied_r_ros.share']),
        ('from . import frames', ['embodied_r_ros.core.frames']),
        ('from ..adapters.codec import decode', ['embodied_r_ros.adapters.codec']),
        ('def late():\n    import torch.nn', ['torch.nn']),
        ('try:\n    pass\nexcept ImportError:\n    import rclpy\nelse:\n    import torch', ['rclpy', 'torch']),
        ('class A:\n  def f(self):\n    with a:\n      match a:\n        case 1:\n          import torch', ['torch']),
    ],
    ids=[
        'absolute',
        'of the package',
        'relative',
        'relative to the parent',
        'inside a function',
        'in each branch',
        'deep inside',
    ],
)
def test_each_way_to_import_is_seen(source, expected, tmp_path, monkeypatch):
    path = pathlib.Path('embodied_r_ros/core/thing.py')
    (tmp_path / path.parent).mkdir(parents=True)
    (tmp_path / path).write_text(source)
    monkeypatch.setitem(globals(), 'ROOT', tmp_path)
    assert [module for module, _ in imported(path)] == expected
