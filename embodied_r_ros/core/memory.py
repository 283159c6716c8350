"""The memory of observations: bounded, kept by (camera, session, index), handed out in the order of their stamps."""

from __future__ import annotations

import bisect
import dataclasses
from collections import Counter
from collections.abc import Sequence

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.words import telling_words

# A word that stands in more than this share of the observations tells none of them from the others.
COMMON_SHARE = 0.2
SAMPLE_SIZE = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemorySettings(Settings):
    """How far back observations reach; the same for the node that writes them and the node that keeps them."""

    memory_observations: int = setting(
        2000, 'So many observations are kept, also for a node that starts late; the oldest goes.', within=(1, 1000000)
    )


class ObservationMemory:
    """What perception wrote, as far back as the bound reaches.

    Not locked: it belongs to one thread. When it is full, the observation with the oldest stamp of the oldest session
    goes, and `dropped` counts it.
    """

    def __init__(self, max_observations: int) -> None:
        if max_observations < 1:
            raise SettingsError(f'max_observations must be at least 1, got {max_observations!r}')
        self.max_observations = max_observations
        self.dropped = 0
        # Sessions stand in the order in which they were first heard of. Their numbers are stamps, and when simulated
        # time jumps back the newer session has the smaller one.
        self._sessions: dict[int, _Session] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def latest_session(self) -> int | None:
        """The session heard of last; None while there is none."""
        return next(reversed(self._sessions), None)

    def add(self, observation: Observation) -> bool:
        """Take in an observation, in any order; one with a known key replaces the older one.

        Returns:
            whether its key is new.
        """
        _ = observation.telling_words, observation.move_summary  # worked out now, so that no question waits for it
        session = self._sessions.setdefault(observation.session, _Session())
        is_new = session.put(observation)
        self._size += is_new
        if self._size > self.max_observations:
            self._drop_oldest()
        return is_new

    def window(
        self, session: int | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> list[Observation]:
        """The observations of one session whose stamps lie in [start_ns, end_ns], oldest first.

        Args:
            session: the latest one unless given; windows never cross sessions.
            start_ns, end_ns: ROS time, both inclusive; open where None.
        """
        if session is None:
            session = self.latest_session
        held = self._sessions.get(session) if session is not None else None
        return held.between(start_ns, end_ns) if held is not None else []

    def clear(self) -> None:
        """Forget everything."""
        self._sessions.clear()
        self._size = 0

    def _drop_oldest(self) -> None:
        number, session = next(iter(self._sessions.items()))
        session.drop_oldest()
        if not session.ordered:
            del self._sessions[number]
        self._size -= 1
        self.dropped += 1


class _Session:
    """The observations of one session: by camera and index, and sorted by (stamp, index, camera)."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, int, str]] = []
        self.ordered: list[Observation] = []
        self._stamps: dict[tuple[int, str], int] = {}

    def put(self, observation: Observation) -> bool:
        frame = (observation.index, observation.camera)
        stamp_ns = self._stamps.get(frame)
        if stamp_ns is not None:
            place = bisect.bisect_left(self.keys, (stamp_ns, *frame))
            del self.keys[place], self.ordered[place]
        key = (observation.stamp_ns, *frame)
        place = bisect.bisect_left(self.keys, key)
        self.keys.insert(place, key)
        self.ordered.insert(place, observation)
        self._stamps[frame] = observation.stamp_ns
        return stamp_ns is None

    def between(self, start_ns: int | None, end_ns: int | None) -> list[Observation]:
        first = 0 if start_ns is None else bisect.bisect_left(self.keys, (start_ns, -1, ''))
        last = len(self.keys) if end_ns is None else bisect.bisect_left(self.keys, (end_ns + 1, -1, ''))
        return self.ordered[first:last]

    def drop_oldest(self) -> None:
        del self._stamps[self.keys[0][1:]]
        del self.keys[0], self.ordered[0]


def select(observations: Sequence[Observation], question_text: str, n: int) -> list[int]:
    """Choose at most n observations, by their places, to put before the reasoner; training and robot choose alike.

    The first and the last are kept, then those that share a word with the question, then the rest spread evenly. Words
    that stand in most observations do not count; when more share a word than there is room for, the rarer words go
    first.

    Args:
        observations: a window, oldest first.
        question_text: the question and its choices.
        n: at least 1.

    Returns:
        positions of the chosen ones, ascending.
    """
    count = len(observations)
    if count <= n:
        return list(range(count))
    if n < 2:
        return [count - 1]
    kept = {0, count - 1}
    for places in _sharing(observations, telling_words(question_text)):
        kept.update(_spread([place for place in places if place not in kept], n - len(kept)))
    ranks = _spread(range(count - len(kept)), n - len(kept))
    kept.update([_free_place(rank, sorted(kept)) for rank in ranks])
    return sorted(kept)


def sharing(observations: Sequence[Observation], question_text: str, n: int) -> list[int]:
    """The places of at most n observations that share a telling word with the question; the rarest words go first.

    Args:
        observations: a window, oldest first.
        question_text: the question and its choices.

    Returns:
        positions, ascending; none where no word is shared.
    """
    kept: list[int] = []
    for places in _sharing(observations, telling_words(question_text)):
        kept += _spread(places, n - len(kept))
    return sorted(kept)


def _sharing(observations: Sequence[Observation], asked: frozenset[str]) -> list[list[int]]:
    """Positions of the observations that share a telling word, in groups, those with the rarest word first."""
    sample = _spread(range(len(observations)), SAMPLE_SIZE)
    seen = Counter(word for place in sample for word in asked & observations[place].telling_words)
    telling = frozenset(word for word in asked if seen[word] <= max(1.0, COMMON_SHARE * len(sample)))
    shared = {
        place: telling & seen_here.telling_words
        for place, seen_here in enumerate(observations)
        if not telling.isdisjoint(seen_here.telling_words)
    }
    counts = Counter(word for words in shared.values() for word in words)
    groups: dict[int, list[int]] = {}
    for place, words in shared.items():
        groups.setdefault(min(counts[word] for word in words), []).append(place)
    return [groups[rarity] for rarity in sorted(groups)]


def _free_place(rank: int, taken: Sequence[int]) -> int:
    """The rank-th place that is not taken, found without listing the free ones: a window may hold 36,000."""
    place = rank
    for other in taken:
        if other <= place:
            place += 1
    return place


def _spread(places: Sequence[int], n: int) -> list[int]:
    """At most n of the places, evenly spread."""
    if len(places) <= n:
        return list(places)
    return [places[(2 * step + 1) * len(places) // (2 * n)] for step in range(n)]
