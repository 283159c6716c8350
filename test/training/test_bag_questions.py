"""Questions made from runs as a robot would measure them, without images: what they say, and on what they rest."""

from __future__ import annotations

import collections
import dataclasses
import math
import random
from pathlib import Path

import pytest

from embodied_r_ros.core.questions import TASKS, read_question
from embodied_r_ros.evaluation.samples import Sample
from training.sources.bag_legs import measured_path
from training.sources.bag_questions import BagExaminer, Counts, calm_moments, questions_of
from training.sources.bag_run import IMAGES_HZ, Detection, Run, triangulate
from training.world.path import CAMERA, Leg, Station
from training.world.path import Path as Walked
from training.world.recording import odometry
from training.world.scene import Walk, make_walk
from training.world.truth import ground_of, verdict
from training.world.views import visible


def detection(name: str, x_m: float, y_m: float, from_x_m: float = 0.0, t_s: float = 0.0) -> Detection:
    return Detection(t_s=t_s, name=name, x_m=x_m, y_m=y_m, from_x_m=from_x_m, from_y_m=0.0)


def measured(walk: Walk, seed: int = 0) -> Run:
    """The run that a robot would measure on a simulated walk: odometry with its drift, tags with some noise."""
    rng = random.Random(seed)
    poses = list(odometry(walk.path, seed))
    yaw_rad, stations = 0.0, []
    for _, pose in poses:
        yaw_rad += math.remainder(pose.yaw_rad - yaw_rad, 2 * math.pi)
        stations.append(Station(x_m=pose.x_m, y_m=pose.y_m, yaw_rad=yaw_rad))
    run = Run(
        path=Path('bag'),
        site='site',
        length_s=poses[-1][0],
        half_view_deg=math.degrees(math.atan2(CAMERA.width / 2, CAMERA.fx_px)),
        moments_s=tuple(moment_s for moment_s, _ in poses),
        stations=tuple(stations),
        detections=(),
    )
    found = []
    for index in range(int(run.length_s * IMAGES_HZ) + 1):
        moment_s, here = index / IMAGES_HZ, run.at(index / IMAGES_HZ)
        for name, sighting in visible(walk.scene, walk.path.station_at(moment_s)).items():
            way = here.yaw_rad + math.radians(sighting.bearing_left_deg + rng.gauss(0.0, 0.5))
            away_m = (sighting.distance_m or 0.0) * (1 + rng.gauss(0.0, 0.02))
            spot = (here.x_m + away_m * math.cos(way), here.y_m + away_m * math.sin(way))
            found.append(Detection(moment_s, name, *spot, here.x_m, here.y_m))
    return dataclasses.replace(run, detections=tuple(found))


SEEDS = range(300, 305)


@pytest.fixture(scope='module')
def walks() -> dict[int, Walk]:
    return {seed: make_walk(seed) for seed in SEEDS}


@pytest.fixture(scope='module')
def runs(walks: dict[int, Walk]) -> dict[int, Run]:
    return {seed: measured(walk, seed) for seed, walk in walks.items()}


@pytest.fixture(scope='module')
def samples(runs: dict[int, Run]) -> list[tuple[int, Sample]]:
    asked: Counts = collections.Counter()
    return [
        (seed, sample)
        for seed, run in runs.items()
        for sample in questions_of(run, 24, random.Random(seed), asked, collections.Counter())
    ]


def test_the_labels_agree_with_the_simulation(samples: list[tuple[int, Sample]], walks: dict[int, Walk]) -> None:
    right = 0
    for seed, sample in samples:
        ground = ground_of(walks[seed], sample['media']['end_s'])
        parsed = read_question(sample['question'], sample['choices'], ground.places)
        right += parsed.options[verdict(parsed, ground).answer] == sample['choices'][ord(sample['answer']) - 65]
    assert len(samples) > 100
    assert right >= 0.99 * len(samples)


def test_every_task_is_asked(samples: list[tuple[int, Sample]]) -> None:
    counts = collections.Counter(sample['category'] for _, sample in samples)
    assert set(counts) == set(TASKS)
    assert min(counts.values()) >= 5


def test_letters_and_directions_are_uniform(samples: list[tuple[int, Sample]]) -> None:
    letters = collections.Counter((s['category'], len(s['choices']), s['answer']) for _, s in samples)
    for task, count, _ in list(letters):
        found = [letters[task, count, letter] for letter in 'ABCDE'[:count]]
        assert max(found) - min(found) <= 1
    sides = collections.Counter(
        read_question(s['question'], s['choices']).task + s['choices'][ord(s['answer']) - 65].split()[-1]
        for _, s in samples
        if s['category'] == 'landmark position' and 'me' not in s['choices'][0]
    )
    assert max(sides.values()) - min(sides.values()) <= 0.5 * sum(sides.values())


def test_odometry_is_withheld_wherever_it_makes_the_label(samples: list[tuple[int, Sample]]) -> None:
    told = {sample['category']: sample['media']['odometry'] for _, sample in samples}
    assert {task for task, used in told.items() if used} == {'appearance order'}


def test_nothing_after_the_moment_asked_is_used(runs: dict[int, Run]) -> None:
    for seed, run in runs.items():
        now_s = calm_moments(run, random.Random(seed))[0]
        kept = len(run.until(now_s).moments_s)
        elsewhere = dataclasses.replace(
            run,
            stations=run.stations[:kept] + tuple(Station(9.0, 9.0, 0.0, 1.0) for _ in run.stations[kept:]),
            detections=run.until(now_s).detections + (detection('ghost', 1.0, 1.0, 0.0, now_s + 0.01),) * 9,
        )
        asked = []
        for other in (run.until(now_s), elsewhere.until(now_s)):
            examiner = BagExaminer(other, measured_path(other), random.Random(1), collections.Counter())
            asked.append([examiner.ask(task) for task in TASKS])
        assert asked[0] == asked[1]


def test_a_plan_goes_on_with_steps_that_are_made_up(samples: list[tuple[int, Sample]]) -> None:
    plans = [s for _, s in samples if s['category'] == 'progress evaluation']
    answers = collections.Counter(sorted(s['choices']).index(s['choices'][ord(s['answer']) - 65]) for s in plans)
    assert len(answers) == 4
    assert max(answers.values()) - min(answers.values()) <= 2


@pytest.mark.parametrize(
    ('detections', 'counts'),
    [
        ([detection('sofa', 3, 1), detection('sofa', 3, 1, 0.5), detection('sofa', 3.1, 1, 1.0)], True),
        ([detection('sofa', 3, 1), detection('sofa', 3, 1, 0.5)], False),
        ([detection('sofa', 3, 1)] * 3, False),
        ([detection('sofa', 3, 1, 0.1 * k) for k in range(3)], False),
        ([detection('sofa', 3 + k % 2 * 3, 1, 0.5 * k) for k in range(8)], False),
        ([*(detection('sofa', 3, 1, 0.5 * k) for k in range(6)), detection('sofa', 7, 1)], True),
    ],
    ids=['three from three places', 'twice', 'from one place', 'hardly apart', 'in two places', 'one look astray'],
)
def test_a_thing_counts_after_three_detections_from_two_places(detections: list[Detection], counts: bool) -> None:
    places, left_out = triangulate(detections)
    assert ('sofa' in places, 'sofa' in left_out) == (counts, not counts)
    if counts:
        assert places['sofa'] == (pytest.approx(3.0, abs=0.05), pytest.approx(1.0))


def driven(*legs: tuple[str, float]) -> Run:
    path = Walked(tuple(Leg(kind=kind, amount=amount) for kind, amount in legs))
    moments_s = [index / 25 for index in range(int(path.duration_s * 25) + 1)]
    return Run(Path('b'), 's', moments_s[-1], 38.0, tuple(moments_s), tuple(map(path.station_at, moments_s)), ())


@pytest.mark.parametrize(
    'legs',
    [
        [('forward', 2.0)],
        [('turn', 90.0), ('forward', 1.5)],
        [('forward', 2.0), ('turn', -45.0), ('forward', 3.0), ('turn', 180.0), ('forward', 0.75)],
        [('forward', 1.0), ('turn', 60.0)],
    ],
    ids=['a walk', 'a turn first', 'several', 'a turn last'],
)
def test_a_way_of_walks_and_turns_is_told_as_such(legs: list[tuple[str, float]]) -> None:
    path = measured_path(driven(*legs))
    assert path is not None
    assert [leg.kind for leg in path.legs] == [kind for kind, _ in legs]
    for leg, (_, amount) in zip(path.legs, legs):
        assert leg.amount == pytest.approx(amount, rel=0.02)
    truth = Walked(tuple(Leg(kind=kind, amount=amount) for kind, amount in legs))
    assert path.times_s == pytest.approx(truth.times_s, abs=0.25)


def curve(share: float) -> Run:
    """PrefixWarmer for 2 s while turning by so many radians in all, sideways where it is negative."""
    moments_s = [index / 25 for index in range(51)]
    if share < 0:
        stations = [Station(y_m=moment_s) for moment_s in moments_s]
    else:
        stations = [Station(x_m=moment_s, yaw_rad=share * moment_s / 2) for moment_s in moments_s]
    return Run(Path('b'), 's', 2.0, 38.0, tuple(moments_s), tuple(stations), ())


@pytest.mark.parametrize(
    'run',
    [
        curve(1.5),
        curve(-1.0),
        driven(('forward', 2.0), ('turn', 12.0), ('forward', 2.0)),
        driven(('turn', 60.0), ('turn', -40.0)),
    ],
    ids=['a curve', 'sideways', 'a slight turn', 'a swing'],
)
def test_another_way_has_no_legs(run: Run) -> None:
    assert measured_path(run) is None


def test_a_robot_that_saw_nothing_often_enough_is_asked_nothing_about_things() -> None:
    run = driven(('forward', 2.5), ('turn', 90.0), ('forward', 3.0), ('turn', 90.0), ('forward', 2.0))
    samples = questions_of(run, 16, random.Random(0), collections.Counter(), collections.Counter())
    assert {sample['category'] for sample in samples} <= {'progress evaluation'}
