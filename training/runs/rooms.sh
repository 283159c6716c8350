#!/usr/bin/env bash
# What the shipped reasoner is right about in rooms of one's own, one walk through each, into FOLDER: with exact
# observations, and with boxes and depth at 5 % jitter, 5 % missed, 3 % false.
#
#   training/runs/rooms.sh FOLDER LAYOUT...
set -euo pipefail
folder=$(realpath -m "$1") rooms=()
shift
for room in "$@"; do rooms+=("$(realpath "$room")"); done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=.venv/bin/python
count=$((8 * ${#rooms[@]}))
asked=(--layouts "${rooms[@]}" --questions "$count" --seed 8)
"$python" -m training.prepare world "${asked[@]}" --out "$folder/exact.jsonl"
"$python" -m training.evaluate --samples "$folder/exact.jsonl"
"$python" -m training.prepare world "${asked[@]}" --eyes boxes --noise 0.05 0.05 0.03 --out "$folder/boxes.jsonl"
"$python" -m training.evaluate --samples "$folder/boxes.jsonl"
