#!/usr/bin/env bash
# GRPO of a real model on eight GPUs: rows with certified instances, TRL's own command, and a benchmark at the end.
# Every option of TRL works; `trl grpo --help` lists them. Needs: pip install "forge-gym[train]" vllm
set -euo pipefail
model=${1:-Qwen/Qwen2.5-7B-Instruct}
out=${2:-runs/grpo}

forge-gym generate --env TSP Knapsack GraphColoring --levels 0 1 2 3 --train 20000 --test 400 --layout trl --out "$out/rows"

# accelerate configurations that TRL ships: single_gpu, multi_gpu, zero1, zero2, zero3, fsdp1, fsdp2
trl grpo --accelerate_config zero2 --num_processes 8 \
    --model_name_or_path "$model" --dtype float32 --dataset_name "$out/rows" --output_dir "$out/model" \
    --reward_funcs forge_gym.adapters.trl.tiered --scale_rewards none --loss_type dr_grpo \
    --num_generations 8 --per_device_train_batch_size 4 --gradient_accumulation_steps 8 --max_steps 500 \
    --learning_rate 1e-6 --max_completion_length 4096 --mask_truncated_completions true --bf16 true \
    --use_vllm true --vllm_mode colocate --vllm_gpu_memory_utilization 0.3 \
    --eval_strategy steps --eval_steps 100 --per_device_eval_batch_size 8 --save_steps 100 --logging_steps 1 --report_to none

forge-gym eval --suite forge-bench-v1 --agent "vllm:$out/model" --max-new-tokens 4096
