"""Which key frames are worth a second look for a question; robot and training take the same."""

from __future__ import annotations

from collections.abc import Sequence

from embodied_r_ros.core import reasoning
from embodied_r_ros.core.latest_motion import is_key_frame
from embodied_r_ros.core.memory import sharing
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Question

FOCUS_FRAMES = 4


def promising(question: Question, observations: Sequence[Observation], n: int) -> list[Observation]:
    """At most n key frames whose words the question or its choices share; none where no word is shared."""
    seen = list(filter(is_key_frame, observations))
    words = ' '.join((question.text, *question.choices))
    return [seen[place] for place in sharing(seen, words, n)]


def likeliest(question: Question, observations: Sequence[Observation], n: int) -> list[Observation]:
    """The key frames that the reasoner would be given if it were given no more than n."""
    seen = list(filter(is_key_frame, observations))
    places = reasoning.chosen_places(question, seen, n)
    return [seen[place] for place in places]
