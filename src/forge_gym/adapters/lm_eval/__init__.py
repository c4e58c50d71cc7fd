r"""Tasks for EleutherAI's lm-evaluation-harness: ``forge_bench_v1``, and a task for each of its problems.

    python -m forge_gym.adapters.lm_eval tasks
    lm_eval --include_path tasks --tasks forge_bench_v1 --model hf --model_args pretrained=MODEL --apply_chat_template

The harness reads the YAML files of a folder, and the first line writes them. Metrics per task: success, quality, skill
and optimal, means over 100 instances; the group's are means over all 1,000.
"""

from .tasks import write_tasks

__all__ = ["write_tasks"]
