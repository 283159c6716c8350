"""core.reasoning.answer on three observations and scripted replies, for tests."""

from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, answer
from embodied_r_ros.core.records import Completion, Pose
from embodied_r_ros.evaluation.phrase_reader import from_words

CHOICES = ('sofa', 'lamp', 'desk')
DEFAULTS = ReasoningSettings()
POSE = Pose(x_m=1.0, y_m=0.0, z_m=0.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)


def seen(index, text='a wall', action='moved forward 1.00 m', pose=None):
    return from_words(session=7, index=index, stamp_ns=index * 10, action=action, text=text, pose=pose)


def reply(choice, thinking='Frame 1 shows it.'):
    return Completion(text=f'<think>{thinking}</think><answer>{choice}</answer>')


def run(question, observations, *replies, settings=DEFAULTS):
    """Run the generator on scripted replies, a list or an error per step; the answer and each step's requests."""
    steps = answer(question, observations, PaperFormat(), settings, 'tiny')
    asked = []
    try:
        asked.append(next(steps))
        for said in replies:
            asked.append(steps.throw(said) if isinstance(said, Exception) else steps.send(said))
    except StopIteration as stop:
        return stop.value, asked
    raise LookupError('the generator asks for more than was scripted')


WINDOW = [seen(40, action=''), seen(41, 'a sofa', pose=POSE), seen(45, 'a lamp')]
