"""Model folders in Hugging Face's layout: read a causal model with its tokenizer, write both so that all readers agree.

Beside the config.json of a Qwen2, transformers reads any tokenizer as Qwen2's own. A tokenizer that is another one
stands in the sub-folder `tokenizer` once more, and is read from there.
"""

from __future__ import annotations

import pathlib
from typing import Any

from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from embodied_r_ros.adapters.weights import check_folder
from embodied_r_ros.core.errors import SettingsError

disable_progress_bar()  # for each file of weights, read or written


def load_model(folder: pathlib.Path, dtype: Any) -> Any:
    """The causal language model of a folder, in a torch dtype.

    Raises:
        SettingsError: there is no such folder, or no model in it.
    """
    check_folder(folder)
    try:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise SettingsError(f'a causal language model was wanted in {str(folder)!r}: {_line(error)}') from error


def load_tokenizer(folder: pathlib.Path) -> Any:
    """The tokenizer of a folder, padding on the left.

    Raises:
        SettingsError: there is none, or it has no chat template.
    """
    own = folder / 'tokenizer'
    place = own if own.is_dir() else folder
    if not (place / 'tokenizer_config.json').is_file():
        check_folder(folder)
        raise SettingsError(f'a tokenizer was wanted in {str(place)!r}, tokenizer_config.json is not there')
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, padding_side='left')
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(f'a tokenizer was wanted in {str(place)!r}: {_line(error)}') from error
    if not tokenizer.chat_template:
        raise SettingsError(f'the tokenizer in {str(place)!r} must have a chat template, found none; add one')
    return tokenizer


def template_tokens(tokenizer: Any, turns: list[dict[str, str]], *, is_whole: bool = False) -> int:
    """How many tokens chat turns have, with the beginning of a reply behind them unless they are whole.

    Raises:
        SettingsError: the chat template has no place for such turns.
    """
    try:
        return len(tokenizer.apply_chat_template(turns, add_generation_prompt=not is_whole)['input_ids'])
    except TemplateError as error:
        roles = ', '.join(turn['role'] for turn in turns)
        raise SettingsError(
            f'a chat template that writes turns of {roles} was wanted, that of the model says {_line(error)!r}; '
            'put one that does into the folder, as chat_template.jinja'
        ) from error


def save_tokenizer(tokenizer: Any, folder: pathlib.Path) -> None:
    """Write the tokenizer beside a saved model, and where transformers would misread it, in the sub-folder as well."""
    tokenizer.save_pretrained(folder)
    if type(AutoTokenizer.from_pretrained(folder)) is not type(tokenizer):
        tokenizer.save_pretrained(folder / 'tokenizer')


def _line(error: BaseException) -> str:
    return ' '.join(str(error).split())
