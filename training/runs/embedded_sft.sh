#!/usr/bin/env bash
# The embedded reasoner from nothing, by supervised fine-tuning on worked thoughts about simulated walks: a little over an
# hour on one thread. Ends with its figures on held-out questions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/setup.sh base training
python=.venv/bin/python
out=out/embedded
export OMP_NUM_THREADS=1

"$python" -m training.sft --steps 11000 --seed 0 --out "$out/sft"
"$python" -m training.prepare world --questions 2000 --seed 7 --out "$out/heldout.jsonl"
"$python" -m training.evaluate --samples "$out/heldout.jsonl" --model "$out/sft" --judge "$out/sft"
