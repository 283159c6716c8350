"""Which models see and think: the registry of backends, and one YAML file per pair under config/models.

perception:
  backend: openai            # a row of PERCEIVERS
  url: http://127.0.0.1:8000/v1
  model: Qwen/Qwen2.5-VL-72B-Instruct
reasoner:
  backend: openai            # a row of REASONERS
  url: http://127.0.0.1:8001/v1
  model: EmbodiedCity/Embodied-R
  prompt_format: paper       # the words that the weights were trained on; chosen by the model where it is left out

A new backend is one adapter and one row here; parameters, launch arguments, options and documentation follow.
"""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from embodied_r_ros.core.box_units import BOX_UNITS, PX
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.settings import Settings, from_mapping, setting
from embodied_r_ros.core.yaml_file import read_yaml

if TYPE_CHECKING:
    from embodied_r_ros.core.formats import PromptFormat

_ADAPTERS = 'embodied_r_ros.adapters'


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackendRow:
    """One row of a registry: a way to look or to think.

    Attributes:
        name: the value of settings, launch arguments and options that chooses it.
        purpose: what it does, in one plain sentence.
        adapter: 'module:Class', which is imported when the backend is used. It is called with `takes` and, where the
            row names a class, `settings` as keywords.
        takes: fields of the model pair's block that the adapter gets. With 'server' the pair must name a url, with
            'folder' a folder; for 'eyes' the adapter gets the eyes that the field names.
        eyes: of a perceiver that takes eyes, those where none are named.
        only_with: of an eye that is part of what a perceiver does, that perceiver; '' for an eye that looks by itself.
        heard: of an eye whose sightings come on topics, so that perception_node has it and the perceiver has not.
        settings: 'module:Class' of settings that belong to the robot; they become parameters of the node. '' for none.
            This module is imported whether the backend is used or not.
        needs: what must be installed or running.
        lazy: True for a reasoner that takes long to load; its first probe loads it.
        at_once: of a reasoner in the process, so many requests under way keep it busy where many are made: those that
            it replies to side by side, and as many that wait meanwhile.
    """

    name: str
    purpose: str
    adapter: str
    takes: tuple[str, ...] = ()
    eyes: str = ''
    only_with: str = ''
    heard: bool = False
    settings: str = ''
    needs: str
    lazy: bool = False
    at_once: int = 1


def _registry(*rows: BackendRow) -> dict[str, BackendRow]:
    return {row.name: row for row in rows}


# Adapters implement `adapters.perception.Perceiver`.
PERCEIVERS = _registry(
    BackendRow(
        name='opencv',
        purpose='OpenCV measures motion, and eyes measure what is in view.',
        adapter=f'{_ADAPTERS}.perception_opencv:OpenCVPerceiver',
        takes=('eyes',),
        eyes='tags',
        settings=f'{_ADAPTERS}.looking:LookingSettings',
        needs='OpenCV',
    ),
    BackendRow(
        name='openai',
        purpose='A vision-language model behind an OpenAI-compatible server describes the images.',
        adapter=f'{_ADAPTERS}.perception_openai:OpenAIPerceiver',
        takes=('server', 'temperature', 'max_tokens', 'max_image_px', 'eyes', 'box_units'),
        settings=f'{_ADAPTERS}.looking:LookingSettings',
        needs='a server that takes two images per prompt',
    ),
)
# Adapters implement `adapters.eyes.Eye`, but for those that are part of what one perceiver does.
EYES = _registry(
    BackendRow(
        name='tags',
        purpose='AprilTags: number, bearing and distance.',
        adapter=f'{_ADAPTERS}.eye_tags:TagEye',
        settings=f'{_ADAPTERS}.eye_tags:TagSettings',
        needs='pupil-apriltags (pip) or python3-apriltag (apt); OpenCV reads fewer',
    ),
    BackendRow(
        name='boxes',
        purpose='Boxes that the describing model draws in the same request: name and bearing; distance from depth.',
        adapter=f'{_ADAPTERS}.eye_boxes:BoxEye',
        only_with='openai',
        needs='perception by openai, and a model that can locate what it names',
    ),
    BackendRow(
        name='detections',
        purpose='Boxes or places from a detector (vision_msgs): name and bearing; distance by itself or from depth.',
        adapter=f'{_ADAPTERS}.eye_detections:DetectionEye',
        heard=True,
        settings=f'{_ADAPTERS}.eye_detections:DetectionSettings',
        needs='a detector, and vision_msgs (apt)',
    ),
    BackendRow(
        name='signs',
        purpose='Text on door plates and signs: words and bearing; distance from depth.',
        adapter=f'{_ADAPTERS}.eye_signs:SignEye',
        settings=f'{_ADAPTERS}.eye_signs:SignSettings',
        needs='rapidocr and onnxruntime (pip)',
    ),
)
# Adapters implement `adapters.lm.LanguageModel`.
REASONERS = _registry(
    BackendRow(
        name='numpy',
        purpose='The small reasoner of this repository runs in the process, on one CPU core.',
        adapter=f'{_ADAPTERS}.lm_numpy:NumpyLanguageModel',
        takes=('folder',),
        needs='numpy',
    ),
    BackendRow(
        name='openai',
        purpose='A language model behind an OpenAI-compatible server reasons.',
        adapter=f'{_ADAPTERS}.lm_openai:OpenAILanguageModel',
        takes=('server',),
        needs='a server',
    ),
    BackendRow(
        name='transformers',
        purpose='Any causal language model in Hugging Face format runs in the process.',
        adapter=f'{_ADAPTERS}.lm_transformers:TransformersLanguageModel',
        takes=('folder',),
        needs='torch and transformers',
        lazy=True,
        at_once=32,
    ),
)
PROMPT_FORMATS = {
    'paper': 'embodied_r_ros.core.prompts:PaperFormat',
    'paper+map': 'embodied_r_ros.core.map_prompt:MapFormat',
    'compact': 'embodied_r_ros.core.compact:CompactFormat',
}


def load(name: str) -> Any:
    """What 'module:Name' names; the module is imported now."""
    module, _, attribute = name.partition(':')
    return getattr(importlib.import_module(module), attribute)


def purposes(rows: Mapping[str, BackendRow]) -> str:
    """What each backend of a registry does, for help texts."""
    return ' '.join(f'{name}: {row.purpose}' for name, row in rows.items())


def served(rows: Mapping[str, BackendRow]) -> list[str]:
    """Names of the backends that ask a server."""
    return [name for name, row in rows.items() if 'server' in row.takes]


def eye_names(listed: str, backend: str = '') -> list[str]:
    """The eyes that a setting names, separated by commas; where it names none, those of the backend.

    Raises:
        SettingsError: an eye is unknown, named twice, or does not go with the backend.
    """
    listed = listed or (PERCEIVERS[backend].eyes if backend else '')
    names = [name.strip() for name in listed.split(',')] if listed else []
    for name in names:
        if name not in EYES or names.count(name) > 1:
            raise SettingsError(f'eyes must be some of {", ".join(EYES)}, each once, got {name!r} in {listed!r}')
        only_with = EYES[name].only_with
        if backend and only_with not in ('', backend):
            raise SettingsError(
                f'the eye {name!r} needs perception by {only_with}, got {backend!r}; leave one of them out'
            )
    return names


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerSettings(Settings):
    """Where an OpenAI-compatible model server is, and how it is spoken to. Its key comes from the environment only."""

    url: str = setting('http://127.0.0.1:8000/v1', 'The server has this base URL; /v1 is added if it has no path.')
    model: str = setting('', "The server lists the model by this id; '' takes the only one that it lists.")
    timeout_s: float = setting(60.0, 'A request with its retries may take this long.', unit='s', within=(0.05, 3600.0))
    max_concurrent_requests: int = setting(
        8, 'At most this many requests are sent at once; more wait.', within=(1, 256)
    )
    retries: int = setting(2, 'A request is repeated this often after a lost connection, 429 or 5xx.', within=(0, 10))

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, 'url', _server_url(self.url))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerceptionModel(Settings):
    """What describes key frames."""

    backend: str = setting('opencv', 'This backend describes key frames.', choices=PERCEIVERS)
    eyes: str = setting(
        '',
        "These eyes measure what is in view; commas separate their names; '' takes tags with opencv, otherwise none.",
    )
    box_units: str = setting(
        PX,
        'The model gives boxes in pixels of the image that is sent, in those of it rounded to multiples of 28, or in '
        'thousandths of its sides.',
        choices=BOX_UNITS,
    )
    temperature: float = setting(0.1, 'The model samples at this temperature.', within=(0.0, 2.0))
    max_tokens: int = setting(512, 'A description has at most this length.', unit='tokens', within=(16, 16384))
    max_image_px: int = setting(
        1_000_000,
        'Images with more pixels are shrunk to this before they are sent.',
        unit='px',
        within=(10_000, 100_000_000),
    )
    server: ServerSettings = dataclasses.field(default_factory=ServerSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        eye_names(self.eyes, self.backend)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReasonerModel(Settings):
    """What thinks about the observations."""

    backend: str = setting('numpy', 'This backend runs the reasoner.', choices=REASONERS)
    prompt_format: str = setting(
        '',
        "Prompts have this format; '' means that of the weights: compact for the embedded reasoner, otherwise paper.",
        choices=PROMPT_FORMATS,
    )
    folder: str = setting('', 'The weights are in this folder, relative to the file of the model pair.')
    server: ServerSettings = dataclasses.field(default_factory=ServerSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 'folder' in REASONERS[self.backend].takes and not self.folder:
            raise SettingsError(
                f'backend {self.backend!r} needs folder, a folder with config.json and weights; got {self.folder!r}'
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelPair:
    """A pair of models: one sees, one thinks. `name` is the file's."""

    name: str
    perception: PerceptionModel
    reasoner: ReasonerModel


def load_model_pair(path: str | pathlib.Path) -> ModelPair:
    """Read config/models/<name>.yaml.

    Raises:
        SettingsError: the file cannot be read, a key is unknown, or a value is not allowed; the message names the file.
    """
    path = pathlib.Path(path)
    try:
        blocks = _blocks(path)
        perception = _block(blocks, 'perception', PerceptionModel, PERCEIVERS)
        reasoner = _block(blocks, 'reasoner', ReasonerModel, REASONERS)
        unknown = sorted(set(blocks) - {'perception', 'reasoner'}, key=str)
        if unknown:
            raise SettingsError(f'unknown block {unknown[0]!r}; known are: perception, reasoner')
        if reasoner.folder:
            reasoner = dataclasses.replace(reasoner, folder=str((path.parent / reasoner.folder).resolve()))
        return ModelPair(name=path.stem, perception=perception, reasoner=reasoner)
    except SettingsError as error:
        raise SettingsError(f'{path}: {error}') from error


def prompt_format(name: str) -> PromptFormat:
    """The prompt format of this name.

    Raises:
        SettingsError: there is none.
    """
    if name not in PROMPT_FORMATS:
        raise SettingsError(f'prompt_format must be one of {", ".join(PROMPT_FORMATS)}, got {name!r}')
    return load(PROMPT_FORMATS[name])()


def _blocks(path: pathlib.Path) -> dict[str, Any]:
    try:
        found = read_yaml(path)
    except SettingsError as error:
        raise SettingsError(f'a model pair file was wanted, {error}; see config/models') from error
    if not isinstance(found, dict):
        raise SettingsError(f'blocks perception and reasoner were wanted, got {type(found).__name__}')
    return found


def _block(blocks: Mapping[str, Any], name: str, cls: type[Any], rows: Mapping[str, BackendRow]) -> Any:
    """A block of the file as settings; its server's keys stand beside its own."""
    values = blocks.get(name)
    if not isinstance(values, dict) or not isinstance(values.get('backend'), str):
        raise SettingsError(f'a block {name!r} with a key backend was wanted, got {_kind(values)}')
    if values['backend'] in served(rows) and not values.get('url'):
        raise SettingsError(
            f'{name} with backend {values["backend"]} needs url, the base URL of the server; got {values.get("url")!r}'
        )
    try:
        return from_mapping(cls, values)
    except SettingsError as error:
        raise SettingsError(f'{name}: {error}') from error


def _kind(values: Any) -> str:
    """What was found in place of a block, without the text of a file that may be none of ours."""
    if isinstance(values, dict):
        return f'a backend of type {type(values["backend"]).__name__}' if 'backend' in values else 'a block without it'
    return 'None' if values is None else type(values).__name__


def _server_url(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        (parts.hostname or '').encode('idna')  # as connecting does; what cannot be is no host
        usable = parts.scheme in ('http', 'https') and bool(parts.hostname) and parts.port != 0
        usable = usable and url.strip().isprintable() and ' ' not in url.strip()
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f'url must look like http://host:8000/v1, got {url!r}')
    if parts.username or parts.password:
        raise SettingsError('url must not carry a user or password; put the key into the environment variable')
    path = parts.path.rstrip('/') or '/v1'
    return f'{parts.scheme}://{parts.netloc}{path}'
