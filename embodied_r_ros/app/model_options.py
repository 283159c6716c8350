"""The command line's way to name models: a pair, and what is given over it. Every offline command takes the same."""

from __future__ import annotations

import argparse
import functools

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.eye_tags import LABELS_FILE, TagSettings
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.models import (
    EYES,
    PERCEIVERS,
    PROMPT_FORMATS,
    REASONERS,
    PerceptionModel,
    ReasonerModel,
    purposes,
    served,
)
from embodied_r_ros.core.settings import unknown_name


def add_models(parser: argparse.ArgumentParser) -> None:
    """Declare what names who looks and who thinks."""
    add = functools.partial(parser.add_argument, default='')
    pair = 'The models are those of this pair: a file, or a name in config/models (default %(default)s).'
    add('--models', default='embedded', metavar='YAML', help=pair)
    add(
        '--perception', choices=PERCEIVERS, help=f"This backend describes (default: the pair's). {purposes(PERCEIVERS)}"
    )
    eyes = f"These eyes measure what is in view; commas separate their names (default: the pair's). {purposes(EYES)}"
    add('--eyes', metavar='E', help=eyes)
    add('--vlm-url', metavar='U', help='The vision-language model is on this server.')
    add('--vlm-model', metavar='M', help='The server lists the model by this id (default: the only one).')
    labels = f"This YAML file names the AprilTags (default: {LABELS_FILE} beside the recording; '' for none)."
    add('--labels', default=None, metavar='F', help=labels)
    size = 'Tags have sides of this many metres; 0 means unknown (default %(default)s).'
    add('--tag-size', type=float, default=TagSettings().tag_size_m, metavar='M', help=size)
    add('--reasoner', choices=REASONERS, help=f"This backend reasons (default: the pair's). {purposes(REASONERS)}")
    add('--lm-url', metavar='U', help='The language model is on this server.')
    add('--lm-model', metavar='M', help='The server lists the model by this id (default: the only one).')
    add('--lm-folder', metavar='F', help='The weights are in this folder; numpy or transformers runs them.')
    add('--prompt-format', choices=PROMPT_FORMATS, help='Prompts have this format (default: as the model needs it).')


def perception(options: argparse.Namespace) -> PerceptionModel:
    """Who looks.

    Raises:
        SettingsError: the values do not go together, or the pair cannot be used.
    """
    servers = served(PERCEIVERS)
    if options.perception and options.perception not in servers and (options.vlm_url or options.vlm_model):
        raise SettingsError(
            f'--vlm-url and --vlm-model need --perception {" or ".join(servers)}, got {options.perception}; leave one '
            'of them out'
        )
    return backends.perception_model(
        backends.PerceptionBackend(
            models=options.models,
            backend=options.perception,
            eyes=options.eyes,
            url=options.vlm_url,
            model=options.vlm_model,
        )
    )


def reasoner(options: argparse.Namespace) -> ReasonerModel:
    """Who thinks; raises as `perception`."""
    if options.lm_url and options.reasoner and options.reasoner not in served(REASONERS):
        raise SettingsError(
            f'--lm-url needs --reasoner {" or ".join(served(REASONERS))}, got {options.reasoner}; leave one of them out'
        )
    if options.lm_model and options.reasoner and options.reasoner not in served(REASONERS):
        raise unknown_name('option', 'lm_model', ['lm_folder'], f' for --reasoner {options.reasoner}')
    return backends.reasoner_model(
        backends.ReasonerBackend(
            models=options.models,
            backend=options.reasoner,
            url=options.lm_url,
            model=options.lm_model,
            folder=options.lm_folder,
            prompt_format=options.prompt_format,
        )
    )
