"""What a prompt format is: the way one family of reasoners is asked, and how its replies are read.

A format is named in the model's YAML (`prompt_format`), so that the robot, the rewards and the evaluator ask in the
same words that the model was trained on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Completion, Landmark, Message, Question


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thought:
    """A reply, read.

    Attributes:
        thinking: the line of thought, for people: nouns as they were asked, key frames as 'Frame i'.
        answer: the answer in words or as a letter, not yet matched to a choice.
        cited: positions of the observations that the thinking cites, ascending, each once, all within the prompt.
        raw_thinking: the thought in the model's own words, for the consistency check.
        astray: what the thinking invents or skips of what was seen, where the format can tell; '' for nothing.
    """

    thinking: str
    answer: str
    cited: tuple[int, ...] = ()
    raw_thinking: str = ''
    astray: str = ''


class Prompt(Protocol):
    """A question made ready for a language model, and the key to reading its reply."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The chat turns."""

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end the reply."""

    @property
    def options(self) -> tuple[str, ...]:
        """The reply is one of these; () leaves the model free."""

    def read(self, completion: Completion) -> Thought:
        """Read the reply to this prompt.

        Raises:
            ReplyError: there is no answer in it.
        """

    def check(self, thought: Thought) -> Prompt | None:
        """Ask again with the thinking, its conclusion cut off, and no observations (paper, consistency reward).

        None where nothing is left of the thinking.
        """

    def force(self, completion: Completion) -> Prompt | None:
        """Ask for one of the choices after a reply that cannot be read; None where the format knows no way to."""


class PromptFormat(Protocol):
    """One family of reasoners.

    Attributes:
        id: as answers report it.
        tells_places: whether its prompts tell where things are, beside the observations.
    """

    id: str
    tells_places: bool

    def ask(self, question: Question, observations: Sequence[Observation], places: Sequence[Landmark] = ()) -> Prompt:
        """Put the observations, in the order of their stamps, and the question into a prompt.

        Args:
            places: where things are, for a format that tells it.

        Raises:
            InputError: there is nothing to ask about, or the question is malformed.
            UnsupportedQuestion: the reasoner knows no such question.
        """

    def opening(self, observations: Sequence[Observation]) -> str:
        """What the message of most prompts about these observations begins with; '' where that cannot be told."""
