#!/usr/bin/env bash
# The rows of docs/results.md about eyes with noise, into FOLDER: questions by the embedded reasoner, and places and
# numbers of landmarks. SEED draws walks, questions and noise; SCENES of 8 questions each, twice as many walks for places.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1 seed=$2 scenes=$3
noisy=(--noise 0.1 0.15 0.1)
right() { # NAME ARGUMENT...
  local samples=$folder/$1.jsonl
  .venv/bin/python -m training.prepare world --questions $((8 * scenes)) --seed "$seed" --out "$samples" "${@:2}"
  .venv/bin/python -m training.evaluate --samples "$samples" --answers "$folder/$1.answers.jsonl" | tee "$folder/$1.txt"
}
places() { # NAME ARGUMENT...
  .venv/bin/python -m training.world.landmark_figures --walks "$((2 * scenes))" --seed "$seed" "${@:2}" | tee "$folder/$1.txt"
}
right noisy --eyes boxes "${noisy[@]}"
right boxes --eyes boxes
right no_depth --eyes boxes --no-depth
right signs --eyes signs
right furnished --eyes boxes --furnished
places places --eyes boxes
places places_true --eyes boxes --odometry true
places places_no_depth --eyes boxes --no-depth
places places_no_depth_true --eyes boxes --no-depth --odometry true
places kinds --eyes boxes --furnished --of-a-kind 6
