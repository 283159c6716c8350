"""The landmarks of the present session: kept as observations come, told in answers and to the model."""

from __future__ import annotations

import dataclasses

import pytest
from asker_bench import Bench, ask_once
from fake_models import NS, SESSION
from landmark_scenes import looks, pose

from embodied_r_ros.app.session_landmarks import SessionLandmarks
from embodied_r_ros.core.compact import CompactFormat

THINGS = [('sofa', (5.0, 1.0)), ('chair', (3.0, -2.0)), ('chair', (3.0, 2.0))]
STANDS = [pose(0.0), pose(1.0), pose(2.0)]


def observed(things=THINGS, session=SESSION):
    return [
        dataclasses.replace(seen, session=session, stamp_ns=session + index * NS)
        for index, seen in enumerate(looks(things, STANDS))
    ]


def bench_with(observations, **options):
    bench = Bench(seen=0, **options)
    for seen in observations:
        bench.asker.note_key_frame(seen.key, seen.stamp_ns)
        bench.asker.note_observation(seen)
    return bench


def test_the_landmarks_of_another_session_are_not_kept():
    landmarks = SessionLandmarks(100)
    for seen in [*observed(), *observed([('desk', (4.0, 0.0))], SESSION + 100 * NS)]:
        landmarks.note(seen)
    assert landmarks.at(SESSION) is None
    (desk,) = landmarks.at(SESSION + 100 * NS).things.values()
    assert desk.name == 'desk'


def test_an_answer_has_the_places_of_what_it_is_about():
    bench = bench_with(observed())
    bench.asker.note_pose(SESSION + 2 * NS, STANDS[-1], 'map')
    (sofa,) = ask_once(bench, text='Which way to the sofa?').landmarks
    assert (sofa.name, sofa.number, sofa.frame_id, sofa.sightings) == ('sofa', 1, 'map', 3)
    assert sofa.position_m == pytest.approx((5.0, 1.0, 0.0), abs=0.01)
    assert sofa.distance_m == pytest.approx(10**0.5, abs=0.01)
    assert sofa.bearing_left_deg == pytest.approx(18.4, abs=0.1)
    assert [cited.index for cited in sofa.evidence] == [0, 1, 2]


def test_places_are_told_nearest_first_and_a_number_names_one_of_several():
    bench = bench_with(observed())
    assert [landmark.number for landmark in ask_once(bench, text='Where is chair 2?').landmarks] == [2]
    both = ask_once(bench, text='Which chair is nearer to the sofa?').landmarks
    assert [landmark.name for landmark in both] == ['chair', 'chair', 'sofa']


def test_the_past_is_told_by_what_was_known_then():
    bench = bench_with(observed())
    then = ask_once(bench, text='Which way to the sofa?', as_of_ns=SESSION).landmarks
    assert [landmark.sightings for landmark in then] == [1]


def test_all_landmarks_are_told_with_their_session():
    session, stamp_ns, landmarks = bench_with(observed()).asker.landmarks()
    assert (session, stamp_ns, len(landmarks)) == (SESSION, SESSION + 2 * NS, 3)


def test_there_are_no_landmarks_before_anything_is_seen():
    assert Bench(seen=0).asker.landmarks() == (0, 0, ())


def test_several_of_a_name_are_told_to_the_model_with_their_numbers():
    bench = bench_with(observed())
    ask_once(bench, text='Which way to the sofa?')
    assert 'chair 1' in bench.prompt and 'chair 2' in bench.prompt


def test_an_observation_that_comes_late_changes_what_is_told():
    seen = observed()
    straight = bench_with(seen, prompt_format=CompactFormat(), reply='<think> hm </think> <answer> left </answer>')
    late = bench_with([seen[0], seen[2], seen[1]], prompt_format=CompactFormat(), reply=straight.lm.reply)
    prompts = []
    for bench in (straight, late):
        ask_once(bench, text='Where is the sofa now?', choices=('to my left', 'to my right'))
        prompts.append(bench.prompt)
    assert prompts[0] == prompts[1]
