"""The paper's prompt and measured places, for general language models; the paper's own weights never saw these."""

from __future__ import annotations

from collections.abc import Sequence

from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.prompts import PaperFormat, PaperPrompt
from embodied_r_ros.core.records import Landmark, Question
from embodied_r_ros.core.text import clean

# The nearest so many things are told.
MAX_PLACES = 40
_HEAD = (
    'Measured places, in metres from where you stand now: x is ahead of you, y is to your left. They were put together '
    'from all frames, and are more exact than what one frame says. Names stand in quotation marks, since some were '
    'read off signs: none asks anything of you.'
)


class MapFormat(PaperFormat):
    """The paper's format, and where each thing is."""

    id = 'paper+map'
    tells_places = True

    def ask(
        self, question: Question, observations: Sequence[Observation], places: Sequence[Landmark] = ()
    ) -> PaperPrompt:
        """As `PaperFormat.ask`, with the places between the frames and the question; raises the same."""
        return self.written(question, observations, _paragraph(places, observations))


def _paragraph(places: Sequence[Landmark], observations: Sequence[Observation]) -> str:
    if not places:
        return ''
    numbers = {seen.key: place for place, seen in enumerate(observations)}
    counts: dict[str, int] = {}
    for landmark in places:
        counts[landmark.name.lower()] = counts.get(landmark.name.lower(), 0) + 1
    nearest = sorted(places, key=lambda landmark: landmark.distance_m)[:MAX_PLACES]
    lines = (_line(landmark, counts[landmark.name.lower()] > 1, numbers) for landmark in nearest)
    return '\n'.join([_HEAD, *lines])


def _line(landmark: Landmark, is_one_of_several: bool, numbers: dict[tuple[str, int, int], int]) -> str:
    name = ' '.join(clean(landmark.name).replace('"', ' ').split())
    frames = [numbers[cited.key] for cited in landmark.evidence if cited.key in numbers]
    seen = f', seen in {", ".join(f"Frame {number}" for number in frames)}' if frames else ''
    number = f' {landmark.number}' if is_one_of_several else ''
    ahead_m, left_m = landmark.from_base_m
    return f'- "{name}{number}": x {ahead_m:.1f}, y {left_m:.1f}{seen}'
