"""Reader of safetensors files: eight bytes of length, a JSON table, raw little-endian numbers."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import numpy.typing as npt

from embodied_r_ros.core.errors import SettingsError

_KINDS = {'F32': '<f4', 'F16': '<f2', 'BF16': '<u2'}


def read_safetensors(path: pathlib.Path) -> dict[str, npt.NDArray[np.float32]]:
    """All tensors of a file, by name, as float32.

    Raises:
        SettingsError: the file is missing, cut short or malformed, or holds a number format other than F32, F16, BF16.
    """
    try:
        content = path.read_bytes()
        begin = 8 + int.from_bytes(content[:8], 'little')
        table = json.loads(content[8:begin])
        return {name: _tensor(content, begin, entry) for name, entry in table.items() if name != '__metadata__'}
    except OSError as error:
        raise SettingsError(f'wanted weights at {str(path)!r}, cannot read them: {error}') from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f'{str(path)!r} must be a safetensors file of F32, F16 or BF16 tensors, found a malformed one: {error}'
        ) from error


def _tensor(content: bytes, begin: int, entry: dict[str, object]) -> npt.NDArray[np.float32]:
    kind, shape, offsets = entry['dtype'], entry['shape'], entry['data_offsets']
    if kind not in _KINDS or not isinstance(shape, list) or not isinstance(offsets, list):
        raise ValueError(f'number format {kind!r} with shape {shape!r}')
    raw = np.frombuffer(content[begin + offsets[0] : begin + offsets[1]], _KINDS[str(kind)]).reshape(shape)
    if kind == 'BF16':
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)
