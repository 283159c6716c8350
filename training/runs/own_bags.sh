#!/usr/bin/env bash
# A robot's own bags as training data: 20 simulated recordings, split by site into 12 to learn from, 4 to watch and 4
# held out. The robot's camera sees 120 degrees; the embedded reasoner was taught with one of 77. Labels come from odometry
# and tags alone; the observations that go with them are perceived without odometry. Learnt from are the questions on which
# sampled answers differ. What fine-tuning made is averaged with the model that it began from, so that little is lost
# elsewhere, and then reinforced. Fails where fewer than 99 % of the labels agree with the simulation. Ends with the
# figures on the sites to watch and on those held out.
#
#   training/runs/own_bags.sh [SEED] [CAMERA]     of the training; wide or, as in the lessons, standard
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seed=${1:-0}
camera=${2:-wide}
start=data/reasoner
scripts/setup.sh base training
python=.venv/bin/python
out=out/own_bags/$camera
export OMP_NUM_THREADS=1

# With its seed the sites fall 12, 4 and 4 into the splits.
training/runs/bags.sh "$out" 900001 900020 "$camera" 480 --shares 0.6 0.2 0.2
"$python" -m training.world.truth --samples "$out/asked.jsonl" --camera "$camera" --min-agreement 0.99
"$python" -m training.question_only_baseline --samples "$out/seen.jsonl"

if [[ ! -s $out/hard.jsonl ]]; then
  "$python" -m training.select_hard --model "$start" --samples "$out/seen.jsonl" --split train --tries 4 --out "$out/hard.jsonl"
fi
"$python" -m training.sft --init "$start" --samples "$out/hard.jsonl" --steps 1000 --learning-rate 5e-4 --seed "$seed" --out "$out/sft-$seed"
[[ -d $out/average-$seed ]] ||
  "$python" -m training.export --model "$out/sft-$seed" --average-with "$start" --share 0.6 --out "$out/average-$seed"
"$python" -m training.grpo --model "$out/average-$seed" --judge "$start" --samples "$out/hard.jsonl" --format compact \
  --prompts-per-step 8 --micro-batch 64 --max-completion-length 700 --max-steps 60 --learning-rate 5e-5 --beta 0.001 \
  --seed "$seed" --out "$out/grpo-$seed"
for model in sft average grpo; do
  for split in validation test; do
    "$python" -m training.evaluate --samples "$out/seen.jsonl" --split $split --model "$out/$model-$seed" --against "$start"
  done
done
