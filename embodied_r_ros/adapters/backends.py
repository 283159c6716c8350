"""Which models the nodes work with: a pair from config/models, and what parameters change about it."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from embodied_r_ros.adapters.late_model import LateLanguageModel
from embodied_r_ros.adapters.lm import LanguageModel
from embodied_r_ros.adapters.perception import Perceiver
from embodied_r_ros.core import models as core_models
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.models import PROMPT_FORMATS, ModelPair, PerceptionModel, ReasonerModel, ServerSettings
from embodied_r_ros.core.settings import check, setting
from embodied_r_ros.share import share_path

if TYPE_CHECKING:
    from embodied_r_ros.adapters.perception_opencv import OpenCVSettings

_AS_IN_PAIR = ', empty: as in the model pair'


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerceptionBackend:
    """Which model describes key frames."""

    models: str = setting('embedded', 'model pair: a name under config/models, or the path of a YAML file')
    backend: str = setting('', f'opencv or openai{_AS_IN_PAIR}; a url implies openai', choices=('', 'opencv', 'openai'))
    url: str = setting('', f'of an OpenAI-compatible server{_AS_IN_PAIR}')
    model: str = setting('', f'model id that the server lists{_AS_IN_PAIR}')

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReasonerBackend:
    """Which model thinks."""

    models: str = setting('embedded', 'model pair: a name under config/models, or the path of a YAML file')
    backend: str = setting(
        '',
        f'numpy, openai or transformers{_AS_IN_PAIR}; a url implies openai',
        choices=('', 'numpy', 'openai', 'transformers'),
    )
    url: str = setting('', f'of an OpenAI-compatible server{_AS_IN_PAIR}')
    model: str = setting('', f'model id that the server lists{_AS_IN_PAIR}')
    folder: str = setting('', f'of the weights, for numpy and transformers{_AS_IN_PAIR}')
    prompt_format: str = setting(
        '',
        'words that the weights were trained on; empty: as in the model pair, but paper where this node is pointed at '
        'a server and the pair is not',
        choices=('', *PROMPT_FORMATS),
    )

    def __post_init__(self) -> None:
        check(self)


def perception_model(given: PerceptionBackend) -> PerceptionModel:
    """The pair's perception with the node's parameters over it.

    Raises:
        SettingsError: the pair's file cannot be used, or a value is not allowed.
    """
    pair = _pair(given.models).perception
    backend = given.backend or ('openai' if given.url else pair.backend)
    return dataclasses.replace(pair, backend=backend, server=_server(pair.server, given.url, given.model))


def reasoner_model(given: ReasonerBackend) -> ReasonerModel:
    """The pair's reasoner with the node's parameters over it.

    Raises:
        SettingsError: the pair's file cannot be used, or a value is not allowed.
    """
    pair = _pair(given.models).reasoner
    backend = given.backend or ('openai' if given.url else pair.backend)
    turned_to_server = backend == 'openai' and pair.backend != 'openai'
    return dataclasses.replace(
        pair,
        backend=backend,
        folder=str(share_path(given.folder)) if given.folder else pair.folder,
        prompt_format=given.prompt_format or ('paper' if turned_to_server else pair.prompt_format),
        server=_server(pair.server, given.url, given.model),
    )


def perceiver(model: PerceptionModel, opencv_settings: OpenCVSettings) -> Perceiver:
    """Who describes key frames; nothing is reached for yet.

    Raises:
        SettingsError: a file that it needs cannot be used.
    """
    if model.backend == 'openai':
        from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver

        return OpenAIPerceiver(model)
    from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver

    labels = str(share_path(opencv_settings.labels)) if opencv_settings.labels else ''
    return OpenCVPerceiver(dataclasses.replace(opencv_settings, labels=labels))


def reasoner(model: ReasonerModel) -> LanguageModel:
    """Who thinks; a server is not reached for yet, and what takes long to load is loaded by its first probe.

    Raises:
        SettingsError: the model folder is missing or of the wrong kind.
    """
    if model.backend == 'openai':
        from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel

        return OpenAILanguageModel(model.server)
    if model.backend == 'numpy':
        from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel

        return NumpyLanguageModel(model.folder)
    from embodied_r_ros.adapters.lm_transformers import TransformersLanguageModel

    return LateLanguageModel(pathlib.Path(model.folder).name, lambda: TransformersLanguageModel(model.folder))


def prompt_format(model: ReasonerModel) -> PromptFormat:
    """How this reasoner is asked and read."""
    return core_models.prompt_format(model.prompt_format)


def _pair(name: str) -> ModelPair:
    is_path = '/' in name or name.endswith(('.yaml', '.yml'))
    return core_models.load_model_pair(share_path(name if is_path else f'config/models/{name}.yaml'))


def _server(server: ServerSettings, url: str, model: str) -> ServerSettings:
    """Another server's model is not the pair's: with a url alone, the only model that it lists is taken."""
    if not url:
        return dataclasses.replace(server, model=model or server.model)
    return dataclasses.replace(server, url=url, model=model)
