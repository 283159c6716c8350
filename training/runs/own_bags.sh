#!/usr/bin/env bash
# A robot's own bags as training data: 20 simulated recordings, split by site into 12 to learn from, 4 to watch and 4
# held out. Labels come from odometry and tags alone; the observations that go with them are perceived without odometry.
# Fails where fewer than 99 % of the labels agree with the simulation. Ends with the figures on the held-out sites.
#
#   training/runs/own_bags.sh [SEED] [MODEL]     of the training; the model to start from (the embedded reasoner)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seed=${1:-0}
start=${2:-data/reasoner}
scripts/setup.sh base training
python=.venv/bin/python
out=out/own_bags
export OMP_NUM_THREADS=1

walks=$(seq 900001 900020)
if [[ ! -s $out/bags/labels.yaml ]]; then
  # shellcheck disable=SC2086
  "$python" -m training.world.recording --seeds $walks --out "$out/bags" --labels "$out/bags/labels.yaml" --replace
fi
# With this seed the sites fall 12, 4 and 4 into the splits.
"$python" -m training.prepare bag "$out"/bags/seed* --per-bag 80 --seed 32 --shares 0.6 0.2 0.2 --out "$out/asked.jsonl"
"$python" -m training.world.truth --samples "$out/asked.jsonl" --least 0.99
# Without odometry the way is measured by what two key frames both show: they must not lie too far apart.
"$python" -m training.perceive --samples "$out/asked.jsonl" --max-gap 0.5 --out "$out/seen.jsonl"
"$python" -m training.blind --samples "$out/seen.jsonl"

"$python" -m training.sft --init "$start" --samples "$out/seen.jsonl" --split train --steps 1500 --learning-rate 5e-4 \
  --seed "$seed" --out "$out/sft-$seed"
"$python" -m training.spread --model "$out/sft-$seed" --samples "$out/seen.jsonl" --split train --out "$out/hard-$seed.jsonl"
"$python" -m training.grpo --model "$out/sft-$seed" --judge "$start" --samples "$out/hard-$seed.jsonl" --format compact \
  --prompts-per-step 8 --micro-batch 64 --max-completion-length 700 --max-steps 60 --learning-rate 5e-5 --beta 0.01 \
  --seed "$seed" --out "$out/grpo-$seed"
for model in sft grpo; do
  "$python" -m training.evaluate --samples "$out/seen.jsonl" --split test --model "$out/$model-$seed" --against "$start"
done
