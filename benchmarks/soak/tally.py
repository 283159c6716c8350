"""What a soak comes to: the questions by their ends, recoveries, the growth of each node, and the marks."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from embodied_r_ros.core.records import ErrorCode
from embodied_r_ros.core.statistics import percentile

RECOVERY_S = 5.0
RESTART_S = 8.0
GROWTH_MB = 4.0
# Of a node that was measured for less, nobody can tell whether it grows or its stores are filling.
JUDGED_S = 240.0
MORE_THREADS, MORE_DESCRIPTORS = 2.0, 8.0
# After a node is active again its askers still have to find it.
FIND_S = 1.0
# What no answer says: the action server declined the goal, or the asker itself broke.
REJECTED, RAISED = 'REJECTED', 'RAISED'


@dataclasses.dataclass(kw_only=True)
class Asked:
    """One question, times by the steady clock.

    Attributes:
        way: 'service', 'action', 'client' or 'client_progress'.
        ended_s: when its result came; None while there is none.
        code: name of the error code, REJECTED or RAISED.
        words: its error message.
        hollow: OK, but without an answer.
    """

    way: str
    at_s: float
    deadline_s: float
    ended_s: float | None = None
    code: str = ''
    words: str = ''
    hollow: bool = False

    @property
    def late_s(self) -> float:
        """From the deadline to the result, negative before it."""
        return float('inf') if self.ended_s is None else self.ended_s - self.at_s - self.deadline_s

    def end(self, code: str, words: str, answer: str) -> None:
        """Note the result; the first one counts."""
        if self.ended_s is None:
            self.ended_s = time.monotonic()
            self.code, self.words = code, words
            self.hollow = code == ErrorCode.OK.name and not answer


@dataclasses.dataclass(kw_only=True)
class Episode:
    """One fault with what it was about, times by the steady clock.

    Attributes:
        server: it is a fault of a model server, after which all must be back within RECOVERY_S; else RESTART_S holds.
        to_answer_s, to_description_s: from its end to the first OK answer and the first new description; None where
            the fault does not touch that; infinite where it did not come.
    """

    name: str
    begun_s: float
    ended_s: float = math.inf
    server: bool = False
    to_answer_s: float | None = None
    to_description_s: float | None = None

    @property
    def recovery_s(self) -> float:
        """Until all that the fault touches was back."""
        return max((span for span in (self.to_answer_s, self.to_description_s) if span is not None), default=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """What a node used at a moment."""

    at_s: float
    resident_mb: float
    threads: int
    descriptors: int


@dataclasses.dataclass(kw_only=True)
class Soak:
    """All that a soak noted.

    Attributes:
        outages: from the kill of the reasoning node until it is active again.
        usage: of each node, from the moment on from which it must not grow.
        deaths: sentences about nodes that ended by themselves or did not do what they were told.
    """

    asked: list[Asked] = dataclasses.field(default_factory=list)
    outages: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    episodes: list[Episode] = dataclasses.field(default_factory=list)
    usage: dict[str, list[Usage]] = dataclasses.field(default_factory=dict)
    deaths: list[str] = dataclasses.field(default_factory=list)

    def counted(self) -> list[Asked]:
        """The questions that had somebody to answer them: all but service and action calls to a killed node.

        What SpatialClient promises holds for a node that was killed too.
        """
        return [asked for asked in self.asked if asked.way.startswith('client') or not self._in_outage(asked)]

    def _in_outage(self, asked: Asked) -> bool:
        end_s = asked.at_s + asked.deadline_s if asked.ended_s is None else asked.ended_s
        return any(asked.at_s <= end + FIND_S and end_s >= begin for begin, end in self.outages)

    def figures(self) -> dict[str, Any]:
        """What the last line of the output says."""
        counted = self.counted()
        answered = sum(asked.code == ErrorCode.OK.name and not asked.hollow for asked in counted)
        coded = sum(_is_coded(asked) for asked in counted)
        worst_s: dict[str, float] = {}
        for episode in self.episodes:
            worst_s[episode.name] = max(worst_s.get(episode.name, 0.0), episode.recovery_s)
        return {
            'asked': len(counted),
            'answered': answered,
            'coded': coded,
            'unanswered': len(counted) - answered - coded,
            'worst_late_s': _finite(worst_late_s(counted)),
            'recoveries': {name: _finite(span_s) for name, span_s in sorted(worst_s.items())},
            'growth_mb': _finite(max((growth(self.usage[name], 'resident_mb') for name in self.usage), default=0.0)),
            'excluded': len(self.asked) - len(counted),
        }

    def misses(self, late_s: float) -> list[str]:
        """A sentence for each mark that was missed, none where all is well.

        Args:
            late_s: how late a result may be.
        """
        figures, counted = self.figures(), self.counted()
        said = list(self.deaths)
        if not figures['answered']:
            said.append('no question got an answer')
        if figures['unanswered']:
            ways = Counter(f'{asked.way} {asked.code or "nothing"}' for asked in counted if not _has_ended(asked))
            said.append(f'{figures["unanswered"]} questions ended without an answer or a code: {_listed(ways)}')
        late = [asked for asked in counted if asked.ended_s is not None and asked.late_s > late_s]
        if late:
            worst = max(late, key=lambda asked: asked.late_s)
            ways = Counter(f'{asked.way} {asked.code}' for asked in late)
            said.append(
                f'{len(late)} results came more than {late_s} s after the deadline, the worst {worst.late_s:.2f} s: '
                f'{_listed(ways)}; it said {worst.words!r}'
            )
        misled = sum(asked.code == ErrorCode.WINDOW_EMPTY.name for asked in counted)
        if misled:
            said.append(f'{misled} questions about a minute or more of sight were told {ErrorCode.WINDOW_EMPTY.name}')
        for episode in self.episodes:
            if episode.recovery_s > (RECOVERY_S if episode.server else RESTART_S):
                said.append(
                    f'{episode.name} was over, and the first answer came after {_span(episode.to_answer_s)}, the first '
                    f'description after {_span(episode.to_description_s)}'
                )
        for name, usage in self.usage.items():
            said += _grown(name, usage)
        return said

    def table(self) -> list[str]:
        """Lines about each way of asking, each fault and each node."""
        lines = [f'{"way":16s} {"asked":>6s} {"late, s":>8s}  codes']
        counted = self.counted()
        for way in sorted({asked.way for asked in self.asked}):
            lines.append(f'{way:16s} {_ends([asked for asked in counted if asked.way == way])}')
        lines.append(
            f'{"fault":24s} {"times":>5s} {"answer, s":>9s} {"descr., s":>9s} {"asked":>6s} {"late, s":>8s}  codes'
        )
        for name in sorted({episode.name for episode in self.episodes}):
            lines.append(self._row(name))
        lines.append(
            f'{"node":24s} {"MB":>7s} {"growth":>7s} {"threads":>8s} {"growth":>7s} {"descr.":>8s} {"growth":>7s}'
        )
        for name, usage in self.usage.items():
            cells = (
                f'{percentile((getattr(used, what) for used in usage), 50):8.1f} {growth(usage, what):+7.1f}'
                for what in ('resident_mb', 'threads', 'descriptors')
            )
            lines.append(f'{name:23s} {" ".join(cells)}')
        return lines

    def _row(self, name: str) -> str:
        episodes = [episode for episode in self.episodes if episode.name == name]
        asked = [
            asked
            for asked in self.counted()
            if any(episode.begun_s <= asked.at_s <= episode.ended_s for episode in episodes)
        ]
        spans = (
            _span(max((s for s in (getattr(episode, what) for episode in episodes) if s is not None), default=None))
            for what in ('to_answer_s', 'to_description_s')
        )
        return f'{name:24s} {len(episodes):5d} {" ".join(f"{span:>9s}" for span in spans)} {_ends(asked)}'


def worst_late_s(counted: Iterable[Asked]) -> float:
    """The latest result of those that came; minus infinity where none came."""
    return max((asked.late_s for asked in counted if asked.ended_s is not None), default=-math.inf)


def growth(usage: Sequence[Usage], what: str) -> float:
    """How much more of `what` a node used in the last quarter of the time, or its last minute, than in the first.

    Medians are compared, so that a big reply under way at the end is not taken for growth.
    """
    if not usage:
        return 0.0
    begin_s, end_s = usage[0].at_s, usage[-1].at_s
    part_s = min(60.0, (end_s - begin_s) / 4)
    first = percentile((getattr(used, what) for used in usage if used.at_s <= begin_s + part_s), 50)
    last = percentile((getattr(used, what) for used in usage if used.at_s >= end_s - part_s), 50)
    return last - first


def _grown(name: str, usage: Sequence[Usage]) -> list[str]:
    if not usage or usage[-1].at_s - usage[0].at_s < JUDGED_S:
        return []
    limits = (('resident_mb', GROWTH_MB, 'MB'), ('threads', MORE_THREADS, 'threads'))
    limits += (('descriptors', MORE_DESCRIPTORS, 'file descriptors'),)
    return [
        f'{name} took {growth(usage, what):.1f} {unit} more at the end'
        for what, limit, unit in limits
        if growth(usage, what) > limit
    ]


def _has_ended(asked: Asked) -> bool:
    return asked.ended_s is not None and asked.code != RAISED and not asked.hollow


def _is_coded(asked: Asked) -> bool:
    return _has_ended(asked) and asked.code != ErrorCode.OK.name


def _ends(asked: Sequence[Asked]) -> str:
    codes = Counter(each.code or 'nothing' for each in asked)
    return f'{len(asked):6d} {worst_late_s(asked):8.2f}  {_listed(codes)}'


def _listed(counts: Counter[str]) -> str:
    return ', '.join(f'{count} {name}' for name, count in counts.most_common())


def _span(span_s: float | None) -> str:
    if span_s is None:
        return '-'
    return f'{span_s:.2f} s' if math.isfinite(span_s) else 'never'


def _finite(number: float) -> float | None:
    return round(number, 3) if math.isfinite(number) else None
