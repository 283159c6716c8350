"""A task so small that GRPO learns it in seconds: each of four signs means a colour, and a reply names two colours.

The model begins as one that has the form of a reply most of the time and names colours at random, one as its thought
and one as its answer. The rewards alone can teach it to answer right, and to think what it answers.
"""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Sequence

import torch
from datasets import Dataset
from tiny_models import tokenizer_json
from transformers import PreTrainedTokenizerFast, PrinterCallback, Qwen2Config, Qwen2ForCausalLM

from embodied_r_ros.core.prompts import PaperPrompt
from embodied_r_ros.core.records import Message, Question
from training.grpo_settings import GrpoSettings, trl_config
from training.metrics import RunLog
from training.model_folder import load_model, load_tokenizer
from training.reasoner import CHAT_TEMPLATE
from training.rewards import StagedReward
from training.trainer import StagedTrainer

SIGNS = ('circle', 'square', 'star', 'cross')
COLOURS = ('red', 'green', 'blue', 'grey')
TAGS = ('<think>', '</think>', '<answer>', '</answer>')
WORDS = (*TAGS, *SIGNS, *COLOURS)
WELL_FORMED, HINT = 0.7, 0.2


def write_model(folder: pathlib.Path, seed: int = 0, steps: int = 80, words: Sequence[str] = ()) -> pathlib.Path:
    """The folder of a model that has seen replies of two random colours, some of them without a thought.

    Its tokenizer knows some words besides.
    """
    torch.manual_seed(seed)
    (folder / 'tokenizer').mkdir(parents=True)
    (folder / 'tokenizer' / 'tokenizer.json').write_text(json.dumps(tokenizer_json([*WORDS, *words])))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / 'tokenizer' / 'tokenizer.json'),
        pad_token='<pad>', bos_token='<s>', eos_token='</s>', unk_token='<unk>',
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder / 'tokenizer')
    tokenizer.save_pretrained(folder)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=512, tie_word_embeddings=True, initializer_range=0.1,
            pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip
    rng, optimizer = random.Random(seed), torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        ids = torch.tensor([tokenizer(random_lesson(rng))['input_ids'] for _ in range(64)])
        labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)
        labels[:, :2] = -100
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def random_lesson(rng: random.Random) -> str:
    """A sign, and a reply that has little to do with it."""
    sign = rng.randrange(len(SIGNS))
    thought, answer = (COLOURS[sign] if rng.random() < HINT else rng.choice(COLOURS) for _ in range(2))
    thinks = rng.random() < WELL_FORMED
    reply = f'<answer> {answer} </answer> </s>'
    return f'<s> {SIGNS[sign]} ' + (f'<think> {thought} </think> {reply}' if thinks else f'{reply} <pad> <pad> <pad>')


def questions(count: int = 4):
    """Rows for the trainer, and the prompt of each id."""
    rows, prompts = [], {}
    for number in range(count):
        sign = SIGNS[number % len(SIGNS)]
        question = Question(text=f'What colour is {sign}?', choices=COLOURS)
        prompts[f'q{number}'] = PaperPrompt((Message(role='user', content=sign),), 1, question)
        rows.append({
            'prompt': [{'role': 'user', 'content': sign}],
            'id': f'q{number}',
            'question': question.text,
            'choices': list(COLOURS),
            'answer': 'ABCD'[number % len(SIGNS)],
        })  # fmt: skip
    return Dataset.from_list(rows), prompts


class ColourJudge:
    """Takes the last colour that a thought names for where it leads; without one it fails."""

    def judge(self, cases):
        named = [[COLOURS.index(word) for word in case.thinking.split() if word in COLOURS] for case in cases]
        return [colours[-1] if colours else None for colours in named]


def make_settings(**changes) -> GrpoSettings:
    """Settings under which the task is learnt in some tens of steps."""
    values = {'learning_rate': 3e-3, 'num_generations': 16, 'micro_batch': 64, 'max_completion_length': 8, **changes}
    return GrpoSettings(**values)


def make_trainer(folder: pathlib.Path, out: pathlib.Path, settings: GrpoSettings, count: int = 4, judge=None):
    """The trainer of a run of `settings.max_steps` on so many questions; it writes its log to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    rows, prompts = questions(count)
    epochs = settings.max_steps / settings.steps_per_epoch(count)
    trainer = StagedTrainer(
        load_model(folder, torch.float32),
        StagedReward(prompts, epochs, judge or ColourJudge(), settings.schedule()),
        args=trl_config(settings, out, settings.max_steps, settings.max_completion_length, 1),
        train_dataset=rows,
        processing_class=load_tokenizer(folder),
        score_batch=settings.score_batch,
        write_batch=settings.write_batch,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(RunLog(out, lambda: (trainer.rollouts, trainer.reward.parts)))
    return trainer
