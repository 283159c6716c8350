"""Which models see and think: one YAML file per pair, under config/models.

perception:
  backend: openai            # or opencv
  url: http://127.0.0.1:8000/v1
  model: Qwen/Qwen2.5-VL-72B-Instruct
reasoner:
  backend: openai            # or numpy, transformers
  url: http://127.0.0.1:8001/v1
  model: EmbodiedCity/Embodied-R
  prompt_format: paper       # the words that the weights were trained on
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.settings import check, fields, from_mapping, setting

PROMPT_FORMATS = ('paper', 'compact')


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where an OpenAI-compatible model server is, and how it is spoken to. Its key comes from the environment only."""

    url: str = setting('http://127.0.0.1:8000/v1', 'base URL of the server; /v1 is added where there is no path')
    model: str = setting('', "model id as the server lists it; '' takes the only one it lists")
    timeout_s: float = setting(
        60.0,
        'from asking to the end of the reply, waiting and retries included',
        unit='s',
        minimum=0.05,
        maximum=3600.0,
    )
    concurrency: int = setting(8, 'requests under way at once; more wait', minimum=1, maximum=256)
    retries: int = setting(
        2, 'repeats of a request that the server could not take (connection, 429, 5xx)', minimum=0, maximum=10
    )

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, 'url', _server_url(self.url))


_SERVER = {
    'help': 'the model server, for the backend openai',
    'unit': '',
    'minimum': None,
    'maximum': None,
    'choices': (),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerceptionModel:
    """What describes key frames."""

    backend: str = setting('opencv', 'what looks at key frames', choices=('opencv', 'openai'))
    temperature: float = setting(0.1, 'of the sampling', minimum=0.0, maximum=2.0)
    max_tokens: int = setting(512, 'length of a description', unit='tokens', minimum=16, maximum=16384)
    server: ServerSettings = dataclasses.field(default_factory=ServerSettings, metadata=_SERVER)

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReasonerModel:
    """What thinks about the observations.

    Attributes:
        folder: of the weights, for the backends in this process; in the file it is relative to the file.
    """

    backend: str = setting('numpy', 'where the reasoner runs', choices=('numpy', 'openai', 'transformers'))
    prompt_format: str = setting('compact', 'the words that its weights were trained on', choices=PROMPT_FORMATS)
    folder: str = setting('', 'of the weights (numpy, transformers)')
    server: ServerSettings = dataclasses.field(default_factory=ServerSettings, metadata=_SERVER)

    def __post_init__(self) -> None:
        check(self)
        if self.backend in ('numpy', 'transformers') and not self.folder:
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
        blocks = _read_yaml(path)
        perception = _block(blocks, 'perception', PerceptionModel)
        reasoner = _block(blocks, 'reasoner', ReasonerModel)
        unknown = sorted(set(blocks) - {'perception', 'reasoner'}, key=str)
        if unknown:
            raise SettingsError(f'unknown block {unknown[0]!r}; known are: perception, reasoner')
        reasoner = dataclasses.replace(reasoner, folder=_beside(path, reasoner.folder))
        return ModelPair(name=path.stem, perception=perception, reasoner=reasoner)
    except SettingsError as error:
        raise SettingsError(f'{path}: {error}') from error


def prompt_format(name: str) -> PromptFormat:
    """The prompt format of this name.

    Raises:
        SettingsError: there is none.
    """
    if name == 'paper':
        from embodied_r_ros.core.prompts import PaperFormat

        return PaperFormat()
    if name == 'compact':
        from embodied_r_ros.core.compact import CompactFormat

        return CompactFormat()
    raise SettingsError(f'prompt_format must be one of {", ".join(PROMPT_FORMATS)}, got {name!r}')


def _beside(path: pathlib.Path, named: str) -> str:
    """A path that a file names relative to itself; '' stays."""
    return str((path.parent / named).resolve()) if named else ''


def _read_yaml(path: pathlib.Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise SettingsError(
            f'a model pair file was wanted, it cannot be read ({error.strerror}); see config/models'
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f'YAML was wanted, but: {" ".join(str(error).split())}') from error
    if not isinstance(found, dict):
        raise SettingsError(f'blocks perception and reasoner were wanted, got {found!r}')
    return found


def _block(blocks: Mapping[str, Any], name: str, cls: type[Any]) -> Any:
    """A block of the file as settings; its server's keys stand beside its own."""
    values = blocks.get(name)
    if not isinstance(values, dict) or not isinstance(values.get('backend'), str):
        raise SettingsError(f'a block {name!r} with a key backend was wanted, got {values!r}')
    own = [key for key, _, _ in fields(cls) if key != 'server']
    server = [key for key, _, _ in fields(ServerSettings)]
    for key in values:
        if key not in own and key not in server:
            raise SettingsError(f'unknown key {key!r} in {name}; known are: {", ".join(own + server)}')
    if values['backend'] == 'openai' and not values.get('url'):
        raise SettingsError(
            f'{name} with backend openai needs url, the base URL of the server; got {values.get("url")!r}'
        )
    try:
        settings = from_mapping(ServerSettings, {key: value for key, value in values.items() if key in server})
        return cls(**{key: value for key, value in values.items() if key in own}, server=settings)
    except SettingsError as error:
        raise SettingsError(f'{name}: {error}') from error


def _server_url(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ('http', 'https') and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f'url must look like http://host:8000/v1, got {url!r}')
    if parts.username or parts.password:
        raise SettingsError('url must not carry a user or password; put the key into the environment variable')
    path = parts.path.rstrip('/') or '/v1'
    return f'{parts.scheme}://{parts.netloc}{path}'
