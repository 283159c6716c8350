"""Model pairs from YAML."""

from __future__ import annotations

import pathlib

import pytest
from foreign_files import FOREIGN

from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.models import ReasonerModel, ServerSettings, load_model_pair, prompt_format
from embodied_r_ros.core.prompts import PaperFormat

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / 'config' / 'models'

OPENCV = 'perception: {backend: opencv}\n'
NUMPY = 'reasoner: {backend: numpy, folder: weights, prompt_format: compact}\n'


def write(tmp_path, text):
    path = tmp_path / 'pair.yaml'
    path.write_text(text, encoding='utf-8')
    return path


@pytest.mark.parametrize(
    ('name', 'perception', 'reasoner', 'prompts'),
    [
        ('paper', 'openai', 'openai', 'paper'),
        ('gpu24gb', 'openai', 'openai', 'paper'),
        ('embedded', 'opencv', 'numpy', 'compact'),
    ],
)
def test_the_shipped_pairs_load(name, perception, reasoner, prompts):
    pair = load_model_pair(SHIPPED / f'{name}.yaml')
    assert (pair.name, pair.perception.backend, pair.reasoner.backend) == (name, perception, reasoner)
    assert pair.reasoner.prompt_format == prompts


def test_the_papers_pair_is_the_papers():
    pair = load_model_pair(SHIPPED / 'paper.yaml')
    assert pair.perception.server.model == 'Qwen/Qwen2.5-VL-72B-Instruct'
    assert pair.reasoner.server.model == 'EmbodiedCity/Embodied-R'
    assert pair.perception.server.url != pair.reasoner.server.url


def test_the_folder_of_the_weights_is_relative_to_the_file(tmp_path):
    pair = load_model_pair(write(tmp_path, OPENCV + NUMPY))
    assert pathlib.Path(pair.reasoner.folder) == tmp_path / 'weights'
    embedded = load_model_pair(SHIPPED / 'embedded.yaml')
    assert pathlib.Path(embedded.reasoner.folder) == SHIPPED.parents[1] / 'data' / 'reasoner'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('perception: {backend: opencv, spede: 1}\n' + NUMPY,
                     "perception: unknown key 'spede'; known are: backend, .*, url", id='key'),
        pytest.param('perception: {backend: opencv, labels: tags.yaml}\n' + NUMPY,
                     "perception: unknown key 'labels'", id='labels-are-no-model'),
        pytest.param('perception: {backend: openai, url: "http://h", concurrency: 4}\n' + NUMPY,
                     "perception: key 'concurrency' is now called 'max_concurrent_requests'; rename it", id='old-name'),
        pytest.param(OPENCV + NUMPY + 'extra: 1\n', "unknown block 'extra'", id='block'),
        pytest.param('perception: {backend: yolo}\n' + NUMPY,
                     "perception: backend must be one of opencv, openai, got 'yolo'", id='backend'),
        pytest.param('perception: {backend: opencv, eyes: "tags,third"}\n' + NUMPY,
                     "perception: eyes must be some of .*, detections, signs, each once, got 'third' in 'tags,third'",
                     id='eye'),
        pytest.param('perception: {backend: opencv, eyes: "tags, tags"}\n' + NUMPY,
                     "eyes must be some of .*, signs, each once, got 'tags' in 'tags, tags'", id='eye-twice'),
        pytest.param('perception: {backend: opencv, eyes: "tags,"}\n' + NUMPY, "eyes must be .* got '' in 'tags,'",
                     id='no-eye'),
        pytest.param('perception: {backend: opencv, eyes: boxes}\n' + NUMPY,
                     "perception: the eye 'boxes' needs perception by openai, got 'opencv'; leave one of them out",
                     id='eye-of-another-backend'),
        pytest.param('perception: {model: x}\n' + NUMPY,
                     "a block 'perception' with a key backend was wanted", id='no-backend'),
        pytest.param(NUMPY, "a block 'perception' with a key backend was wanted, got None", id='no-perception'),
        pytest.param('perception: {backend: openai}\n' + NUMPY,
                     'perception with backend openai needs url', id='no-url'),
        pytest.param(OPENCV + 'reasoner: {backend: numpy}\n', "needs folder, .* got ''", id='no-folder'),
        pytest.param(OPENCV + 'reasoner: {backend: openai, url: "http://h", prompt_format: free}\n',
                     r"prompt_format must be one of paper, paper\+map, compact, got 'free'", id='format'),
        pytest.param('perception: {backend: openai, url: "http://h", timeout_s: 0}\n' + NUMPY,
                     r'timeout_s must lie in \[0.05, 3600\] s, got 0', id='range'),
        pytest.param('perception: {backend: openai, url: "http://h", timeout_s: soon}\n' + NUMPY,
                     "timeout_s must be of type float, got 'soon'", id='type'),
        pytest.param('perception: {backend: openai, url: "host:8000"}\n' + NUMPY,
                     "url must look like http://host:8000/v1, got 'host:8000'", id='url'),
        pytest.param('perception: {backend: openai, url: "http://me:hush@h"}\n' + NUMPY,
                     'url must not carry a user or password', id='url-password'),
        pytest.param('- 1\n', r'blocks perception and reasoner were wanted, got list', id='list'),
        pytest.param('a: [1\n', r'a model pair file was wanted, line 2 is no YAML \(expected', id='no-yaml'),
    ],
)  # fmt: skip
def test_a_bad_pair_is_a_settings_error_that_names_file_and_key(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message) as caught:
        load_model_pair(write(tmp_path, text))
    assert 'pair.yaml' in str(caught.value) and 'hush' not in str(caught.value)


def test_a_missing_file_is_a_settings_error(tmp_path):
    with pytest.raises(
        SettingsError, match=r'none\.yaml: a model pair file was wanted, it cannot be read \(No such file'
    ):
        load_model_pair(tmp_path / 'none.yaml')


@pytest.mark.parametrize(
    ('given', 'url'),
    [
        ('http://host:8000', 'http://host:8000/v1'),
        ('http://host:8000/', 'http://host:8000/v1'),
        ('https://host/api/v1/', 'https://host/api/v1'),
        ('http://[::1]:8000/v1', 'http://[::1]:8000/v1'),
    ],
)
def test_a_server_url_is_completed(given, url):
    assert ServerSettings(url=given).url == url


@pytest.mark.parametrize('url', ['', 'ftp://host', 'http://', 'http://host:port', 'http://[::1'])
def test_a_bad_server_url_is_a_settings_error(url):
    with pytest.raises(SettingsError, match='url must look like'):
        ServerSettings(url=url)


def test_prompt_formats_are_found_by_name():
    assert isinstance(prompt_format('paper'), PaperFormat)
    assert isinstance(prompt_format('compact'), CompactFormat)
    with pytest.raises(SettingsError, match=r"prompt_format must be one of paper, paper\+map, compact, got 'free'"):
        prompt_format('free')


def test_a_reasoner_in_process_needs_a_folder():
    with pytest.raises(SettingsError, match="backend 'transformers' needs folder"):
        ReasonerModel(backend='transformers')


@pytest.mark.parametrize('text', FOREIGN, ids=range(len(FOREIGN)))
def test_an_error_shows_nothing_of_a_file_that_is_no_model_pair(tmp_path, text):
    with pytest.raises(SettingsError, match='pair.yaml') as caught:
        load_model_pair(write(tmp_path, text))
    assert 'hunter' not in str(caught.value)
