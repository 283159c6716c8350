#!/usr/bin/env bash
# What the eye for boxes is right about over the wire and in process: 100 questions about ten recorded walks, first with
# the boxes of the same eye without pictures, then with boxes from a server of the OpenAI API and recorded depth.
#
#   training/runs/boxes_over_http.sh FOLDER [JITTER MISSED FALSE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1
noise=("${@:2}")
((${#noise[@]})) || noise=(0.05 0.05 0.03)
python=.venv/bin/python
mapfile -t seeds < <(seq 930001 930010)
asked=(--walks "${seeds[@]}" --questions 100 --per-walk 10 --seed 8)
[[ -d $folder/bags ]] || "$python" -m training.world.recording --seeds "${seeds[@]}" --depth --out "$folder/bags"
"$python" -m training.prepare world "${asked[@]}" --bags "$folder/bags" --out "$folder/recorded.jsonl"
"$python" -m training.prepare world "${asked[@]}" --eyes boxes --noise "${noise[@]}" --out "$folder/in_process.jsonl"
"$python" -m training.evaluate --samples "$folder/in_process.jsonl"
coproc server { exec "$python" -m training.world.box_server "$folder"/bags/seed* --noise "${noise[@]}"; }
# shellcheck disable=SC2154
trap 'kill "$server_PID"' EXIT
read -r url <&"${server[0]}"
"$python" -m embodied_r_ros evaluate "$folder/recorded.jsonl" --media "$folder/bags" --perception openai --eyes boxes \
  --vlm-url "$url" --depth-topic /camera/depth/image_raw/compressedDepth
