"""The memory of observations: bounded, kept by (camera, session, index), handed out in the order of their stamps."""

from __future__ import annotations

import bisect
import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.moves import COLUMNS
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.words import telling_words

# A word that stands in more than this share of the observations tells none of them from the others.
COMMON_SHARE = 0.2
SAMPLE_SIZE = 128

_SortKey = tuple[int, int, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemorySettings(Settings):
    """How far back observations reach; the same for the node that writes them and the node that keeps them."""

    memory_observations: int = setting(
        2000,
        'At most this many observations are kept, also for a node that starts late; the oldest is dropped.',
        within=(1, 1000000),
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
        session = self._sessions.setdefault(observation.session, _Session())
        is_new = session.put(observation)
        self._size += is_new
        if self._size > self.max_observations:
            self._drop_oldest()
        return is_new

    def window(self, session: int | None = None, start_ns: int | None = None, end_ns: int | None = None) -> Window:
        """The observations of one session whose stamps lie in [start_ns, end_ns], oldest first.

        Args:
            session: the latest one unless given; windows never cross sessions.
            start_ns, end_ns: ROS time, both inclusive; open where None.
        """
        if session is None:
            session = self.latest_session
        held = self._sessions.get(session) if session is not None else None
        return held.between(start_ns, end_ns) if held is not None else Window()

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
    """The observations of one session: by camera and index, and sorted by (stamp, index, camera).

    Their motions and words are laid out as they come, so that no question waits for it.

    Attributes:
        keys: (stamp, index, camera) of `ordered`.
        moves: (capacity, COLUMNS), a row of `moves.summary` for each of `ordered`.
        sharing: the sorted keys of the observations that hold a word.
        version: counts the changes.
    """

    def __init__(self) -> None:
        self.keys: list[_SortKey] = []
        self.ordered: list[Observation] = []
        self.moves = np.zeros((256, COLUMNS))
        self.sharing: dict[str, list[_SortKey]] = {}
        self.version = 0
        self._stamps: dict[tuple[int, str], int] = {}

    def put(self, observation: Observation) -> bool:
        frame = (observation.index, observation.camera)
        stamp_ns = self._stamps.get(frame)
        if stamp_ns is not None:
            self._remove(bisect.bisect_left(self.keys, (stamp_ns, *frame)))
        key = (observation.stamp_ns, *frame)
        place, count = bisect.bisect_left(self.keys, key), len(self.keys)
        if count == len(self.moves):
            self.moves = np.concatenate([self.moves, np.zeros_like(self.moves)])
        self.moves[place + 1 : count + 1] = self.moves[place:count]
        self.moves[place] = np.frombuffer(observation.move_summary)
        for word in observation.telling_words:
            bisect.insort(self.sharing.setdefault(word, []), key)
        self.keys.insert(place, key)
        self.ordered.insert(place, observation)
        self._stamps[frame] = observation.stamp_ns
        self.version += 1
        return stamp_ns is None

    def between(self, start_ns: int | None, end_ns: int | None) -> Window:
        first = 0 if start_ns is None else bisect.bisect_left(self.keys, (start_ns, -1, ''))
        last = len(self.keys) if end_ns is None else bisect.bisect_left(self.keys, (end_ns + 1, -1, ''))
        return Window(self.ordered[first:last], _Layout(self, first, max(first, last)))

    def drop_oldest(self) -> None:
        del self._stamps[self.keys[0][1:]]
        self._remove(0)

    def _remove(self, place: int) -> None:
        key, count = self.keys[place], len(self.keys)
        for word in self.ordered[place].telling_words:
            keys = self.sharing[word]
            del keys[bisect.bisect_left(keys, key)]
            if not keys:
                del self.sharing[word]
        self.moves[place : count - 1] = self.moves[place + 1 : count]
        del self.keys[place], self.ordered[place]
        self.version += 1


class _Layout:
    """Motions and words of a part of a session, as long as the session stays as it is."""

    def __init__(self, session: _Session, first: int, last: int) -> None:
        self._session, self._first, self._last = session, first, last
        self._version = session.version

    @property
    def holds(self) -> bool:
        return self._session.version == self._version

    def moves(self) -> NDArray[np.float64]:
        return self._session.moves[self._first : self._last]

    def places(self, word: str) -> list[int]:
        session = self._session
        found = (bisect.bisect_left(session.keys, key) for key in session.sharing.get(word, ()))
        return [place - self._first for place in found if self._first <= place < self._last]


class Window(list[Observation]):
    """Observations of one session, oldest first. What the memory has laid out of them is read at once.

    Args:
        observations: as the memory holds them, but for those at the places in `own`.
    """

    def __init__(
        self, observations: Iterable[Observation] = (), layout: _Layout | None = None, own: Iterable[int] = ()
    ) -> None:
        super().__init__(observations)
        self._layout, self._own = layout, frozenset(own)

    def changed(self, observations: Mapping[int, Observation]) -> Window:
        """The window with others at these places; the place after the last one adds one."""
        window = Window(self, self._layout, self._own | set(observations))
        for place, observation in sorted(observations.items()):
            window[place : place + 1] = [observation]
        return window

    def move_table(self) -> NDArray[np.float64]:
        """(n, COLUMNS), the row of `moves.summary` for each observation."""
        if self._layout is None or not self._layout.holds:
            return move_table(list(self))
        table = self._layout.moves()
        if not self._own:
            return table
        table = np.concatenate([table, np.zeros((len(self) - len(table), COLUMNS))])
        for place in self._own:
            table[place] = np.frombuffer(self[place].move_summary)
        return table

    def places_sharing(self, words: frozenset[str]) -> list[int]:
        """The places, ascending, of the observations that hold one of the words."""
        if self._layout is None or not self._layout.holds:
            return _places_sharing(list(self), words)
        places = {place for word in words for place in self._layout.places(word)} - self._own
        places.update(place for place in self._own if not words.isdisjoint(self[place].telling_words))
        return sorted(places)


def move_table(observations: Sequence[Observation]) -> NDArray[np.float64]:
    """(n, COLUMNS), the row of `moves.summary` for each observation."""
    if isinstance(observations, Window):
        return observations.move_table()
    return np.frombuffer(b''.join([seen.move_summary for seen in observations])).reshape(-1, COLUMNS)


def _places_sharing(observations: Sequence[Observation], words: frozenset[str]) -> list[int]:
    if isinstance(observations, Window):
        return observations.places_sharing(words)
    return [place for place, seen in enumerate(observations) if not words.isdisjoint(seen.telling_words)]


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
    shared = {place: telling & observations[place].telling_words for place in _places_sharing(observations, telling)}
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
