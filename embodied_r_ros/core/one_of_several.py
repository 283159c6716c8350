"""'The chair' where several chairs were seen: the one nearest to the robot is meant, and the thought says so."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from embodied_r_ros.core.coarse import CoarseLog, polar

_NUMBERED = re.compile(r'(.+) \d{1,4}')


def nearest_of_each(log: CoarseLog) -> dict[str, tuple[str, int]]:
    """For each name that several things bear: the numbered name of the one nearest to the robot, and how many."""
    seen, poses = log.where_seen(), log.poses()
    now = poses[-1]
    kinds: dict[str, list[tuple[float, str]]] = {}
    for name, (step, sighting) in seen.items():
        numbered = _NUMBERED.fullmatch(name)
        if numbered:
            stood = poses[step]
            right, ahead = polar(stood.heading + sighting.bearing, sighting.cells)
            off = math.dist((stood.right + right, stood.ahead + ahead), (now.right, now.ahead))
            kinds.setdefault(numbered[1], []).append((off, name))
    return {base: (min(things)[1], len(things)) for base, things in kinds.items() if len(things) > 1}


def meant(texts: Sequence[str], log: CoarseLog) -> tuple[list[str], str]:
    """The texts with the nearest one named where several are meant, and a sentence that says so ('' for none)."""
    nearest = nearest_of_each(log)
    if not nearest:
        return list(texts), ''
    # The longest first: a 'chair lift' is no chair.
    names = sorted({*log.where_seen(), *nearest}, key=len, reverse=True)
    mention = re.compile(rf'(?<![\w-])(?:{"|".join(map(re.escape, names))})(?! \d)(?![\w-])', re.IGNORECASE)
    found = set()

    def named(match: re.Match[str]) -> str:
        base = match[0].lower()
        if base not in nearest:
            return match[0]
        found.add(base)
        return nearest[base][0]

    texts = [mention.sub(named, text) for text in texts]
    notes = (
        f'{base} means {name}, the nearest of {count}; ' for base, (name, count) in nearest.items() if base in found
    )
    return texts, ''.join(notes)
