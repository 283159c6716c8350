"""Settings are declared once: checked against their bounds, built from mappings and command lines, told in a table."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.settings import (
    RENAMED,
    Settings,
    add_arguments,
    bounds,
    fields,
    from_arguments,
    from_mapping,
    keys,
    setting,
    table,
    unknown_name,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Oven(Settings):
    heat_c: float = setting(180.0, 'how hot it gets', unit='deg C', within=(50.0, 300.0))
    trays: int = setting(2, 'trays in it', within=(1, None))
    cold_c: float = setting(-5.0, 'how cold it may stand', within=(None, 0.0))
    mode: str = setting('fan', 'how it heats', choices=('fan', 'grill'))
    light: bool = setting(True, 'whether the light is on')
    label: str = setting('', 'what is written on it')


def test_the_defaults_are_allowed():
    assert Oven() == Oven(heat_c=180.0, trays=2, cold_c=-5.0, mode='fan', light=True, label='')


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'heat_c': 20.0}, r'heat_c must lie in \[50, 300\] deg C, got 20\.0'),
        ({'heat_c': 301}, r'heat_c must lie in \[50, 300\] deg C, got 301\.0'),
        ({'heat_c': float('nan')}, r'heat_c must lie in \[50, 300\] deg C, got nan'),
        ({'trays': 0}, 'trays must lie in >= 1, got 0'),
        ({'trays': 2.0}, r'trays must be of type int, got 2\.0'),
        ({'trays': True}, 'trays must be of type int, got True'),
        ({'cold_c': 0.5}, r'cold_c must lie in <= 0, got 0\.5'),
        ({'mode': 'steam'}, "mode must be one of fan, grill, got 'steam'"),
        ({'light': 1}, 'light must be of type bool, got 1'),
        ({'label': 3}, 'label must be of type str, got 3'),
        ({'heat_c': '180'}, "heat_c must be of type float, got '180'"),
    ],
    ids=[
        'too low', 'too high', 'not a number', 'below the least', 'not whole', 'a truth value for a number',
        'above the most', 'none of the choices', 'a number for a truth value', 'a number for text', 'text for a number',
    ],
)  # fmt: skip
def test_a_value_that_is_not_allowed_is_named_with_what_is(values, message):
    with pytest.raises(SettingsError, match=message):
        Oven(**values)


def test_a_whole_number_will_do_for_a_real_one():
    heat_c = Oven(heat_c=200).heat_c
    assert (heat_c, type(heat_c)) == (200.0, float)


def test_the_bounds_themselves_are_allowed():
    assert Oven(heat_c=50.0, trays=1, cold_c=0.0).heat_c == 50.0


def test_settings_are_built_from_a_mapping():
    assert from_mapping(Oven, {'heat_c': 60, 'light': False}) == Oven(heat_c=60.0, light=False)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('heat', "unknown key 'heat'; did you mean 'heat_c'"),
        ('xyz', "unknown key 'xyz'; known are: heat_c, trays, cold_c, mode, light, label"),
        (7, 'unknown key 7; known are: heat_c, '),
    ],
    ids=['misspelt', 'unlike any', 'no text'],
)
def test_an_unknown_name_is_told_with_the_likeliest_or_all_that_are_known(name, message):
    with pytest.raises(SettingsError, match=message):
        from_mapping(Oven, {name: 60})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kitchen(Settings):
    oven: Oven = dataclasses.field(default_factory=Oven)
    chairs: int = setting(4, 'So many chairs are in it.')


def test_the_keys_of_settings_inside_settings_stand_beside_the_others():
    assert from_mapping(Kitchen, {'trays': 3, 'chairs': 1}) == Kitchen(oven=Oven(trays=3), chairs=1)
    assert [name for name, _, _ in keys(Kitchen)] == [*(name for name, _, _ in fields(Oven)), 'chairs']
    with pytest.raises(SettingsError, match='trays must lie in >= 1, got 0'):
        from_mapping(Kitchen, {'trays': 0})


@pytest.mark.parametrize(
    ('old', 'known', 'new'),
    [(old, [new], new) for old, names in RENAMED.items() for new in names],
    ids=[f'{old}-{new}' for old, names in RENAMED.items() for new in names],
)
def test_an_old_name_is_told_with_its_name_of_today(old, known, new):
    error = unknown_name('parameter', old, ['other', *known], ' for /node')
    assert str(error) == f'parameter {old!r} is now called {new!r}; rename it for /node'


def test_an_old_name_where_its_new_one_does_not_belong_is_unknown():
    assert str(unknown_name('parameter', 'concurrency', ['path'])) == (
        "unknown parameter 'concurrency'; known are: path"
    )


COLOURS = {'red': 1}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Door(Settings):
    colour: str = setting('', "The door has this colour; '' takes that of the wall.", choices=COLOURS)


def test_choices_follow_a_registry_and_the_default_is_always_allowed(monkeypatch):
    assert Door().colour == ''
    with pytest.raises(SettingsError, match="colour must be one of red, got 'blue'"):
        Door(colour='blue')
    monkeypatch.setitem(COLOURS, 'blue', 2)
    assert Door(colour='blue').colour == 'blue'


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser, Oven)
    return from_arguments(Oven, parser.parse_args(words))


def test_settings_come_from_the_command_line():
    assert parsed() == Oven()
    assert parsed('--heat-c', '99.5', '--no-light', '--mode', 'grill') == Oven(heat_c=99.5, light=False, mode='grill')


def test_the_command_line_says_unit_bounds_and_default(capsys):
    with pytest.raises(SystemExit):
        parsed('--help')
    assert 'how hot it gets (deg C, [50, 300], default 180.0)' in ' '.join(capsys.readouterr().out.split())


def test_a_value_out_of_bounds_on_the_command_line_is_a_settings_error():
    with pytest.raises(SettingsError, match='trays must lie in >= 1, got 0'):
        parsed('--trays', '0')


def test_the_table_has_a_row_for_each_setting():
    rows = table(Oven).split('\n')
    assert len(rows) == 2 + len(fields(Oven))
    assert rows[2] == '| `heat_c` | `180.0` | [50, 300] deg C | how hot it gets |'
    assert rows[5] == "| `mode` | `'fan'` | fan, grill | how it heats |"
    assert rows[6] == '| `light` | `True` |  | whether the light is on |'


def test_fields_are_told_of_a_class_and_of_an_instance_alike():
    kinds = [('heat_c', float), ('trays', int), ('cold_c', float), ('mode', str), ('light', bool), ('label', str)]
    assert [(name, kind) for name, kind, _ in fields(Oven)] == kinds
    assert [(name, kind) for name, kind, _ in fields(Oven())] == kinds


def test_a_setting_without_bounds_has_none_to_tell():
    assert [bounds(field) for name, _, field in fields(Oven) if name in ('mode', 'trays')] == ['>= 1', '']
