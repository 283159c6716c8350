#!/usr/bin/env bash
# What simulated robots' own bags teach: sites FIRST to LAST are recorded into FOLDER/bags, questions made from odometry and
# tags into FOLDER/asked.jsonl, and joined by what is perceived without odometry in FOLDER/seen.jsonl.
#
#   training/runs/bags.sh FOLDER FIRST LAST CAMERA PER_BAG [ARGUMENT...]     of `prepare bag`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1 first=$2 last=$3 camera=$4 per_bag=$5
shift 5
python=.venv/bin/python
if [[ ! -s $folder/bags/labels.yaml ]]; then
  # shellcheck disable=SC2046
  "$python" -m training.world.recording --seeds $(seq "$first" "$last") --out "$folder/bags" \
    --labels "$folder/bags/labels.yaml" --camera "$camera" --replace
fi
[[ -s $folder/asked.jsonl ]] ||
  "$python" -m training.prepare bag "$folder"/bags/seed* --per-bag "$per_bag" --seed 32 "$@" --out "$folder/asked.jsonl"
# Without odometry the way is measured by what two key frames both show: they must not lie too far apart.
"$python" -m training.perceive --samples "$folder/asked.jsonl" --max-gap 0.5 --out "$folder/seen.jsonl"
