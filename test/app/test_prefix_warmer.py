"""What was observed is read by the model before anyone asks: no graph, hand-written models and the real one."""

import asyncio

import fake_time
import pytest
from fake_models import FakeReasoner, observation

from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel
from embodied_r_ros.adapters.qwen2_numpy import Qwen2Numpy
from embodied_r_ros.app.prefix_warmer import PrefixWarmer
from embodied_r_ros.app.session_landmarks import SessionLandmarks
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.errors import BackendUnavailable
from embodied_r_ros.core.memory import ObservationMemory
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.records import Generation, Message, Question
from embodied_r_ros.share import share_path


class FakeReader(FakeReasoner):
    """Notes what it is shown warmer; it takes its time."""

    def __init__(self):
        super().__init__()
        self.read = []
        self.error = None

    async def prefill(self, text):
        self.read.append(text)
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error


def seen(count):
    return [observation(index, text=f'thing{index} 30 deg left at 2.0 m') for index in range(count)]


def opening(count):
    return CompactFormat().opening(seen(count))


def shown(reader, count, prompt_format=None, most=32):
    """What the reader was shown of so many observations that came in one burst."""

    async def scene():
        memory, landmarks = ObservationMemory(100), SessionLandmarks(100)
        warmer = PrefixWarmer(reader, prompt_format or CompactFormat(), memory, landmarks, most)
        running = asyncio.ensure_future(warmer.run())
        for one in seen(count):
            memory.add(one)
            landmarks.note(one)
            warmer.note()
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return running

    return fake_time.run(scene())


def test_a_burst_of_observations_is_shown_once_and_as_the_next_prompt_begins():
    reader = FakeReader()
    shown(reader, 4)
    assert reader.read == [opening(4)]
    question = Question(text='Where is the thing3?', choices=('to my left', 'to my right', 'ahead of me', 'behind me'))
    prompt = CompactFormat().ask(question, seen(4)).messages[-1].content
    assert prompt.startswith(f'{reader.read[0]} where q1 ')


@pytest.mark.parametrize(
    ('count', 'options'),
    [
        pytest.param(0, {}, id='nothing observed'),
        pytest.param(5, {'most': 4}, id='more than a question is given'),
        pytest.param(70, {'most': 100}, id='more than the reasoner can follow'),
        pytest.param(4, {'prompt_format': PaperFormat()}, id='another format'),
    ],
)
def test_nothing_is_shown_that_no_prompt_would_begin_with(count, options):
    reader = FakeReader()
    shown(reader, count, **options)
    assert reader.read == []


@pytest.mark.parametrize('kind', ['behind a server', 'closed'])
def test_a_model_that_cannot_read_ahead_is_left_alone(kind):
    model = FakeReasoner() if kind == 'behind a server' else FakeReader()
    model.error = BackendUnavailable('closed')
    running = shown(model, 2)
    assert running.done() and not running.cancelled() and running.exception() is None


def test_a_question_finds_the_observations_read(monkeypatch):
    computed = []
    prefill = Qwen2Numpy.prefill
    monkeypatch.setattr(Qwen2Numpy, 'prefill', lambda model, ids: computed.append(prefill(model, ids)))
    model = NumpyLanguageModel(share_path('data/reasoner'))
    question = Message(role='user', content=f'{opening(20)} where q1 n12 : w4 ?')

    async def read_and_ask():
        await model.prefill(opening(20))
        await model.generate(Generation(messages=(question,), max_tokens=1))

    asyncio.run(read_and_ask())
    ahead, then = computed
    assert ahead > 150
    assert then < 64 + 8
