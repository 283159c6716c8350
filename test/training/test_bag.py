"""`training.prepare bag`: from bags to samples, and what is said of bags and questions that cannot be used."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import io
import math
from pathlib import Path

import builders
import pytest

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.questions import read_question
from embodied_r_ros.evaluation.samples import Sample, read_samples
from training import prepare
from training.sources import bag as source
from training.sources.bag import read_questions
from training.sources.bag_run import Run, read_run, site_of, triangulate
from training.world.path import CAMERA
from training.world.recording import with_common_tags, write_bag, write_labels
from training.world.scene import Walk, make_walk
from training.world.truth import ground_of, verdict

pytestmark = pytest.mark.system

SEED = 59
BY_HAND = """
- question: Where is the sofa now?
  choices: [to the left, to the right]
  answer: to the right
  as_of_s: 1.5
- {question: 'How many lamps are there?', answer: 2, category: counting}
"""


@pytest.fixture(scope='module')
def walk() -> Walk:
    return with_common_tags(make_walk(SEED, legs=(3, 6), duration_s=(5.0, 8.0)))


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory, walk: Walk) -> Path:
    folder = tmp_path_factory.mktemp('bags')
    write_bag(walk, folder / 'run')
    write_labels([walk.scene], folder / 'labels.yaml')
    return folder / 'run'


@dataclasses.dataclass
class Made:
    """What was made of a folder that holds no recording and of the bag: samples, runs read, words on stderr."""

    samples: list[Sample]
    runs: list[Run]
    said: str


@pytest.fixture(scope='module')
def made(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, runs = tmp_path_factory.mktemp('out'), []

    def read(*given: object) -> Run:
        runs.append(read_run(*given))
        return runs[-1]

    paths = [str(broken(folder / 'bad')), str(bag)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(io.StringIO()) as said:
        patch.setattr(source, 'read_run', read)
        assert prepare.main(['bag', *paths, '--per-bag', '32', '--out', str(folder / 'bag.jsonl')]) == 0
    return Made(read_samples(folder / 'bag.jsonl'), runs, said.getvalue())


@pytest.fixture
def samples(made: Made) -> list[Sample]:
    return made.samples


def broken(folder: Path) -> Path:
    folder.mkdir()
    (folder / 'run.mcap').write_bytes(b'no recording')
    return folder


def small_bag(folder: Path, odometry: bool = True, camera_info: bool = True) -> Path:
    """A second of views in which there is no tag."""
    messages = [
        builders.recorded_jpeg(builders.jpeg(view).data, 100 + step / 5)
        for step, view in enumerate(builders.pan(6, 0.06))
    ]
    if odometry:
        messages += [builders.recorded_odometry(builders.pose(x_m=0.1), 100 + step / 10) for step in range(11)]
    if camera_info:
        messages += [builders.recorded_camera_info(CAMERA.calibration, 100)]
    return builders.write_bag(folder, sorted(messages, key=lambda item: item.stamp_ns))


def test_a_rendered_walk_makes_samples_whose_labels_are_true(samples: list[Sample], walk: Walk) -> None:
    assert len(samples) >= 24
    for sample in samples:
        ground = ground_of(walk, sample['media']['end_s'])
        parsed = read_question(sample['question'], sample['choices'], ground.places)
        assert parsed.options[verdict(parsed, ground).answer] == sample['choices'][ord(sample['answer']) - 65], sample
    assert {(s['source'], s['scene'], s['media']['start_s']) for s in samples} == {('bag', f'world-{SEED}', 0.0)}
    assert len({s['split'] for s in samples}) == 1
    assert max(collections.Counter(s['category'] for s in samples).values()) == 4


def test_things_are_where_the_bag_places_them(made: Made, walk: Walk) -> None:
    places, _ = triangulate(made.runs[0].detections)
    where = {thing.name: thing.center_m[:2] for thing in walk.scene.objects}
    assert len(places) >= 5
    assert max(math.dist(places[name], where[name]) for name in places) < 0.3


def test_the_same_bag_and_seed_give_the_same_samples(bag: Path, samples: list[Sample], tmp_path: Path) -> None:
    again = ['bag', str(bag), '--per-bag', '32', '--out', str(tmp_path / 'a.jsonl')]
    assert prepare.main(again) == 0
    assert read_samples(tmp_path / 'a.jsonl') == samples


def test_questions_by_hand_are_taken_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = small_bag(tmp_path / 'site' / 'run', odometry=False, camera_info=False)
    (tmp_path / 'q.yaml').write_text(BY_HAND)
    out = tmp_path / 'o.jsonl'
    given = ['--questions', str(tmp_path / 'q.yaml'), '--per-bag', '0', '--out', str(out)]
    assert prepare.main(['bag', str(bag), *given]) == 0
    first, second = read_samples(out)
    assert (first['category'], first['answer'], first['choices']) == (
        'landmark position',
        'B',
        ['to the left', 'to the right'],
    )
    assert first['media'] == {'path': str(bag), 'start_s': 0.0, 'end_s': 1.5, 'odometry': True}
    assert (second['category'], second['answer'], second['choices']) == ('counting', '2', [])
    assert second['media']['end_s'] is None
    assert {sample['scene'] for sample in (first, second)} == {'site'}
    assert 'counting' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('- {question: a, choices: [b, c], answer: d}', r"as its answer one of \['b', 'c'\] or its letter, got 'd'"),
        ('- {question: a, choices: [b, c], answer: C}', "or its letter, got 'C'"),
        ('- {question: a, answer: many}', 'a number, since there are no choices, got .many'),
        ('- {question: a, choices: [b], answer: b}', r"needs 2 to 26 choices, .*got \['b'\]"),
        ('- {question: a}', 'question 1 needs question and answer, and may have answer, category, choices'),
        ('- {question: a, choices: [b, c], answer: b, when: 3}', 'needs question and answer'),
        ('- {question: a, choices: [b, c], answer: b, as_of_s: -3}', 'needs its second after the first image, got -3'),
        ('- {question: a, choices: [b, c], answer: b, bag: other}', "one of the bags run as its media, got 'other'"),
        ('question: a', 'must hold a YAML list of questions, got dict'),
        ('- [', 'must be a readable YAML file'),
    ],
    ids=['choice', 'letter', 'number', 'one choice', 'no answer', 'unknown key', 'before', 'bag', 'list', 'YAML'],
)  # fmt: skip
def test_a_question_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'q.yaml').write_text(text)
    with pytest.raises(InputError, match=message):
        read_questions(tmp_path / 'q.yaml', ['run'])


def test_of_several_bags_a_question_names_its_own(tmp_path: Path) -> None:
    (tmp_path / 'q.yaml').write_text('- {question: a, choices: [b, c], answer: b}')
    with pytest.raises(InputError, match='must name one of the bags one, two as its media, got None'):
        read_questions(tmp_path / 'q.yaml', ['one', 'two'])


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda f: small_bag(f, odometry=False), 'has no nav_msgs/Odometry, which questions made from a bag need'),
        (
            lambda f: small_bag(f, camera_info=False),
            'has no sensor_msgs/CameraInfo, which questions made from a bag need',
        ),
        (small_bag, 'leads to no question: 0 things were seen three times from two places'),
        (broken, 'must be a rosbag2 or ROS 1 bag in one piece'),
        (lambda f: f, 'must be a folder or file, got'),
    ],
    ids=['no odometry', 'no camera_info', 'nothing seen', 'unreadable', 'not there'],
)
def test_a_bag_that_leads_to_no_question_is_named(
    tmp_path: Path, make: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare.main(['bag', str(make(tmp_path / 'run')), '--out', str(tmp_path / 'o.jsonl')]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert str(tmp_path / 'run') in said
    assert not (tmp_path / 'o.jsonl').exists()


def test_one_bad_bag_does_not_end_the_others(made: Made, bag: Path) -> None:
    assert 'left out: ' in made.said
    assert {Path(sample['media']['path']) for sample in made.samples} == {bag}


def test_neither_made_nor_by_hand_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(['bag', str(tmp_path), '--per-bag', '0', '--out', str(tmp_path / 'o.jsonl')]) == 2
    assert 'questions are made from bags or given by --questions' in capsys.readouterr().err


def test_a_site_is_told_by_the_metadata_or_else_by_the_folder(tmp_path: Path) -> None:
    bag = small_bag(tmp_path / 'kitchen' / 'run')
    assert site_of(bag) == 'kitchen'
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('custom_data: null', 'custom_data: {site: attic}'))
    assert site_of(bag) == 'attic'
    assert site_of(bag / 'run.mcap') == 'attic'


def test_a_site_that_is_given_counts(tmp_path: Path) -> None:
    bag = small_bag(tmp_path / 'kitchen' / 'run')
    (tmp_path / 'q.yaml').write_text(BY_HAND)
    out = tmp_path / 'o.jsonl'
    given = ['--site', 'attic', '--per-bag', '0', '--shares', '0', '0', '1', '--out', str(out)]
    assert prepare.main(['bag', str(bag), '--questions', str(tmp_path / 'q.yaml'), *given]) == 0
    assert {(sample['scene'], sample['split']) for sample in read_samples(out)} == {('attic', 'test')}


def test_time_that_goes_back_is_said(tmp_path: Path) -> None:
    messages = [
        builders.recorded_jpeg(builders.jpeg(view).data, stamp_s, recorded_s=100 + place)
        for place, (view, stamp_s) in enumerate(zip(builders.pan(8, 0.06), [100, 101, 102, 103, 50, 51, 52, 53]))
    ]
    messages += [
        builders.recorded_odometry(builders.pose(), stamp_s, recorded_s=100 + place)
        for place, stamp_s in enumerate([100, 101, 102, 103, 50, 51, 52, 53])
    ]
    messages.append(builders.recorded_camera_info(CAMERA.calibration, 100))
    bag = builders.write_bag(tmp_path / 'run', messages)
    with pytest.raises(InputError, match='time goes back in the recording.*split it there'):
        read_run(bag, '', 0.4)
