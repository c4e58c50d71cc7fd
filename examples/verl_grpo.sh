#!/usr/bin/env bash
# Train a language model on the travelling salesman problem with GRPO by verl 0.9.1, on one node with CUDA.
#
#   bash examples/verl_grpo.sh                                                    # one reply per episode
#   bash examples/verl_grpo.sh actor_rollout_ref.rollout.agent.default_agent_loop=forge   # three turns
#   bash examples/verl_grpo.sh trainer.n_gpus_per_node=8 actor_rollout_ref.model.path=Qwen/Qwen2.5-7B-Instruct
#
# Needs an environment of its own, since verl wants another version of transformers than TRL. In a clone:
#
#   pip install "verl[verl-core]==0.9.1" vllm .
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export FORGE_CONFIGS="$here/configs"
export FORGE_OUT="${FORGE_OUT:-$PWD/runs/verl-tsp}"

forge-gym generate --env TSP --levels 2 3 4 5 --train "${FORGE_ROWS:-6400}" --validation 128 --layout verl \
    --out "$FORGE_OUT/rows"
if [[ "${FORGE_ROWS_ONLY:-}" == 1 ]]; then exit; fi
exec python -m verl.trainer.main_ppo --config-path "$FORGE_CONFIGS" --config-name verl_grpo "$@"
