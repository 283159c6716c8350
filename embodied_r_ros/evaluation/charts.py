"""Charts of a report, as SVG to be put into HTML."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.text import clean

RIGHT, CHANCE, INK = '#1b6e4b', '#8a4b00', '#1f2933'
LONGEST_NAME = 40


def accuracy_chart(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """A bar per row, its interval as a whisker, chance as a tick.

    Args:
        rows: name, and an entry with accuracy, interval and chance.

    Raises:
        SettingsError: matplotlib is missing.
    """
    figure = _figure(6.4, 0.9 + 0.34 * len(rows))
    axes = figure.add_subplot()
    places = list(range(len(rows)))
    accuracies = [entry['accuracy'] for _, entry in rows]
    axes.barh(places, accuracies, height=0.55, color=RIGHT, alpha=0.75)
    for place, (_, entry) in zip(places, rows):
        axes.plot(entry['interval'], [place, place], color=INK, linewidth=1.6, solid_capstyle='butt')
        axes.plot([entry['chance']] * 2, [place - 0.38, place + 0.38], color=CHANCE, linewidth=2.0)
        axes.text(1.02, place, f'{entry["accuracy"]:.0%}', va='center', fontsize=9)
    axes.set_yticks(places, [_name(name) for name, _ in rows], fontsize=9)
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ['0 %', '25 %', '50 %', '75 %', '100 %'], fontsize=9)
    axes.set_xlabel('right answers; line: 95 % interval; tick: chance', fontsize=9)
    axes.invert_yaxis()
    return _svg(figure, axes, 'accuracy')


def latency_chart(seconds: Sequence[float]) -> str:
    """A histogram of the seconds that answers took."""
    figure = _figure(6.4, 2.4)
    axes = figure.add_subplot()
    axes.hist(seconds, bins=20, color='#3d5a80')
    axes.set_xlabel('seconds from question to answer', fontsize=9)
    axes.set_ylabel('answers', fontsize=9)
    axes.tick_params(labelsize=9)
    axes.yaxis.get_major_locator().set_params(integer=True)
    return _svg(figure, axes, 'latency')


def figure_class() -> Any:
    """The class that charts are drawn with.

    Raises:
        SettingsError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingsError(f'a report needs matplotlib, got {error}; apt install python3-matplotlib') from error
    return Figure


def _figure(width_in: float, height_in: float) -> Any:
    return figure_class()(figsize=(width_in, height_in), layout='constrained')


def _svg(figure: Any, axes: Any, salt: str) -> str:
    """The drawing, from its root element on: the same for the same numbers, text as text."""
    from matplotlib import rc_context

    axes.spines[['top', 'right']].set_visible(False)
    file = io.StringIO()
    # Names in any script have no glyph in the font that the layout is measured with; the reader's browser has.
    with warnings.catch_warnings(), rc_context({'svg.fonttype': 'none', 'svg.hashsalt': salt}):
        warnings.simplefilter('ignore')
        figure.savefig(file, format='svg', transparent=True, metadata={'Date': None, 'Creator': None})
    text = file.getvalue()
    return text[text.index('<svg') :]


def _name(name: str) -> str:
    """A name as matplotlib draws it: without formulas."""
    short = ' '.join(clean(name).split())
    short = short if len(short) <= LONGEST_NAME else f'{short[: LONGEST_NAME - 1]}…'
    return short.replace('$', r'\$')
