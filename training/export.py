"""Write a trained model as a folder that `vllm serve`, transformers and the robot's numpy reasoner load, with its card.

python -m training.export --model out/grpo --scores out/scores.json --out out/reasoner

Low-rank adapters are merged into the model that they were trained on. Weights may be averaged with those of the model
that training went on from: most of what was won is kept, and most of what was lost elsewhere comes back (Wortsman et
al., Robust fine-tuning of zero-shot models, 2022). The scores are those of training.evaluate --json.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from embodied_r_ros.core.errors import EmbodiedRError, SettingsError
from training.evaluate import percent
from training.model_folder import load_model, load_tokenizer, save_tokenizer

# In training.json these are paths; their last part says enough, and tells nothing about the machine.
PATHS = ('model', 'samples', 'judge', 'init', 'out', 'averaged_with')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.export', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--model', type=pathlib.Path, required=True, help='Export the trained model in this folder.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write to this folder, which must not exist.')
    parser.add_argument('--scores', type=pathlib.Path, help='Tell the scores in this file, JSON of training.evaluate.')
    parser.add_argument(
        '--average-with', type=pathlib.Path, metavar='FOLDER', help='Average the weights with the model in this folder.'
    )
    parser.add_argument('--share', type=float, default=0.5, help='Give this share to --model (default: %(default)s).')
    options = parser.parse_args(arguments)
    try:
        size = export(options.model, options.out, options.scores, options.average_with, options.share)
    except EmbodiedRError as error:
        print(f'training.export: {error}', file=sys.stderr)
        return 2
    print(f'{options.out}: {size / 1e6:.1f} MB of weights')
    return 0


def export(
    model: pathlib.Path,
    out: pathlib.Path,
    scores: pathlib.Path | None = None,
    average_with: pathlib.Path | None = None,
    share: float = 0.5,
) -> int:
    """Write the folder, by way of another one so that it is never half written; returns the bytes of its weights.

    Raises:
        SettingsError: there is no model, the folder exists, the scores cannot be read, or the models do not average.
    """
    if out.exists():
        raise SettingsError(
            f'a folder that does not exist yet was wanted, {str(out)!r} does; remove it or name another'
        )
    told = read_json(scores) if scores else {}
    made_from = read_json(model / 'training.json') if (model / 'training.json').exists() else {}
    unfinished = out.with_name(out.name + '.part')
    shutil.rmtree(unfinished, ignore_errors=True)
    whole = merged(model)
    if average_with:
        average(whole, merged(average_with), share)
        made_from |= {'averaged_with': str(average_with), 'share': share}
    whole.config.use_cache = True  # trainers turn it off
    whole.save_pretrained(unfinished)
    save_tokenizer(load_tokenizer(model), unfinished)
    if made_from:
        (unfinished / 'training.json').write_text(json.dumps(made_from, indent=2) + '\n', encoding='utf-8')
    model_card = card(out.name, made_from, told, (unfinished / 'tokenizer').is_dir())
    (unfinished / 'README.md').write_text(model_card, encoding='utf-8')
    unfinished.replace(out)
    return sum(path.stat().st_size for path in out.glob('*.safetensors'))


def merged(folder: pathlib.Path) -> Any:
    """The model of a folder in the type of its weights, with the adapters in it where the folder holds adapters.

    Raises:
        SettingsError: there is no model, or the one that the adapters belong to is gone.
    """
    if not (folder / 'adapter_config.json').exists():
        return load_model(folder, 'auto')
    try:
        from peft import PeftModel
    except ImportError as error:
        raise SettingsError(
            f'{str(folder)!r} holds adapters, and peft cannot be imported ({error}); install it'
        ) from error
    base = pathlib.Path(str(read_json(folder / 'adapter_config.json').get('base_model_name_or_path')))
    return PeftModel.from_pretrained(load_model(base, 'auto'), str(folder)).merge_and_unload()


def average(model: torch.nn.Module, other: torch.nn.Module, share: float) -> None:
    """Move the weights of a model towards those of another one, of which they take up 1 - `share`.

    Raises:
        SettingsError: the share is not between 0 and 1, or the models differ in shape.
    """
    if not 0.0 < share < 1.0:
        raise SettingsError(f'--share must be between 0 and 1, got {share}')
    mine, theirs = dict(model.named_parameters()), dict(other.named_parameters())
    shapes = [{name: tuple(weight.shape) for name, weight in weights.items()} for weights in (mine, theirs)]
    if shapes[0] != shapes[1]:
        odd = sorted(dict(shapes[0].items() ^ shapes[1].items()))
        raise SettingsError(
            f'models to average must have the same weights, these differ in {len(odd)}, such as {odd[0]}'
        )
    with torch.no_grad():
        for name, weight in mine.items():
            weight.copy_(torch.lerp(theirs[name].float(), weight.float(), share))


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        SettingsError: the file cannot be read, or holds none.
    """
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise SettingsError(f'a file of JSON was wanted, {str(path)!r} cannot be read: {error}') from error
    if not isinstance(found, dict):
        raise SettingsError(f'a JSON object was wanted in {str(path)!r}, got {type(found).__name__}')
    return found


def card(name: str, made_from: Mapping[str, Any], scores: Mapping[str, Any], own_tokenizer: bool) -> str:
    """The model card, in Markdown.

    Args:
        name: of the model.
        made_from: the content of training.json; empty where it is not known.
        scores: what training.evaluate reports; empty where it was not asked.
        own_tokenizer: whether servers are to be pointed to the sub-folder `tokenizer`.
    """
    serve = f'vllm serve {name}' + (f' --tokenizer {name}/tokenizer' if own_tokenizer else '')
    parts = [
        '---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [embodied-r, spatial-reasoning]\n---',
        f'# {name}\n\nThinks about what a moving agent has observed, in words, and answers a spatial question.',
        f'## Use\n\n    {serve}\n    python -m training.evaluate --samples SAMPLES --model {name}',
        '## Made from\n\n' + (made_table(made_from) if made_from else 'Not written down where it was trained.'),
        '## Scores\n\n' + (score_table(scores) if scores else 'Not measured.'),
    ]
    return '\n\n'.join(parts) + '\n'


def made_table(made_from: Mapping[str, Any]) -> str:
    """Settings, data, seed and commit."""
    rows = ['| | |', '|---|---|']
    for name, value in made_from.items():
        if value not in ('', None):
            shown = pathlib.Path(str(value)).name if name in PATHS else value
            rows.append(f'| {name} | `{shown}` |')
    return '\n'.join(rows)


def score_table(scores: Mapping[str, Any]) -> str:
    """Accuracy in all and per task, beside chance and the question-only baseline."""
    rows = ['| task | questions | accuracy | 95 % interval | chance | question only |', '|---|---|---|---|---|---|']
    for task, entry in [*scores.get('per_task', {}).items(), ('all', scores)]:
        try:
            low, high = entry['interval']
            rows.append(
                f'| {task} | {entry["questions"]} | {entry["accuracy"]:.1%} | {low:.1%} to {high:.1%} | '
                f'{entry["chance"]:.1%} | {percent(entry["question_only"])} |'
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f'scores as training.evaluate --json reports them were wanted, those of {task!r} are {entry!r}'
            ) from error
    also = {'mean over tasks': scores.get('macro'), 'consistency': scores.get('consistency')}
    told = [f'{name} {value:.1%}' for name, value in also.items() if value is not None]
    return '\n'.join(rows) + ('\n\n' + ', '.join(told).capitalize() + '.' if told else '')


if __name__ == '__main__':
    sys.exit(main())
