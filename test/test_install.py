"""From the install space, with the checkout out of reach, everything that belongs to the package is found."""

import ast
import configparser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import embodied_r_ros

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = (
    'package.xml',
    'setup.py',
    'setup.cfg',
    'pyproject.toml',
    'LICENSE',
    'resource',
    'embodied_r_ros',
    'launch',
    'config',
    'data',
)


def shared_files(root):
    return {
        path.relative_to(root).as_posix()
        for folder in ('launch', 'config', 'data')
        for path in (root / folder).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts and not path.name.startswith('.')
    }


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
    """A prefix into which a copy of the checkout has been installed; the copy is gone by the time it is used."""
    source = tmp_path_factory.mktemp('source') / 'checkout'
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns('__pycache__'))
        elif path.exists():
            shutil.copy(path, source / name)
    prefix = tmp_path_factory.mktemp('prefix')
    command = [
        sys.executable,
        'setup.py',
        '-q',
        'install',
        '--single-version-externally-managed',
        '--record',
        'record.txt',
    ]
    done = subprocess.run([*command, '--prefix', str(prefix)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return prefix


@pytest.fixture(scope='module')
def site_packages(prefix):
    (folder,) = prefix.glob('l*/python3*/*-packages')
    return folder


def run_installed(site_packages, code):
    """Output of code that sees the installed package and not the checkout."""
    script = f"""import sys
sys.path = [{str(site_packages)!r}, *(path for path in sys.path if path != {str(ROOT)!r})]
{code}"""
    environment = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'AMENT_PREFIX_PATH')}
    done = subprocess.run(
        [sys.executable, '-c', script], cwd=site_packages, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.system
def test_launch_config_and_data_files_go_to_the_share_folder(prefix):
    share = prefix / 'share/embodied_r_ros'
    assert shared_files(share) == shared_files(ROOT)
    assert {'launch/reasoner.launch.py', 'config/reasoner.yaml'} <= shared_files(share)
    assert (share / 'package.xml').is_file()
    assert (prefix / 'share/ament_index/resource_index/packages/embodied_r_ros').is_file()


@pytest.mark.system
def test_only_the_package_itself_is_installed_beside_the_others(site_packages):
    assert [path.name for path in site_packages.iterdir() if path.suffix not in ('.egg-info', '.dist-info')] == [
        'embodied_r_ros'
    ]


@pytest.mark.system
def test_the_installed_package_is_typed_and_knows_its_version(site_packages):
    assert (site_packages / 'embodied_r_ros/py.typed').exists()
    (info,) = site_packages.glob('*-info/PKG-INFO')
    version = run_installed(site_packages, 'import embodied_r_ros; print(embodied_r_ros.__version__)')
    assert f'\nVersion: {version}\n' in info.read_text(encoding='utf-8')


@pytest.mark.system
def test_the_installed_code_finds_its_own_share_folder(site_packages, prefix):
    code = 'import embodied_r_ros.share as share; print(share.__file__); print(share.share_dir())'
    module, folder = run_installed(site_packages, code).splitlines()
    assert pathlib.Path(module).is_relative_to(prefix)
    assert pathlib.Path(folder) == prefix / 'share/embodied_r_ros'


def test_the_checkout_finds_its_own_share_folder():
    from embodied_r_ros.share import share_dir

    assert share_dir() == ROOT


@pytest.mark.system
def test_every_executable_is_where_ros2_run_looks_for_it(prefix):
    found = {path.name for path in (prefix / 'lib/embodied_r_ros').iterdir()}
    assert found == {'camera_node', 'perception_node', 'reasoning_node', 'bag_player_node', 'ask', 'watch'}


@pytest.mark.ros
def test_every_executable_names_a_function_that_exists(site_packages):
    pytest.importorskip('rclpy')
    (entry_points,) = site_packages.glob('*-info/entry_points.txt')
    parser = configparser.ConfigParser()
    parser.read(entry_points)
    targets = [target.split(':') for target in parser['console_scripts'].values()]
    lines = [f'import {module}; print(callable({module}.{function}))' for module, function in targets]
    assert run_installed(site_packages, '\n'.join(lines)).split() == ['True'] * len(targets)


def test_every_ros_package_that_is_imported_is_a_dependency():
    sources = [*(ROOT / 'embodied_r_ros').rglob('*.py'), *(ROOT / 'launch').rglob('*.py')]
    modules = {
        match
        for path in sources
        for match in re.findall(r'^\s*(?:from|import) (\w+)', path.read_text(encoding='utf-8'), re.MULTILINE)
    }
    declared = {element.text for element in xml.etree.ElementTree.parse(ROOT / 'package.xml').iter('exec_depend')}
    ros = {
        module
        for module in modules
        if module.endswith(('_msgs', '_interfaces')) or module.startswith(('rcl', 'launch', 'cv_bridge', 'rosbag2'))
    }
    assert ros
    assert ros <= declared


def required(path):
    """What a requirements file asks for, by name; a name with markers for several Pythons has several entries."""
    found = {}
    for line in (ROOT / 'requirements' / path).read_text(encoding='utf-8').split('\n'):
        if line and not line.startswith('#'):
            found.setdefault(Requirement(line).name, []).append(Requirement(line).specifier)
    return found


@pytest.fixture(scope='module')
def extras():
    """The extras of setup.py, each a list of requirements."""
    for call in ast.walk(ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))):
        if isinstance(call, ast.keyword) and call.arg == 'extras_require':
            return {name: [Requirement(one) for one in ones] for name, ones in ast.literal_eval(call.value).items()}
    raise AssertionError('setup.py declares no extras')


def test_an_extra_takes_the_versions_that_the_requirements_pin(extras):
    known = required('base.txt') | required('training.txt')
    for extra in (one for ones in extras.values() for one in ones if one.name in known):
        for wanted in known[extra.name]:
            pinned = [part.version for part in wanted if part.operator == '==']
            assert all(map(extra.specifier.contains, pinned)), f'{extra} leaves out {wanted}'
            assert pinned or extra.specifier == wanted, f'{extra} is not {wanted}'


def test_the_training_extra_begins_at_the_lowest_pin_of_each_requirement(extras):
    lowest = {
        name: min(Version(part.version) for wanted in found for part in wanted)
        for name, found in required('training.txt').items()
    }
    named = {one.name: one.specifier for one in extras['training']}
    assert named.keys() == {*lowest, 'rosbags'}
    for name, version in lowest.items():
        assert [Version(part.version) for part in named[name] if part.operator == '>='] == [version]


def test_both_packages_have_one_version():
    versions = [
        xml.etree.ElementTree.parse(ROOT / path).findtext('version')
        for path in ('package.xml', 'embodied_r_interfaces/package.xml')
    ]
    assert versions == [embodied_r_ros.__version__] * 2
