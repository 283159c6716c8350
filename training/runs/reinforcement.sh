#!/usr/bin/env bash
# What further training makes of the embedded reasoner: about ten minutes of one thread spent on more supervised fine-tuning,
# on GRPO for accuracy and format, and on GRPO with all three rewards in stages; and GRPO without any
# fine-tuning before it. GRPO sees answers alone, to those questions on which sampled answers differ: of what 60 simulated
# robots' own bags lead to, on observations without odometry, which the worked thoughts were not written for; and, so that
# what is won there is not lost elsewhere, of questions about rendered scenes with odometry.
#
#   training/runs/reinforcement.sh [START] [SEED...]     model to start from (the embedded reasoner); of the training (0 1 2)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
start=${1:-data/reasoner}
shift || true
[[ $# -gt 0 ]] || set -- 0 1 2
scripts/setup.sh base training
python=.venv/bin/python
out=out/reinforcement
export OMP_NUM_THREADS=1

training/runs/test_sets.sh "$out"
training/runs/bags.sh "$out/practice" 920001 920060 standard 36
if [[ ! -s $out/hard.jsonl ]]; then
  "$python" -m training.prepare world --questions 1000 --per-walk 10 --seed 18 --perception opencv --out "$out/practice/rendered.jsonl"
  for practice in seen rendered; do
    "$python" -m training.select_hard --model "$start" --samples "$out/practice/$practice.jsonl" --tries 4 --out "$out/practice/$practice.hard.jsonl"
  done
  cat "$out"/practice/{seen,rendered}.hard.jsonl >"$out/hard.jsonl"
fi

grpo() { # NAME MODEL STEPS SEED ARGUMENT...
  local name=$1 model=$2 steps=$3 seed=$4
  shift 4
  "$python" -m training.grpo --model "$model" --judge "$start" --samples "$out/hard.jsonl" --format compact --prompts-per-step 8 \
    --micro-batch 64 --max-completion-length 700 --max-steps "$steps" --learning-rate 1e-4 --beta 0.001 --seed "$seed" "$@" --out "$out/$name"
}

for seed; do
  "$python" -m training.sft --init "$start" --steps 1500 --learning-rate 5e-4 --seed "$seed" --out "$out/sft-$seed"
  grpo "accuracy-$seed" "$start" 60 "$seed" --weights 3:7:0
  grpo "staged-$seed" "$start" 60 "$seed"
  for questions in id rendered objects path nouns bags/seen; do
    "$python" -m training.evaluate --samples "$out/$questions.jsonl" --model "$out/sft-$seed" --against "$start"
    for run in accuracy staged; do
      "$python" -m training.evaluate --samples "$out/$questions.jsonl" --model "$out/$run-$seed" --against "$out/sft-$seed" --judge "$start"
    done
  done
done

"$python" -m training.sft --steps 1 --seed 0 --out "$out/untaught"
grpo scratch "$out/untaught" 20 0 --weights 3:7:0
"$python" -m training.evaluate --samples "$out/bags/seen.jsonl" --model "$out/scratch"
