"""Which models the nodes work with: a pair from config/models, and what parameters change about it."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from embodied_r_ros.adapters.lazy_model import LazyLanguageModel
from embodied_r_ros.adapters.lm import LanguageModel
from embodied_r_ros.adapters.perception import Perceiver
from embodied_r_ros.adapters.weights import prompt_format_of
from embodied_r_ros.core import models as core_models
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.models import (
    EYES,
    PERCEIVERS,
    PROMPT_FORMATS,
    REASONERS,
    BackendRow,
    ModelPair,
    PerceptionModel,
    ReasonerModel,
    ServerSettings,
    eye_names,
    load,
    served,
)
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.share import share_path

_MODELS = 'The models are those of this pair: a name under config/models, or the path of a YAML file.'
_URL = "The model is on this OpenAI-compatible server; '' takes the pair's."
_MODEL = "The server lists the model by this id; '' takes the pair's."


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerceptionBackend(Settings):
    """Which model describes key frames."""

    models: str = setting('embedded', _MODELS)
    backend: str = setting(
        '', "This backend describes; '' takes the pair's, or openai if url is set.", choices=PERCEIVERS
    )
    eyes: str = setting('', "These eyes measure what is in view; commas separate their names; '' takes the pair's.")
    url: str = setting('', _URL)
    model: str = setting('', _MODEL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReasonerBackend(Settings):
    """Which model reasons."""

    models: str = setting('embedded', _MODELS)
    backend: str = setting('', "This backend reasons; '' takes the pair's, or openai if url is set.", choices=REASONERS)
    url: str = setting('', _URL)
    model: str = setting('', _MODEL)
    folder: str = setting('', "A backend in the process reads its weights from here; '' takes the pair's.")
    prompt_format: str = setting(
        '',
        "Prompts have this format; '' takes the pair's, or that of the weights in folder, or paper for another server.",
        choices=PROMPT_FORMATS,
    )


def perception_model(given: PerceptionBackend) -> PerceptionModel:
    """The pair's perception with the node's parameters over it.

    Raises:
        SettingsError: the pair's file cannot be used, or a value is not allowed.
    """
    pair = _pair(given.models).perception
    backend = given.backend or _backend(PERCEIVERS, pair.backend, given.url)
    model = dataclasses.replace(pair, backend=backend, server=_server(pair.server, given.url, given.model))
    return with_eyes(model, given.eyes)


def with_eyes(model: PerceptionModel, eyes: str) -> PerceptionModel:
    """The model with the eyes that were asked for; '' changes nothing.

    Raises:
        SettingsError: an eye is unknown or named twice, or the backend looks without eyes.
    """
    if eyes and 'eyes' not in PERCEIVERS[model.backend].takes:
        able = ' or '.join(name for name, row in PERCEIVERS.items() if 'eyes' in row.takes)
        raise SettingsError(f'eyes {eyes!r} need perception by {able}, got {model.backend}; leave one of them out')
    return dataclasses.replace(model, eyes=eyes or model.eyes)


def reasoner_model(given: ReasonerBackend) -> ReasonerModel:
    """The pair's reasoner with the node's parameters over it.

    A folder alone chooses the backend that runs it, and other weights than the pair's their prompt format.

    Raises:
        SettingsError: the pair's file or the folder cannot be used, or a value is not allowed.
    """
    pair = _pair(given.models).reasoner
    folder = os.path.abspath(share_path(given.folder)) if given.folder else ''
    own_format = prompt_format_of(folder, given.folder) if folder else pair.prompt_format
    backend = given.backend or _backend(REASONERS, pair.backend, given.url)
    if folder and not given.backend and not given.url:
        backend = 'numpy' if own_format == 'compact' else 'transformers'
    if folder and backend in served(REASONERS):
        raise SettingsError(f'folder {given.folder!r} is for a reasoner in the process, got {backend}; leave one out')
    if given.model and backend not in served(REASONERS):
        raise SettingsError(
            f'model {given.model!r} is an id on a server, and reasoner {backend} asks none; name the url of the '
            'server, or weights by their folder'
        )
    if backend in served(REASONERS) and pair.backend not in served(REASONERS):
        own_format = 'paper'
    model = dataclasses.replace(
        pair,
        backend=backend,
        folder=folder or pair.folder,
        prompt_format=given.prompt_format or own_format,
        server=_server(pair.server, given.url, given.model),
    )
    if not model.prompt_format:
        model = dataclasses.replace(model, prompt_format=_own_format(model))
    elif given.prompt_format == 'compact' and _own_format(model, 'compact') != 'compact':
        raise SettingsError(
            f'prompt_format compact is the language of the embedded reasoner, {model.folder!r} holds another model; '
            'take paper, or leave it out'
        )
    return model


def _own_format(model: ReasonerModel, served_one: str = 'paper') -> str:
    """The format that the weights need; that of a server's cannot be seen."""
    return prompt_format_of(model.folder) if 'folder' in REASONERS[model.backend].takes else served_one


def own_settings(*registries: Mapping[str, BackendRow]) -> list[type[Any]]:
    """The settings classes that the rows name, each once: parameters of the node that makes the backends."""
    return list(dict.fromkeys(load(row.settings) for rows in registries for row in rows.values() if row.settings))


def perceiver(model: PerceptionModel, *own: Any) -> Perceiver:
    """Who describes key frames offline; nothing is reached for yet.

    Args:
        model: which backend, and its part of the model pair.
        own: settings of the classes that rows name; the defaults where the backend's is not among them.

    Raises:
        SettingsError: an eye needs the graph, a library is missing, or a file that it needs cannot be used.
    """
    made, heard = perceiver_in_graph(model, *own)
    if heard:
        raise SettingsError(f'the eye {next(iter(heard))!r} hears topics of a graph, got none; leave it out of eyes')
    return made


def perceiver_in_graph(model: PerceptionModel, *own: Any) -> tuple[Perceiver, dict[str, Any]]:
    """As `perceiver`, with the eyes beside it that hear topics, by name."""
    row = PERCEIVERS[model.backend]
    made: Perceiver = make(row, model, own)
    names = eye_names(model.eyes, row.name) if 'eyes' in row.takes else []
    return made, {name: make(EYES[name], own=own) for name in names if EYES[name].heard}


def reasoner(model: ReasonerModel, *own: Any) -> LanguageModel:
    """Who thinks; a server is not reached for yet, and what takes long to load is loaded by its first probe.

    Args:
        model: which backend, and its part of the model pair.
        own: settings of the classes that rows name; the defaults where the backend's is not among them.

    Raises:
        SettingsError: a library is missing, or the model folder is missing or of the wrong kind.
    """
    row = REASONERS[model.backend]
    load_now: functools.partial[LanguageModel] = functools.partial(make, row, model, own)
    return LazyLanguageModel(pathlib.Path(model.folder).name, load_now) if row.lazy else load_now()


def make(row: BackendRow, model: Any = None, own: Sequence[Any] = ()) -> Any:
    """The adapter that a row names.

    Args:
        row: of a registry.
        model: has the fields that the row takes; None where it takes none.
        own: settings of any backends; the adapter gets the instance of the row's class, or its defaults.

    Raises:
        SettingsError: what the backend needs cannot be imported; the adapter raises it as well.
    """
    values = {field: getattr(model, field) for field in row.takes}
    if 'eyes' in values:
        names = eye_names(values['eyes'], row.name)
        values['eyes'] = [make(EYES[name], own=own) for name in names if not EYES[name].heard]
    try:
        adapter = load(row.adapter)
    except ImportError as error:
        raise SettingsError(f'backend {row.name!r} needs {row.needs}; install it ({error})') from error
    if row.settings:
        cls = load(row.settings)
        values['settings'] = next((settings for settings in own if isinstance(settings, cls)), None) or cls()
    return adapter(**values)


def prompt_format(model: ReasonerModel) -> PromptFormat:
    """How this reasoner is asked and read."""
    return core_models.prompt_format(model.prompt_format)


def _pair(name: str) -> ModelPair:
    is_path = '/' in name or name.endswith(('.yaml', '.yml'))
    return core_models.load_model_pair(share_path(name if is_path else f'config/models/{name}.yaml'))


def _backend(rows: Mapping[str, BackendRow], pair: str, url: str) -> str:
    """The pair's backend, unless a server is named that it has no use for."""
    return 'openai' if url and pair not in served(rows) else pair


def _server(server: ServerSettings, url: str, model: str) -> ServerSettings:
    """Another server's model is not the pair's: with a url alone, the only model that it lists is taken."""
    if not url:
        return dataclasses.replace(server, model=model or server.model)
    return dataclasses.replace(server, url=url, model=model)
