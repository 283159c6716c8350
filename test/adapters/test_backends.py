"""Which models the nodes' parameters lead to, and a model that is loaded lazily."""

import asyncio
import dataclasses
import threading

import cv2
import numpy as np
import pytest
from fake_models import FakeReasoner, key_frame
from tiny_models import foreign_folder, random_folder

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.codec import encode_jpeg
from embodied_r_ros.adapters.eye_tags import TagSettings
from embodied_r_ros.adapters.lazy_model import LazyLanguageModel
from embodied_r_ros.core.errors import BackendUnavailable, SettingsError
from embodied_r_ros.core.records import Generation, Message

PAIR = """
perception:
  backend: opencv
reasoner:
  backend: numpy
  folder: weights
  prompt_format: compact
"""


def tagged_frame():
    """A key frame with tag 6 in the middle of a white wall."""
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    view = np.full((240, 320, 3), 255, np.uint8)
    view[80:160, 120:200] = cv2.aruco.generateImageMarker(family, 6, 80)[..., None]
    return dataclasses.replace(key_frame(0), image=encode_jpeg(view, 90))


@pytest.fixture
def pair(tmp_path):
    file = tmp_path / 'pair.yaml'
    file.write_text(PAIR)
    return str(file)


def test_without_parameters_it_is_the_pair(pair, tmp_path):
    perception = backends.perception_model(backends.PerceptionBackend(models=pair))
    reasoner = backends.reasoner_model(backends.ReasonerBackend(models=pair))
    assert perception.backend == 'opencv'
    assert (reasoner.backend, reasoner.folder, reasoner.prompt_format) == (
        'numpy',
        str(tmp_path / 'weights'),
        'compact',
    )


@pytest.mark.parametrize(('labels', 'name'), [('', 'tag 6'), ('tags.yaml', 'sofa')], ids=['default', 'labels'])
def test_tags_are_called_by_number_unless_labels_are_given(labels, name, tmp_path):
    file = tmp_path / 'tags.yaml'
    file.write_text('6: sofa')
    settings = TagSettings(labels=labels and str(file))

    async def look():
        perceiver = backends.perceiver(backends.perception_model(backends.PerceptionBackend()), settings)
        try:
            return await perceiver.describe(None, tagged_frame())
        finally:
            await perceiver.aclose()

    assert [seen.name for seen in asyncio.run(look()).sightings] == [name]


@pytest.mark.parametrize('name', ['embedded', 'gpu24gb', 'paper'])
def test_the_pairs_that_come_with_the_package_are_found_by_name(name):
    assert backends.perception_model(backends.PerceptionBackend(models=name)).backend in ('opencv', 'openai')
    assert backends.reasoner_model(backends.ReasonerBackend(models=name)).prompt_format in ('compact', 'paper')


def test_a_url_alone_leads_to_that_server_and_to_a_format_that_any_model_reads(pair):
    perception = backends.perception_model(backends.PerceptionBackend(models=pair, url='http://gpu:8000'))
    assert (perception.backend, perception.server.url, perception.server.model) == ('openai', 'http://gpu:8000/v1', '')
    reasoner = backends.reasoner_model(backends.ReasonerBackend(models=pair, url='http://gpu:8001', model='qwen'))
    assert (reasoner.backend, reasoner.server.model, reasoner.prompt_format) == ('openai', 'qwen', 'paper')


def test_the_format_of_a_served_model_can_be_named(pair):
    given = backends.ReasonerBackend(models=pair, url='http://gpu:8001', prompt_format='compact')
    assert backends.reasoner_model(given).prompt_format == 'compact'


@pytest.mark.parametrize(
    ('models', 'backend', 'prompt_format'),
    [('embedded', 'numpy', 'compact'), ('paper', 'numpy', 'compact')],
    ids=['in the process', 'a server'],
)
def test_the_folder_of_an_embedded_reasoner_alone_leads_to_numpy(models, backend, prompt_format, tmp_path):
    folder = random_folder(tmp_path)
    found = backends.reasoner_model(backends.ReasonerBackend(models=models, folder=str(folder)))
    assert (found.backend, found.prompt_format, found.folder) == (backend, prompt_format, str(folder))


@pytest.mark.parametrize('models', ['embedded', 'paper'])
@pytest.mark.parametrize('backend', ['', 'transformers'])
def test_the_folder_of_another_model_leads_to_transformers_and_the_format_that_any_model_reads(
    models, backend, tmp_path
):
    given = backends.ReasonerBackend(models=models, backend=backend, folder=str(foreign_folder(tmp_path)))
    found = backends.reasoner_model(given)
    assert (found.backend, found.prompt_format) == ('transformers', 'paper')


@pytest.mark.parametrize(('write', 'prompt_format'), [(foreign_folder, 'paper'), (random_folder, 'compact')])
def test_a_pair_need_not_name_the_format(write, prompt_format, tmp_path):
    write(tmp_path / 'weights')
    file = tmp_path / 'pair.yaml'
    file.write_text(PAIR.replace('numpy', 'transformers').replace('  prompt_format: compact\n', ''))
    assert backends.reasoner_model(backends.ReasonerBackend(models=str(file))).prompt_format == prompt_format


def test_another_url_does_not_ask_for_the_pairs_model():
    given = backends.ReasonerBackend(models='paper', url='http://gpu:8001')
    assert backends.reasoner_model(given).server.model == ''
    renamed = backends.ReasonerBackend(models='paper', model='mine')
    assert backends.reasoner_model(renamed).server.model == 'mine'


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'models': 'nowhere'}, 'a model pair file was wanted'),
        ({'url': 'gpu'}, 'url must look like'),
        ({'backend': 'onnx'}, 'backend must be one of'),
        ({'prompt_format': 'poem'}, 'prompt_format must be one of'),
        ({'model': 'qwen'}, "model 'qwen' is an id on a server, and reasoner numpy asks none; name the url"),
        ({'folder': 'data/reasoner', 'url': 'http://gpu'}, "folder 'data/reasoner' is for a reasoner in the process"),
        ({'folder': 'data/reasoner', 'backend': 'openai'}, 'got openai; leave one out'),
        ({'folder': 'org/name-1B'}, r'hf download org/name-1B --local-dir FOLDER'),
    ],
)
def test_what_cannot_be_used_is_refused(values, words):
    with pytest.raises(SettingsError, match=words):
        backends.reasoner_model(backends.ReasonerBackend(**values))


def test_the_language_of_the_embedded_reasoner_is_refused_for_another_model(tmp_path):
    given = backends.ReasonerBackend(folder=str(foreign_folder(tmp_path)), prompt_format='compact')
    with pytest.raises(SettingsError, match='prompt_format compact is the language of the embedded reasoner'):
        backends.reasoner_model(given)


@pytest.mark.parametrize('backend', ['numpy', pytest.param('transformers', marks=pytest.mark.torch)])
def test_a_model_folder_that_is_missing_is_refused(backend, tmp_path):
    given = backends.ReasonerBackend(models='embedded', backend=backend, folder=str(tmp_path / 'missing'))
    with pytest.raises(SettingsError, match='missing'):
        asyncio.run(backends.reasoner(backends.reasoner_model(given)).probe())


REQUEST = Generation(messages=(Message(role='user', content='?'),))


def test_a_lazy_model_is_loaded_once_beside_the_loop():
    loads = []

    def load():
        loads.append(threading.current_thread())
        return FakeReasoner(reply='here')

    async def scene():
        lazy = LazyLanguageModel('big', load)
        with pytest.raises(BackendUnavailable, match='big is not loaded yet'):
            await lazy.generate(REQUEST)
        await asyncio.gather(lazy.probe(), lazy.probe())
        completion = await lazy.generate(REQUEST)
        await lazy.aclose()
        return completion.text

    assert asyncio.run(scene()) == 'here'
    assert len(loads) == 1 and loads[0] is not threading.main_thread()


def test_a_lazy_model_that_cannot_be_loaded_says_why():
    def load():
        raise SettingsError('no weights in there')

    with pytest.raises(SettingsError, match='no weights in there'):
        asyncio.run(LazyLanguageModel('big', load).probe())
