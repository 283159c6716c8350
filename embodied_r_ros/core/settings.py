"""Settings are declared once: a frozen keyword-only dataclass whose fields carry default, unit, bounds and help.

@dataclasses.dataclass(frozen=True, kw_only=True)
class BufferSettings(Settings):
    buffer_s: float = setting(10.0, 'The node keeps frames for this long.', unit='s', within=(0.1, 600.0))
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import functools
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from embodied_r_ros.core.errors import SettingsError

Kind = TypeVar('Kind')

# Old name of a setting -> its names today; which of them is meant depends on where the old one stands.
RENAMED = {
    'present_motion': ('latest_motion',),
    'least_confidence': ('min_confidence',),
    'lm_model': ('lm_folder',),
    'concurrency': ('max_concurrent_descriptions', 'max_concurrent_requests'),
}


def setting(
    default: Any,
    help: str,  # noqa: A002 - the word that argparse and ROS descriptors use
    *,
    unit: str = '',
    within: tuple[float | None, float | None] = (None, None),
    choices: Collection[str] = (),
) -> Any:
    """Declare one field of a settings dataclass: its default, what it is for, and what it may be.

    Args:
        default: allowed in any case.
        help: whole plain sentences.
        unit: of a number.
        within: least and greatest value of a number; None is no bound.
        choices: allowed values. A dict, such as a registry of backends, allows the keys that it has at the time.
    """
    metadata = {'help': help, 'unit': unit, 'within': within, 'choices': choices}
    return dataclasses.field(default=default, metadata=metadata)


def fields(settings: Any) -> list[tuple[str, type, dataclasses.Field[Any]]]:
    """Name, type (bool, int, float, str, settings class) and field of each setting of a settings class or instance."""
    cls = settings if isinstance(settings, type) else type(settings)
    hints = _hints(cls)
    return [(field.name, hints[field.name], field) for field in dataclasses.fields(cls)]


@functools.cache  # working them out takes longer than all the checks
def _hints(cls: type) -> dict[str, type]:
    return typing.get_type_hints(cls)


class Settings:
    """Base of settings classes, which holds each field against its type, bounds and choices.

    Raises:
        SettingsError: naming the field, what it may be and what came.
    """

    def __post_init__(self) -> None:
        for name, kind, field in fields(self):
            value, rule = getattr(self, name), field.metadata
            if isinstance(value, int) and not isinstance(value, bool) and kind is float:
                try:
                    value = float(value)
                except OverflowError:
                    raise SettingsError(f'{name} must be a number that a float can hold') from None
                object.__setattr__(self, name, value)
            if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
                raise SettingsError(f'{name} must be of type {kind.__name__}, got {value!r}')
            if kind in (int, float):
                low, high = rule['within']
                if not ((low is None or value >= low) and (high is None or value <= high)):
                    unit = f' {rule["unit"]}' if rule['unit'] else ''
                    raise SettingsError(f'{name} must lie in {bounds(field)}{unit}, got {value!r}')
            choices = rule.get('choices')  # a field that holds settings of its own has no rule
            if choices and value != field.default and value not in choices:
                raise SettingsError(f'{name} must be one of {", ".join(choices)}, got {value!r}')


def bounds(field: dataclasses.Field[Any]) -> str:
    """The allowed range of a numeric field as text: '[0.1, 600]', '>= 0' or ''."""
    low, high = field.metadata['within']
    if low is None and high is None:
        return ''
    if high is None:
        return f'>= {low:g}'
    if low is None:
        return f'<= {high:g}'
    return f'[{low:g}, {high:g}]'


def keys(cls: type[Any]) -> Iterator[tuple[str, type, dataclasses.Field[Any]]]:
    """As `fields`, with the fields of a settings class in its place: what stands side by side in a YAML file."""
    for name, kind, field in fields(cls):
        if dataclasses.is_dataclass(kind):
            yield from keys(kind)
        else:
            yield name, kind, field


def from_mapping(cls: type[Kind], values: Mapping[str, Any]) -> Kind:
    """Build settings from a mapping of `keys`, such as a block of a YAML file.

    Raises:
        SettingsError: a name is unknown, or a value is not allowed.
    """
    known = [name for name, _, _ in keys(cls)]
    for name in values:
        if name not in known:
            raise unknown_name('key', name, known)
    parts = {name: kind for name, kind, _ in fields(cls) if dataclasses.is_dataclass(kind)}
    of_parts = {
        name: from_mapping(kind, {key: values[key] for key, _, _ in keys(kind) if key in values})
        for name, kind in parts.items()
    }
    own = {name: values[name] for name, _, _ in fields(cls) if name in values}
    return cls(**own, **of_parts)


def unknown_name(what: str, name: str, known: Iterable[str], where: str = '') -> SettingsError:
    """The error for a name that is not known: it says the name of today, the likeliest meant, or all that are known.

    Args:
        what: kind of the name, such as 'parameter'.
        name: as it was given.
        known: names that are allowed there.
        where: place that wants it, such as ' for /camera_node'.
    """
    names = list(known)
    today = [new for new in RENAMED.get(name, ()) if new in names]
    if today:
        return SettingsError(f'{what} {name!r} is now called {today[0]!r}; rename it{where}')
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f'did you mean {close[0]!r}?' if close else f'known are: {", ".join(names)}'
    return SettingsError(f'unknown {what} {name!r}{where}; {hint}')


def add_arguments(parser: argparse.ArgumentParser, cls: type[Any]) -> None:
    """Add one command-line option per setting; `from_arguments` reads them back."""
    for name, kind, field in fields(cls):
        rule = field.metadata
        notes = [rule['unit'], bounds(field), f'default {field.default!r}']
        text = f'{rule["help"]} ({", ".join(note for note in notes if note)})'
        how: dict[str, Any] = {'type': kind, 'choices': rule['choices'] or None}
        if kind is bool:
            how = {'action': argparse.BooleanOptionalAction}
        parser.add_argument('--' + name.replace('_', '-'), dest=name, default=field.default, help=text, **how)


def from_arguments(cls: type[Kind], arguments: argparse.Namespace) -> Kind:
    """Settings from what `add_arguments` put on the command line."""
    return cls(**{name: getattr(arguments, name) for name, _, _ in fields(cls)})


def table(cls: type[Any]) -> str:
    """The settings as a Markdown table, for docs/parameters.md."""
    rows = ['| setting | default | allowed | what it is for |', '|---|---|---|---|']
    for name, _, field in keys(cls):
        rule = field.metadata
        allowed = ', '.join(rule['choices']) or ' '.join(part for part in (bounds(field), rule['unit']) if part)
        rows.append(f'| `{name}` | `{field.default!r}` | {allowed} | {rule["help"]} |')
    return '\n'.join(rows)
