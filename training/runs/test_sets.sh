#!/usr/bin/env bash
# The questions that every row of the table in docs/results.md is measured on, into FOLDER: as in training (id), and away
# from it by one axis each. Their seeds were fixed before what is measured on them was trained.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1
world() { # NAME ARGUMENT...
  local name=$1
  shift
  [[ -s $folder/$name.jsonl ]] || .venv/bin/python -m training.prepare world "$@" --out "$folder/$name.jsonl"
}
world id --questions 2000 --seed 7
world rendered --questions 1000 --per-walk 10 --seed 8 --perception opencv
world objects --questions 480 --seed 51 --things 18 26
world path --questions 1600 --seed 52 --legs 16 22 --seconds 25 45
world nouns --questions 480 --seed 53 --nouns unseen
for moves in 0 1 2 3; do
  world "moves$moves" --questions 300 --seed "16$moves" --moves "$moves"
done
world circles --questions 300 --seed 164 --circles 0.5 --seconds 15 60
world wide --questions 300 --seed 165 --view-deg 120
# What robots without odometry see, of sites of their own.
training/runs/bags.sh "$folder/bags" 910001 910040 standard 24
