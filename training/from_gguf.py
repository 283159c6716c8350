"""Turn a GGUF file into a folder that transformers, the trainers and the robot load.

python -m training.from_gguf small.Q4_1.gguf --out models/small

Quantised weights are written out in full; what their quantisation has lost stays lost. The chat template comes along.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import torch

from embodied_r_ros.adapters.weights import GGUF
from embodied_r_ros.core.errors import EmbodiedRError, SettingsError

DTYPES = ('float32', 'bfloat16')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.from_gguf', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', type=pathlib.Path, help='Read this GGUF file.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write to this folder, which must not exist.')
    parser.add_argument(
        '--dtype', default=DTYPES[0], choices=DTYPES, help='Write weights of this type (default: %(default)s).'
    )
    options = parser.parse_args(arguments)
    try:
        size = convert(options.file, options.out, options.dtype)
    except EmbodiedRError as error:
        print(f'training.from_gguf: {error}', file=sys.stderr)
        return 2
    print(f'{options.out}: {size / 1e6:.1f} MB of weights')
    return 0


def convert(file: pathlib.Path, out: pathlib.Path, dtype: str = DTYPES[0]) -> int:
    """Write the folder, by way of another one so that it is never half written; returns the bytes of its weights.

    Raises:
        SettingsError: the file cannot be read, holds no model that transformers knows, or none with a chat template; a
            library is missing; or the folder exists.
    """
    if file.suffix != GGUF or not file.is_file():
        raise SettingsError(f'a GGUF file was wanted, {str(file)!r} is none; name a file that ends in {GGUF}')
    if out.exists():
        raise SettingsError(
            f'a folder that does not exist yet was wanted, {str(out)!r} does; remove it or name another'
        )
    model, tokenizer = _read(file, dtype)
    if not tokenizer.chat_template:
        raise SettingsError(f'a model with a chat template was wanted, {str(file)!r} has none; take one made to chat')
    # What is written is not quantised any more, and transformers writes nothing that says it is.
    model.hf_quantizer = None
    if hasattr(model.config, 'quantization_config'):
        del model.config.quantization_config
    unfinished = out.with_name(out.name + '.part')
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.replace(out)
    return sum(path.stat().st_size for path in out.glob('*.safetensors'))


def _read(file: pathlib.Path, dtype: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=getattr(torch, dtype))
    except ImportError as error:
        raise SettingsError(
            f'GGUF files need the library gguf, which cannot be imported ({_line(error)}); pip install gguf'
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise SettingsError(
            f'a GGUF file of a model that transformers knows was wanted, {str(file)!r}: {_line(error)}'
        ) from error
    return model, tokenizer


def _line(error: BaseException) -> str:
    return ' '.join(str(error).split())


if __name__ == '__main__':
    sys.exit(main())
