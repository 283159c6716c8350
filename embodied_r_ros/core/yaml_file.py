"""YAML files read so that errors never show what stands in them: a wrong path may lead to a file with secrets."""

from __future__ import annotations

import pathlib
import re
from typing import Any

from embodied_r_ros.core.errors import SettingsError

MAX_BYTES = 4_000_000

# The parser's words hold what it met between quotation marks, and all that follows the first one may be the file's.
_FIXED_WORDS = re.compile(r'[^\'"<]*')


def read_yaml(path: pathlib.Path) -> Any:
    """What a YAML file holds.

    Raises:
        SettingsError: the file cannot be read, is too large, or holds no YAML; the message names the line and the
            problem, and nothing of the text.
    """
    import yaml

    try:
        with path.open('rb') as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SettingsError(f'it is larger than {MAX_BYTES} bytes')
        return yaml.safe_load(content.decode('utf-8'))
    except OSError as error:
        raise SettingsError(f'it cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise SettingsError(f'its byte {error.start} is no UTF-8') from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f'line {mark.line + 1}' if mark else 'the text'
        problem = _FIXED_WORDS.match(error.problem or error.context or '')
        raise SettingsError(
            f'{line} is no YAML ({problem[0].strip() if problem else ""}); a text with a colon, or with a question '
            'mark within braces, needs quotation marks'
        ) from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        # PyYAML raises more than its own errors, as for `!!bool maybe`.
        raise SettingsError(f'it holds what YAML does not allow ({type(error).__name__})') from None


def read_mapping(path: str | pathlib.Path, name: str, form: str) -> dict[Any, Any]:
    """What a YAML file maps.

    Args:
        path: of the file.
        name: of the setting that names it.
        form: what it must map to what, with an example.

    Raises:
        SettingsError: the file cannot be read, or holds something else than a mapping.
    """
    try:
        content = read_yaml(pathlib.Path(path))
    except SettingsError as error:
        raise SettingsError(f'{name} must be a readable YAML file, got {str(path)!r}: {error}') from error
    if not isinstance(content, dict):
        raise SettingsError(f'{path} must map {form}; got {type(content).__name__}')
    return content
