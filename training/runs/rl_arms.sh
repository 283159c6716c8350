#!/usr/bin/env bash
# Reinforcement learning where there is something to win: the reasoner is wrong most often at the start of a walk, after 1
# to 6 observations. Four arms go on from the same weights and learn from the same 1,500 questions about such starts, all
# eight tasks, exact observations; each takes the CPU time of 60 steps of GRPO, start-up and sampling counted in:
#
#   sft        stock supervised fine-tuning: the lessons as they are, 600 steps
#   grpo       GRPO on the answers, rewards for format and accuracy, 8 questions x 8 completions a step, 60 steps
#   rejection  8 replies to each of 480 questions, as many as GRPO samples; the right ones learnt, beside as many stock
#              lessons, in 300 steps
#   worked     worked thoughts on the same questions, beside as many stock lessons, 600 steps: an upper bound, since
#              nobody writes them for a robot
#
# Fixed before the first run: this file, seeds 0, 1, 2, and the sets: practice 71 (188 scenes), test 72 (2,000 questions,
# 252 scenes), in distribution 73 (500 questions about whole walks, 63 scenes); no scene is in two of them.
# Criterion: GRPO less stock fine-tuning on the test set, paired by question, mean of three seeds, Student's t interval over
# scenes. GRPO pays where the interval lies above 0 and it is not worse in distribution by more than 1 point.
# CPU time is counted, not wall time, since other work may share the machine, and the numbers of steps are fixed by what a
# step took in a trial (GRPO 9.7 s, fine-tuning 1.0 s, sampling 0.55 s a question, on busy cores).
#
#   training/runs/rl_arms.sh [START] [SEED...]     model to start from (the embedded reasoner); of the training (0 1 2)
#
# What is finished stays: start it again to go on. Ends with the table, in out/rl_arms/table.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
start=${1:-data/reasoner}
shift || true
[[ $# -gt 0 ]] || set -- 0 1 2
scripts/setup.sh base training
python=.venv/bin/python
out=out/rl_arms
export OMP_NUM_THREADS=1

questions() { # NAME ARGUMENT...
  local name=$1
  shift
  [[ -s $out/$name.jsonl ]] || "$python" -m training.prepare world "$@" --out "$out/$name.jsonl"
}

timed() { # NAME ARGUMENT...     of python; its user and system seconds are added to NAME.cpu
  local name=$1 TIMEFORMAT='%U %S'
  shift
  { time "$python" "$@" 2>&3; } 3>&2 2>>"$out/$name.cpu"
}

sft() { # NAME SEED STEPS ARGUMENT...
  local name=$1 seed=$2 steps=$3
  shift 3
  timed "$name" -m training.sft --init "$start" --steps "$steps" --learning-rate 5e-4 --seed "$seed" "$@" --out "$out/$name"
}

train() { # ARM SEED
  local name=$1-$2 seed=$2
  case $1 in
    sft) sft "$name" "$seed" 600 ;;
    worked) sft "$name" "$seed" 600 --samples "$out/practice.jsonl" ;;
    rejection)
      shuf -n 480 --random-source=<(yes "$seed") "$out/practice.jsonl" >"$out/$name.asked.jsonl"
      timed "$name" -m training.rejection_sampling --model "$start" --samples "$out/$name.asked.jsonl" --format compact \
        --max-completion-length 400 --seed "$seed" --out "$out/$name.right.jsonl"
      sft "$name" "$seed" 300 --samples "$out/$name.right.jsonl"
      ;;
    grpo)
      timed "$name" -m training.grpo --model "$start" --samples "$out/practice.jsonl" --format compact --weights 3:7:0 \
        --prompts-per-step 8 --micro-batch 64 --max-completion-length 400 --max-steps 60 --learning-rate 1e-4 \
        --beta 0.001 --seed "$seed" --out "$out/$name"
      ;;
  esac
}

evaluate() { # NAME MODEL
  local name=$1 model=$2 set judge
  for set in short id; do
    [[ -s $out/$name.$set.json ]] && continue
    judge=()
    [[ $set == id ]] || judge=(--judge "$start")
    "$python" -m training.evaluate --samples "$out/$set.jsonl" --model "$model" "${judge[@]}" --json \
      --answers "$out/$name.$set.jsonl" >"$out/$name.$set.part"
    mv "$out/$name.$set.part" "$out/$name.$set.json"
  done
}

mkdir -p "$out"
questions practice --questions 1500 --seed 71 --observations 1 6
questions short --questions 2000 --seed 72 --observations 1 6
questions id --questions 500 --seed 73

for seed; do
  for arm in grpo sft rejection worked; do
    if [[ ! -s $out/$arm-$seed/training.json ]]; then
      rm -rf "$out/$arm-$seed" "$out/$arm-$seed.cpu"
      train "$arm" "$seed"
    fi
    evaluate "$arm-$seed" "$out/$arm-$seed"
  done
done

# What they started from: an arm that takes no time and is the same with each seed.
evaluate start "$start"
for seed; do
  echo 0 >"$out/start-$seed.cpu"
  for set in short id; do
    cp "$out/start.$set.json" "$out/start-$seed.$set.json"
    cp "$out/start.$set.jsonl" "$out/start-$seed.$set.jsonl"
  done
done
"$python" -m training.arms "$out" --arms start sft grpo rejection worked --against sft --seeds "$@" --sets short id |
  tee "$out/table.md"
