#!/usr/bin/env bash
# The embedded reasoner from nothing, by supervised fine-tuning on worked thoughts about simulated walks: 72 minutes on one
# thread, then 25 more at half the rate, whose weights are averaged with the first ones. Ends with its figures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/setup.sh base training
python=.venv/bin/python
out=out/embedded
export OMP_NUM_THREADS=1

"$python" -m training.sft --steps 11000 --seed 0 --out "$out/first"
"$python" -m training.sft --init "$out/first" --steps 2800 --learning-rate 1e-3 --seed 1 --out "$out/second"
"$python" -m training.export --model "$out/second" --average-with "$out/first" --share 0.8 --out "$out/sft"
training/runs/test_sets.sh "$out"
for questions in id rendered objects path nouns moves0 moves1 moves2 moves3 circles wide bags/seen; do
  "$python" -m training.evaluate --samples "$out/$questions.jsonl" --model "$out/sft" --judge "$out/sft"
done
