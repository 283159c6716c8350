#!/usr/bin/env bash
# The weights of data/reasoner, made again: supervised fine-tuning in two stages, each with the code of its time.
# The first stage is ended at its checkpoint of step 2,000; the second changed how things are sorted and how much is drilled.
# One thread of a 2-core machine: 13 minutes and 38 minutes. Ends with the figures on held-out questions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/setup.sh base training
python=$PWD/.venv/bin/python
out=$PWD/out/embedded
mkdir -p "$out"

stage() { # NAME COMMIT ARGUMENT...
  local name=$1 commit=$2
  shift 2
  [[ -d $out/$name-code ]] || git worktree add --detach "$out/$name-code" "$commit"
  (cd "$out/$name-code" && PYTHONPATH=$PWD OMP_NUM_THREADS=1 "$python" -m training.sft --out "$out/$name" "$@")
}

stage first e07f632 --tokens 22e6 --seed 0 &
first=$!
until [[ -s $out/first/checkpoint/tokenizer.json ]]; do
  kill -0 "$first"
  sleep 1
done
pkill -P "$first" || true
wait "$first" || true
stage second 0797433 --init "$out/first/checkpoint" --tokens 18e6 --learning-rate 1.6e-3 --seed 1
"$python" -m training.prepare world --questions 2000 --seed 7 --out "$out/heldout.jsonl"
"$python" -m training.evaluate --samples "$out/heldout.jsonl" --model "$out/second"
