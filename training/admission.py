"""Admission of judges: only one that follows thoughts, and nothing but thoughts, may say how consistent a model is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from embodied_r_ros.core.errors import InputError
from training.judge import Case, Judge

# What a judge has to reach before a figure of consistency means anything: how often it is right on true thoughts, how
# often it follows swapped ones, and how much more often than by chance it follows claims without evidence at most.
MIN_TRUE, MIN_SWAPPED, MAX_ABOVE_CHANCE = 0.98, 0.95, 0.10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """A thought whose end is known by program: a case, and the index of the choice that it leads to, or only claims."""

    case: Case
    leads_to: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trials:
    """What a judge is tried on.

    Attributes:
        true: worked thoughts.
        swapped: such thoughts with sides or numbers swapped, so that they lead elsewhere.
        unsupported: claims without evidence.
    """

    true: Sequence[Trial]
    swapped: Sequence[Trial]
    unsupported: Sequence[Trial]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Admission:
    """How often a judge went where thoughts lead, or only claim to; shares in [0, 1], a failure counts against it.

    Attributes:
        true, swapped, unsupported: the share that it followed of each kind.
        chance: the share of the unsupported claims that a judge follows who guesses among the choices.
        cases: of each kind.
    """

    true: float
    swapped: float
    unsupported: float
    chance: float
    cases: tuple[int, int, int]

    @property
    def admitted(self) -> bool:
        """Whether its judgements may be reported."""
        is_gullible = self.unsupported > self.chance + MAX_ABOVE_CHANCE + 1e-9
        return self.true >= MIN_TRUE and self.swapped >= MIN_SWAPPED and not is_gullible

    def __str__(self) -> str:
        true, swapped, unsupported = self.cases
        return (
            f'judge {"admitted" if self.admitted else "not admitted"}: right on {self.true:.1%} of {true} true '
            f'thoughts (at least {MIN_TRUE:.0%} wanted), followed {self.swapped:.1%} of {swapped} swapped ones (at '
            f'least {MIN_SWAPPED:.0%}) and {self.unsupported:.1%} of {unsupported} claims without evidence (at most '
            f'{self.chance + MAX_ABOVE_CHANCE:.1%}, chance is {self.chance:.1%})'
        )


def admit(judge: Judge, trials: Trials) -> Admission:
    """Try a judge on thoughts whose end is known.

    Raises:
        InputError: there is nothing to try it on.
        SettingsError: as `Judge.judge` says.
    """
    kinds = (trials.true, trials.swapped, trials.unsupported)
    cases = (len(trials.true), len(trials.swapped), len(trials.unsupported))
    if not all(cases):
        raise InputError(
            f'true, swapped and unsupported thoughts to try a judge on were wanted, got {cases!r}; make more'
        )
    told = iter(judge.judge([trial.case for kind in kinds for trial in kind]))
    true, swapped, unsupported = ([(next(told), trial.leads_to) for trial in kind] for kind in kinds)
    return Admission(
        true=sum(said == end for said, end in true) / cases[0],
        swapped=sum(said == end for said, end in swapped) / cases[1],
        unsupported=sum(said in (None, claim) for said, claim in unsupported) / cases[2],
        chance=sum(1 / len(trial.case.choices) for trial in trials.unsupported) / cases[2],
        cases=cases,
    )
