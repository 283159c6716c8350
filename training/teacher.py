"""TRL's SFTTrainer with what a run needs beyond it: whole checkpoints, exact resuming."""

from __future__ import annotations

import pathlib
from typing import Any

from transformers import TrainerState
from trl import SFTTrainer

from training.run_folder import Resumable


class Teacher(Resumable, SFTTrainer):
    """TRL's SFTTrainer, with whole checkpoints."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """As TRL, and go on counting tokens, which begins anew otherwise."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        state = TrainerState.load_from_json(str(pathlib.Path(resume_from_checkpoint) / 'trainer_state.json'))
        counted = [log['num_tokens'] for log in state.log_history if 'num_tokens' in log]
        self._total_train_tokens = counted[-1] if counted else 0
