"""A folder of weights in Hugging Face's layout: whether it is one, and in which prompt format its model is asked."""

from __future__ import annotations

import os
import pathlib
import re

from embodied_r_ros.adapters.tokenizer import WordTokenizer
from embodied_r_ros.core.errors import SettingsError

CONFIG, ADAPTERS = 'config.json', 'adapter_config.json'
GGUF = '.gguf'
_HUB_NAME = re.compile(r'[\w.-]+/[\w.-]+')


def check_folder(folder: str | os.PathLike[str], given: str = '') -> None:
    """See that a folder holds a model.

    Args:
        folder: where it is looked for.
        given: as it was named, where that differs.

    Raises:
        SettingsError: it does not; the message says what it is and what to do.
    """
    path, name = pathlib.Path(folder), given or str(folder)
    if (path / CONFIG).is_file():
        return
    wanted = f'a model folder with {CONFIG} was wanted, {name!r}'
    if path.suffix == GGUF and path.is_file():
        raise SettingsError(
            f'{wanted} is a GGUF file; make a folder of it (python -m training.from_gguf {name} --out FOLDER), or '
            'serve it and name the server'
        )
    if (path / ADAPTERS).is_file():
        raise SettingsError(
            f'{wanted} holds adapters alone; merge them (python -m training.export --model {name} --out FOLDER)'
        )
    if path.exists():
        raise SettingsError(f'{wanted} has none; name the folder that the weights were saved in')
    if _HUB_NAME.fullmatch(name):
        raise SettingsError(
            f'{wanted} does not exist; a model of the hub is loaded into a folder first (hf download {name} '
            '--local-dir FOLDER)'
        )
    raise SettingsError(f'{wanted} does not exist; see that the path is right')


def prompt_format_of(folder: str | os.PathLike[str], given: str = '') -> str:
    """The prompt format of the model in a folder: 'compact' where its tokenizer knows that language, else 'paper'.

    Raises:
        SettingsError: as `check_folder`.
    """
    check_folder(folder, given)
    path = pathlib.Path(folder)
    own = path / 'tokenizer'
    try:
        WordTokenizer.from_file((own if own.is_dir() else path) / 'tokenizer.json')
    except SettingsError:
        return 'paper'
    return 'compact'
