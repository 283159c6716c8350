#!/usr/bin/env bash
# The embedded reasoner from nothing, by supervised fine-tuning on worked thoughts about simulated walks: 72 minutes on one
# thread, and 10 more in which it learns to judge thoughts. Ends with its figures on held-out questions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/setup.sh base training
python=.venv/bin/python
out=out/embedded
export OMP_NUM_THREADS=1

"$python" -m training.sft --steps 11000 --seed 0 --out "$out/thinker"
"$python" -m training.sft --init "$out/thinker" --steps 1500 --check-share 0.4 --learning-rate 5e-4 --seed 1 --out "$out/sft"
"$python" -m training.prepare world --questions 2000 --seed 7 --out "$out/id.jsonl"
"$python" -m training.evaluate --samples "$out/id.jsonl" --model "$out/sft" --judge "$out/sft"
