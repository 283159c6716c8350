"""The second opinion on generated questions."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from embodied_r_ros.core.errors import CannotTell
from embodied_r_ros.core.questions import TASKS, read_question
from training.world import truth
from training.world.path import CAMERA, WIDE_CAMERA, Leg, Station
from training.world.questions import questions_about
from training.world.scene import make_walk
from training.world.truth import Ground, ground_of, verdict
from training.world.views import EXACT, KeyFrameRule, observe

# The agent walked 2 m ahead, turned left, and walked 1 m: it looks along y, from (2, 1).
GROUND = Ground(
    places={'sofa': (2.0, 4.0), 'lamp': (5.0, 1.0), 'desk': (2.5, -3.0), 'door': (-4.0, 1.5)},
    here=Station(x_m=2.0, y_m=1.0, yaw_rad=math.pi / 2),
    legs=(Leg(kind='forward', amount=2.0), Leg(kind='turn', amount=90.0), Leg(kind='forward', amount=1.0)),
    first_s={'sofa': 3.0, 'lamp': 0.0, 'desk': 1.5, 'door': 7.0},
)
SIDES = ('ahead', 'right', 'behind', 'left')
QUADRANTS = ('front-left', 'front-right', 'back-left', 'back-right')


@pytest.mark.parametrize(
    ('text', 'choices', 'answer', 'clearance'),
    [
        ('Where is the sofa now?', SIDES, 'ahead', 3.0),
        ('Where is the lamp now?', SIDES, 'right', 3.0),
        ('Where is the desk now?', SIDES, 'behind', (45 - math.degrees(math.atan2(0.5, 4.0))) / 15),
        ('What should I do next to get to the door?', ('go forward', 'turn left', 'turn right', 'turn around'),
         'turn-left', (45 - math.degrees(math.atan2(0.5, 6.0))) / 15),
        ('If I had turned right instead of left at my first turn, where would the desk be now?', SIDES, 'ahead',
         math.hypot(0.5, 2.0)),
        ('Standing at the sofa and facing the lamp, where is the desk?', ('left', 'right'), 'right', None),
        ('Standing at the lamp and facing the desk, where is the sofa?', QUADRANTS, 'back-right', None),
        ('Which is closest to the sofa?', ('the lamp', 'the desk', 'the door'), 'q2',
         (math.dist((2, 4), (-4, 1.5)) / math.dist((2, 4), (5, 1)) - 1) / 0.2),
        ('In which order did I first see the sofa, the lamp and the desk?',
         ('lamp, desk, sofa', 'desk, lamp, sofa', 'sofa, desk, lamp'), 'q2 q3 q1', 1.5),
        ('My instructions are: 1. go forward 2 m; 2. turn left 90 degrees; 3. go forward 2 m; 4. turn right 90 degrees.'
         ' Which step am I on?', ('step 1', 'step 2', 'step 3', 'step 4'), 'i3', 2.5),
    ],
    ids=['ahead', 'right', 'behind', 'act', 'other turn', 'left or right', 'quadrant', 'nearest', 'order', 'plan'],
)  # fmt: skip
def test_the_answer_is_that_of_the_geometry(
    text: str, choices: tuple[str, ...], answer: str, clearance: float | None
) -> None:
    found = verdict(read_question(text, choices, GROUND.places), GROUND)
    assert found.answer == answer
    assert clearance is None or found.clearance == pytest.approx(clearance)


def test_a_route_is_two_turns() -> None:
    text = 'From the door, facing the sofa, I go to the sofa, then to the lamp and then to the desk. How do I turn?'
    choices = ('left, then right', 'right, then right', 'right, then left', 'left, then left')
    found = verdict(read_question(text, choices, GROUND.places), GROUND)
    assert found.answer == 'right right'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('Where is the bed now?', 'bed is not among sofa'),
        ('If I had turned right instead of left at my second turn, where would the sofa be now?', 'no single turn'),
        ('If I had turned left instead of right at my first turn, where would the sofa be now?', 'to the left already'),
    ],
    ids=['a thing that is not there', 'a turn that was not', 'a turn that went there'],
)
def test_what_is_not_so_has_no_answer(text: str, message: str) -> None:
    with pytest.raises(CannotTell, match=message):
        verdict(read_question(text, SIDES), GROUND)


def test_questions_of_the_simulated_world_agree_with_it() -> None:
    checked = 0
    for seed in range(50, 54):
        walk = make_walk(seed)
        exact = observe(walk, KeyFrameRule(), EXACT, random.Random(0))
        for sample in questions_about(walk, exact, TASKS, random.Random(seed)):
            ground = ground_of(walk, sample.get('end_s', walk.path.duration_s))
            parsed = read_question(sample['question'], sample['choices'], ground.places)
            assert parsed.options[verdict(parsed, ground).answer] == sample['choices'][ord(sample['answer']) - 65], (
                sample
            )
            checked += 1
    assert checked >= 25


def test_a_wide_camera_sees_things_sooner() -> None:
    walk = make_walk(60)
    narrow, wide = (ground_of(walk, walk.path.duration_s, camera).first_s for camera in (CAMERA, WIDE_CAMERA))
    assert narrow.keys() <= wide.keys()
    assert all(wide[name] <= first_s for name, first_s in narrow.items())
    assert any(wide[name] < first_s for name, first_s in narrow.items())


def test_the_program_counts_what_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk = make_walk(60)
    exact = observe(walk, KeyFrameRule(), EXACT, random.Random(0))
    (made,) = questions_about(walk, exact, ['landmark position'], random.Random(1))
    wrong = 'ABCD'[('ABCD'.index(made['answer']) + 1) % 4]
    samples = [{**made, 'id': 'a'}, {**made, 'id': 'b', 'answer': wrong}]
    file = tmp_path / 's.jsonl'
    file.write_text(''.join(json.dumps(sample) + '\n' for sample in samples))
    assert truth.main(['--samples', str(file)]) == 0
    assert '1 of     2 agree, 50.00%' in capsys.readouterr().out
    assert truth.main(['--samples', str(file), '--min-agreement', '0.99']) == 1
    file.write_text(json.dumps({**samples[0], 'scene': 'kitchen'}) + '\n')
    assert truth.main(['--samples', str(file)]) == 2
    assert "must be about a scene 'world-<seed>', got 'kitchen'" in capsys.readouterr().err
