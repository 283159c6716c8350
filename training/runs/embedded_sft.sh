#!/usr/bin/env bash
# The embedded reasoner from nothing, by supervised fine-tuning on worked thoughts about simulated walks: 69 minutes on one
# thread, and 21 more in which it also learns to judge thoughts. Ends with its figures on held-out questions.
#
# The weights in data/reasoner were made so at two commits: `thinker` at 2b68049, whose lessons saw no farther than 6.3 m,
# and `sft` at a14e806.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/setup.sh base training
python=.venv/bin/python
out=out/embedded
export OMP_NUM_THREADS=1

"$python" -m training.sft --steps 11000 --seed 0 --out "$out/thinker"
"$python" -m training.sft --init "$out/thinker" --steps 3500 --check-share 0.25 --learning-rate 1e-3 --seed 1 --out "$out/sft"
training/runs/test_sets.sh "$out"
for questions in id rendered objects path nouns; do
  "$python" -m training.evaluate --samples "$out/$questions.jsonl" --model "$out/sft" --judge "$out/sft"
done
