#!/usr/bin/env bash
# What further training makes of the embedded reasoner: about ten minutes of one thread spent on more supervised fine-tuning,
# on GRPO for accuracy and format, and on GRPO with all three rewards in stages; and GRPO without any fine-tuning before it.
# GRPO sees the answers alone, to questions about walks twice as long as usual. Ends with the rows of docs/results.md.
#
#   training/runs/reinforcement.sh [SEED...]     of the training (0 1 2)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/setup.sh base training
python=.venv/bin/python
out=out/reinforcement
start=data/reasoner
export OMP_NUM_THREADS=1

training/runs/test_sets.sh "$out"
if [[ ! -s $out/hard.jsonl ]]; then
  "$python" -m training.prepare world --questions 1000 --seed 152 --legs 16 22 --seconds 25 45 --out "$out/long.jsonl"
  "$python" -m training.spread --model "$start" --samples "$out/long.jsonl" --tries 4 --out "$out/hard.jsonl"
fi

grpo() { # NAME MODEL STEPS SEED ARGUMENT...
  local name=$1 model=$2 steps=$3 seed=$4
  shift 4
  "$python" -m training.grpo --model "$model" --judge "$start" --samples "$out/hard.jsonl" --format compact --prompts-per-step 8 \
    --micro-batch 64 --max-completion-length 800 --max-steps "$steps" --learning-rate 1e-4 --beta 0.001 --seed "$seed" "$@" --out "$out/$name"
}

[[ $# -gt 0 ]] || set -- 0 1 2
for seed; do
  "$python" -m training.sft --init "$start" --steps 1800 --learning-rate 5e-4 --seed "$seed" --out "$out/sft-$seed"
  grpo "accuracy-$seed" "$start" 60 "$seed" --weights 3:7:0
  grpo "staged-$seed" "$start" 60 "$seed"
  for questions in path rendered id; do
    "$python" -m training.evaluate --samples "$out/$questions.jsonl" --model "$out/sft-$seed" --against "$start"
    for run in accuracy staged; do
      "$python" -m training.evaluate --samples "$out/$questions.jsonl" --model "$out/$run-$seed" --against "$out/sft-$seed" --judge "$start"
    done
  done
done

"$python" -m training.sft --steps 1 --seed 0 --out "$out/untaught"
grpo scratch "$out/untaught" 20 0 --weights 3:7:0
"$python" -m training.evaluate --samples "$out/path.jsonl" --model "$out/scratch"
