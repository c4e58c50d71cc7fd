"""Task files for EleutherAI's lm-evaluation-harness: ``forge_bench_v1``, and a task for each of its problems.

    lm_eval --include_path "$(python -m forge_gym.adapters.lm_eval)" --tasks forge_bench_v1 \
        --model hf --model_args pretrained=MODEL --apply_chat_template

The harness reads the YAML files of a folder; `FOLDER` is theirs, and running this package prints it. Metrics per task:
success, quality, skill and optimal, means over 100 instances; the group's are means over all 1,000.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Holds the task files."""

__all__ = ["FOLDER"]
