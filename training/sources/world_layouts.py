"""Walks through layouts of one's own, and which layouts are left out."""

from __future__ import annotations

import collections
import itertools
import pathlib
from collections.abc import Iterator, Sequence

from embodied_r_ros.core.errors import InputError
from training.world.layouts import Layout, LayoutError, read_layout, walk_through
from training.world.scene import Walk

# A layout of which so many walks in a row gave no question is left out.
MOST_BARREN = 3


class LayoutWalks:
    """Walks through layouts, one layout after the other and over again, each walk with the next seed.

    Args:
        paths: files with layouts.
        first_seed: of the first walk.

    Attributes:
        layouts: those that are walked.
        left_out: the names of the others, by reason.

    Raises:
        InputError: no layout can be walked.
    """

    def __init__(self, paths: Sequence[pathlib.Path], first_seed: int) -> None:
        self.layouts: list[Layout] = []
        self.left_out: dict[str, list[str]] = {}
        self._first_seed = first_seed
        self._barren: collections.Counter[str] = collections.Counter()
        errors = []
        for path in paths:
            try:
                layout = read_layout(path)
                walk_through(layout, first_seed)
            except LayoutError as error:
                errors.append(error)
                self.left_out.setdefault(error.reason, []).append(path.stem)
            else:
                self.layouts.append(layout)
        if len(paths) == len(errors) == 1:
            raise errors[0]
        if not self.layouts:
            raise InputError(f'none of {len(paths)} layouts can be walked; the first: {errors[0]}')

    def __iter__(self) -> Iterator[Walk]:
        """Without end, unless no layout gives a question."""
        seeds = itertools.count(self._first_seed)
        while self.layouts:
            for layout in tuple(self.layouts):
                try:
                    yield walk_through(layout, next(seeds))
                except LayoutError:  # another seed finds one again
                    continue

    def note(self, walk: Walk, questions: int) -> None:
        """Take note of how many questions a walk gave."""
        name = walk.scene.layout
        self._barren[name] = 0 if questions else self._barren[name] + 1
        if self._barren[name] == MOST_BARREN:
            self.layouts = [layout for layout in self.layouts if layout.name != name]
            self.left_out.setdefault('no question', []).append(name)

    def report(self) -> str:
        """How many layouts are walked, and which are left out for what reason, in lines."""
        total = len(self.layouts) + sum(map(len, self.left_out.values()))
        lines = [f'{len(self.layouts)} of {total} layouts walked']
        lines += [f'left out, {reason}: {len(names)} ({", ".join(names)})' for reason, names in self.left_out.items()]
        return '\n'.join(lines)
