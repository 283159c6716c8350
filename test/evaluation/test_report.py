"""The report: one file that needs nothing else, shows what answers rest on, and lets no foreign text become markup."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embodied_r_ros.__main__ import main
from embodied_r_ros.core.citations import in_parts
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer, ErrorCode, Landmark, Pose
from embodied_r_ros.evaluation import report
from embodied_r_ros.evaluation.bird_view import MARGIN_PX, bird_view
from embodied_r_ros.evaluation.question_file import LeftOut
from embodied_r_ros.evaluation.results import Run, results
from embodied_r_ros.evaluation.run_folder import Reply

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u2028$x^2$\x07\ud800</text></svg>'


UNFOLDED = re.compile(r'<article class="question" id="(q\d+)"[^>]*>\s*<details([^>]*)>')


class Page(html.parser.HTMLParser):
    """The elements of a page, and what of it names something else."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.open = ''
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open = tag

    def handle_endtag(self, tag: str) -> None:
        self.open = ''

    def handle_data(self, data: str) -> None:
        if self.open == 'script':
            self.scripts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The report about the questions on the first sample recording, and the run's folder."""
    folder = tmp_path_factory.mktemp('report')
    lines = (ROOT / 'data/questions.jsonl').read_text().splitlines()
    (folder / 'asked.jsonl').write_text('\n'.join(line for line in lines if 'seed1' in line))
    arguments = ['evaluate', folder / 'asked.jsonl', '--cache', folder / 'cache', '--out', folder / 'run']
    assert main([str(one) for one in (*arguments, '--report', folder / 'new/report.html', '--json')]) == 0
    return folder / 'new/report.html', folder


def test_the_report_shows_key_frames_once_and_questions_that_use_them(made: tuple[Path, Path]) -> None:
    text = made[0].read_text(encoding='utf-8')
    page = Page(text)
    assert len(page.all('article')) == 16
    names = [symbol['id'] for symbol in page.all('symbol')]
    assert len(names) == len(set(names)) == 18
    used = {use['href'] for use in page.all('use') if (use.get('href') or '').startswith('#m0-')}
    assert used == {f'#{name}' for name in names}
    assert '<mark>Frame 2</mark>' in text
    assert '>blackboard</text>' in text
    assert len(text) < 1_500_000


def test_nothing_outside_the_file_is_named_and_only_its_own_script_may_run(made: tuple[Path, Path]) -> None:
    page = Page(made[0].read_text(encoding='utf-8'))
    for tag, attributes in page.elements:
        for name in ('src', 'href', 'xlink:href', 'action', 'srcset'):
            value = attributes.get(name)
            assert value is None or value.startswith(('#', 'data:image/jpeg;base64,')), (tag, name, value)
        assert not [name for name in attributes if name.startswith('on')]
    policy = next(one['content'] for one in page.all('meta') if one.get('http-equiv') == 'Content-Security-Policy')
    assert policy is not None and policy.startswith("default-src 'none'")
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_same_run_gives_the_same_report(made: tuple[Path, Path], tmp_path: Path) -> None:
    file, folder = made
    arguments = ['evaluate', folder / 'asked.jsonl', '--cache', folder / 'cache', '--out', folder / 'run']
    assert main([str(one) for one in (*arguments, '--report', tmp_path / 'again.html', '--json')]) == 0
    assert (tmp_path / 'again.html').read_bytes() == file.read_bytes()


@pytest.mark.skipif(shutil.which('chromium') is None, reason='chromium is not installed')
def test_a_browser_runs_the_filters_and_unfolds_the_question_that_is_linked_to(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    command = ['chromium', '--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={tmp_path}', '--dump-dom']
    done = subprocess.run([*command, f'file://{made[0]}#q3'], capture_output=True, text=True, timeout=120, check=True)
    assert '16 of 16 questions shown' in done.stdout
    assert [name for name, details in UNFOLDED.findall(done.stdout) if 'open' in details] == ['q3']


def hostile_reply() -> Reply:
    seen = {'stamp_ns': 1, 'action': HOSTILE, 'text': HOSTILE}
    sample = {
        'id': HOSTILE,
        'source': 'test',
        'scene': HOSTILE,
        'category': HOSTILE,
        'question': HOSTILE,
        'choices': [HOSTILE, 'other'],
        'answer': 'A',
        'observations': [seen],
        'evidence_s': [],
    }
    told = f'Frame 0 {HOSTILE}'
    answer = Answer(answer=HOSTILE, choice=0, thinking=told, error_msg=HOSTILE, model=HOSTILE, timings_s={HOSTILE: 0.1})
    return Reply(sample=sample, answer=answer)


def test_foreign_text_stays_text(tmp_path: Path) -> None:
    replies = [hostile_reply()]
    found = results(Run(replies=replies, left_out=[LeftOut(HOSTILE, HOSTILE)]))
    changed = dict.fromkeys(('id', 'question', 'truth', 'here', 'there'), HOSTILE)
    found['against'] = {'questions': 0, 'only_here': 1, 'only_there': 0, 'changed': [changed]}
    report.write_report(tmp_path / 'r.html', found, replies, {}, HOSTILE)
    text = (tmp_path / 'r.html').read_text(encoding='utf-8')
    page = Page(text)
    assert len(page.all('script')) == 1
    assert page.all('img') == []
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith('on')]
    assert '\x07' not in text
    assert text.count('&lt;script&gt;') >= 12


@pytest.mark.parametrize(
    ('answer', 'truth', 'choices', 'state'),
    [
        (Answer(answer='x', choice=0), 'A', ['x', 'y'], 'right'),
        (Answer(answer='y', choice=1), 'A', ['x', 'y'], 'wrong'),
        (Answer(answer='2.5'), '2', [], 'partly'),
        (Answer(answer='near the door'), None, [], 'to read'),
        (Answer(error_code=ErrorCode.TIMEOUT), 'A', ['x', 'y'], 'failed'),
    ],
    ids=['right', 'wrong', 'partly', 'to read', 'failed'],
)
def test_a_question_says_how_its_answer_counts(
    tmp_path: Path, answer: Answer, truth: str | None, choices: list[str], state: str
) -> None:
    asked = {**hostile_reply().sample, 'choices': choices, 'answer': truth, 'category': 'any', 'question': 'What?'}
    replies = [Reply(sample=asked, answer=answer)]
    report.write_report(tmp_path / 'r.html', results(Run(replies=replies)), replies, {}, 'title')
    (article,) = Page((tmp_path / 'r.html').read_text()).all('article')
    assert (article['data-state'], article['data-code']) == (state, answer.error_code.name)


def test_a_thought_is_cut_at_its_citations() -> None:
    thought = 'Left of Frame 2, then Frames 4 and 5.'
    assert in_parts(thought, 9) == [
        ('Left of ', ()),
        ('Frame 2', (2,)),
        (', then ', ()),
        ('Frames 4 and 5', (4, 5)),
        ('.', ()),
    ]
    assert ''.join(part for part, _ in in_parts(thought, 3)) == thought


def pose(x_m: float, y_m: float, yaw_quarters: int = 0) -> Pose:
    qz, qw = ((0.0, 1.0), (0.5**0.5, 0.5**0.5))[yaw_quarters]
    return Pose(x_m=x_m, y_m=y_m, z_m=0.0, qx=0.0, qy=0.0, qz=qz, qw=qw)


def lamp(number: int, x_m: float, y_m: float) -> Landmark:
    place = (x_m, y_m, 0.5)
    return Landmark(
        id=f'{number}',
        name='lamp',
        number=number,
        stamp_ns=5,
        frame_id='odom',
        position_m=place,
        covariance_m2=(0.0,) * 9,
    )


def test_the_map_has_forward_up_left_to_the_left_and_things_at_their_places() -> None:
    seen = [
        Observation(session=0, index=0, stamp_ns=0, pose=pose(0.0, 0.0)),
        Observation(session=0, index=1, stamp_ns=5, pose=pose(4.0, 0.0)),
    ]
    track = [(0, pose(0.0, 0.0)), (5, pose(4.0, 0.0)), (9, pose(4.0, 0.0, 1)), (20, pose(99.0, 0.0))]
    drawn = bird_view(track, seen, [lamp(1, 4.0, 2.0)], end_ns=10)
    assert drawn is not None
    first, last = drawn.frames
    assert first.x_px == last.x_px
    assert first.y_px - last.y_px == pytest.approx(4 * drawn.metre_px, abs=0.2)
    (thing,) = drawn.things
    assert (thing.label, thing.x_px, thing.y_px) == ('lamp', MARGIN_PX, last.y_px)
    assert last.x_px - thing.x_px == pytest.approx(2 * drawn.metre_px, abs=0.2)
    assert drawn.robot == (last.x_px, last.y_px, -90.0)


def test_of_several_things_of_one_name_the_map_tells_the_numbers() -> None:
    drawn = bird_view(
        [],
        [Observation(session=0, index=0, stamp_ns=0, pose=pose(0.0, 0.0))],
        [lamp(1, 1.0, 0.0), lamp(2, 3.0, 0.0)],
        1,
    )
    assert drawn is not None
    assert [thing.label for thing in drawn.things] == ['lamp 1', 'lamp 2']


def test_without_odometry_there_is_no_map() -> None:
    assert bird_view([], [Observation(session=0, index=0, stamp_ns=0)], [], end_ns=1) is None


@pytest.mark.parametrize('place', ['.', 'file/report.html'], ids=['a folder', 'below a file'])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_asked(tmp_path: Path, place: str) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(SettingsError, match='the report '):
        report.check_writable(tmp_path / place)


@pytest.mark.parametrize(('module', 'package'), [('jinja2', 'python3-jinja2'), ('matplotlib', 'python3-matplotlib')])
def test_a_missing_library_is_named(tmp_path: Path, module: str, package: str) -> None:
    entry = {**hostile_reply().sample, 'question': 'Where is the lamp?', 'choices': ['left', 'right'], 'category': 'x'}
    (tmp_path / 'q.jsonl').write_text(json.dumps(entry))
    program = (
        f'import sys; sys.modules[{module!r}] = None\n'
        'from embodied_r_ros.__main__ import main\n'
        f"sys.exit(main(['evaluate', 'q.jsonl', '--report', 'r.html']))"
    )
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert re.search(rf'a report needs \w+, got .*; apt install {package}', done.stderr)
