"""The report of a run: one HTML file that needs no network and shows, per question, what the answer rests on."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from embodied_r_ros.core.answers import LETTERS
from embodied_r_ros.core.citations import in_parts
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.landmark_report import landmarks_of
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer, ErrorCode, Sighting
from embodied_r_ros.core.text import clean
from embodied_r_ros.evaluation.bird_view import SIZE_PX, BirdView, bird_view
from embodied_r_ros.evaluation.charts import accuracy_chart, figure_class, latency_chart
from embodied_r_ros.evaluation.offline_asking import medium_of
from embodied_r_ros.evaluation.perceiving import Medium, Perceived, Shown
from embodied_r_ros.evaluation.results import inside, is_scored, is_to_read, said, truth
from embodied_r_ros.evaluation.run_folder import Reply
from embodied_r_ros.evaluation.samples import Sample, to_observations
from embodied_r_ros.evaluation.scoring import score

HERE = pathlib.Path(__file__).parent
TEMPLATE, SCRIPT = 'report.html.jinja', 'report.js'
# Words that a picture can hold beside each other.
NAMED_ON_PICTURE = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameView:
    """A key frame that several questions show."""

    name: str
    frame: Shown
    seconds: str
    overlap: str
    action: str
    view: str
    sightings: tuple[Sighting, ...]


def write_report(
    path: pathlib.Path,
    found: Mapping[str, Any],
    replies: Sequence[Reply],
    perceived: Mapping[Medium, Perceived],
    title: str,
) -> None:
    """Write the report of a run.

    Args:
        path: of the HTML file.
        found: as `results` has it.
        replies: in the order in which they are shown.
        perceived: the recordings that the questions are about.
        title: of the page.

    Raises:
        SettingsError: Jinja2 or matplotlib is missing, or the file cannot be written.
    """
    template = _template()
    media = {medium: f'm{number}' for number, medium in enumerate(perceived)}
    views = {medium: _frame_views(media[medium], one) for medium, one in perceived.items()}
    script = (HERE / SCRIPT).read_text(encoding='utf-8')
    rows = [*found['per_task'].items(), *([('all', found)] if found['accuracy'] is not None else [])]
    seconds = [_total_s(reply.answer) for reply in replies if reply.answer.timings_s]
    html = template.render(
        title=title,
        found=found,
        rows=rows,
        accuracy_chart=accuracy_chart(rows) if rows else '',
        latency_chart=latency_chart(seconds) if seconds else '',
        frames=[view for of_medium in views.values() for view in of_medium.values()],
        questions=[_question(number, reply, perceived, views) for number, reply in enumerate(replies, start=1)],
        map_px=SIZE_PX,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    unfinished = path.with_name(f'{path.name}.part')
    try:
        unfinished.write_text(html, encoding='utf-8')
        unfinished.replace(path)
    except OSError as error:
        raise SettingsError(f'the report cannot be written to {str(path)!r}: {error.strerror}') from error


def _total_s(answer: Answer) -> float:
    """How long an answer took: what the node says, or all stages."""
    return answer.timings_s.get('total', sum(answer.timings_s.values()))


def check_writable(path: pathlib.Path) -> None:
    """Make the folder of a report, before anything is asked.

    Raises:
        SettingsError: it cannot be made or written to, or a library is missing.
    """
    _template()
    figure_class()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f'the report cannot be written to {str(path)!r}: {error.strerror}') from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise SettingsError(f'the report must be a file in a folder that can be written, got {str(path)!r}')


def _template() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise SettingsError(f'a report needs Jinja2, got {error}; apt install python3-jinja2') from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        # What is text on the page has passed `clean`, wherever it came from.
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.filters['percent'] = lambda share: '' if share is None else f'{share:.1%}'
    environment.filters['data_uri'] = lambda data: f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'
    return environment.get_template(TEMPLATE)


def _frame_views(prefix: str, perceived: Perceived) -> dict[int, FrameView]:
    by_index = {seen.index: seen for seen in perceived.observations}
    return {
        frame.index: _frame_view(f'{prefix}-{frame.index}', frame, by_index.get(frame.index), perceived.begin_ns)
        for frame in perceived.frames
    }


def _frame_view(name: str, frame: Shown, seen: Observation | None, begin_ns: int) -> FrameView:
    return FrameView(
        name=name,
        frame=frame,
        seconds=f'{(frame.stamp_ns - begin_ns) / NS_PER_S:.1f} s',
        overlap='' if math.isnan(frame.overlap) else f'overlap {frame.overlap:.0%}',
        action=seen.action if seen else '',
        view=(seen.view if seen else 'not described') or 'nothing new',
        sightings=tuple(one for one in seen.sightings if one.box_px)[:NAMED_ON_PICTURE] if seen else (),
    )


def _question(
    number: int,
    reply: Reply,
    perceived: Mapping[Medium, Perceived],
    views: Mapping[Medium, Mapping[int, FrameView]],
) -> dict[str, Any]:
    """All that the page shows of a question."""
    sample, answer = reply.sample, reply.answer
    cited = {one.index for one in answer.evidence}
    if 'observations' in sample:
        frames = [_told(number, reply.begin_ns, seen) for seen in to_observations(sample)]
        place, above = 'given as words', None
    else:
        medium = medium_of(sample)
        frames = [views[medium][index] for index in reply.seen if index in views[medium]]
        place, above = pathlib.Path(medium.path).name, _map(reply, perceived[medium])
    ends_s = sample.get('media', {}).get('end_s') if 'observations' not in sample else None
    return {
        'number': number,
        'sample': sample,
        'answer': answer,
        'state': _state(reply),
        'code': answer.error_code.name,
        'said': said(reply),
        'truth': truth(sample),
        'choices': [
            (LETTERS[index], choice, index == answer.choice, LETTERS[index] == sample['answer'])
            for index, choice in enumerate(sample['choices'])
        ],
        'where': f'{place}, {"at the end" if ends_s is None else f"at {ends_s:g} s"}',
        'frames': frames,
        'cited': cited,
        'thinking': [
            (part, bool(cited & set(numbers)))
            for part, numbers in in_parts(answer.thinking, max(cited, default=-1) + 1)
        ],
        'inside': inside(reply),
        'map': above,
        'named': _named(sample, answer.answer, above),
        'stages': ', '.join(f'{stage} {seconds:.3f} s' for stage, seconds in answer.timings_s.items()),
    }


def _state(reply: Reply) -> str:
    """How an answer counts: right, partly, wrong, to read, or failed."""
    if reply.answer.error_code is not ErrorCode.OK:
        return 'failed'
    if is_to_read(reply):
        return 'to read'
    counts = score(reply.sample, reply.answer) if is_scored(reply.sample) else 0.0
    return 'right' if counts == 1.0 else 'partly' if counts > 0.0 else 'wrong'


def _told(number: int, begin_ns: int, seen: Observation) -> FrameView:
    """An observation that came without a picture."""
    nothing = Shown(index=seen.index, stamp_ns=seen.stamp_ns, overlap=math.nan, width=4, height=3, picture=b'')
    return _frame_view(f'q{number}-{seen.index}', nothing, seen, begin_ns)


def _map(reply: Reply, perceived: Perceived) -> BirdView | None:
    end_s = reply.sample['media']['end_s']
    end_ns = perceived.end_ns if end_s is None else perceived.begin_ns + round(end_s * NS_PER_S)
    seen = [one for one in perceived.observations if one.index in set(reply.seen)]
    landmarks = landmarks_of(perceived.scene(end_s), perceived.frame_id)
    return bird_view(perceived.track, seen, landmarks, end_ns)


def _named(sample: Sample, answer: str, above: BirdView | None) -> set[str]:
    """The things on the map that the question, its choices or the answer name."""
    words = ' '.join((sample['question'], *sample['choices'], answer)).casefold()
    return {thing.label for thing in above.things if thing.label.casefold() in words} if above else set()
