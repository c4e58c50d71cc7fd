"""`trl grpo` trains on a generated folder with a reward that a dotted path names; no code of one's own."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import forge_gym
from forge_gym.core.rewards import REWARDS
from forge_gym.data.generate import generate

for _module in ("trl", "datasets"):
    pytest.importorskip(_module)


@pytest.mark.parametrize("name", REWARDS)
def test_every_scheme_is_a_reward_function_that_a_dotted_path_names(name: str) -> None:
    function = getattr(import_module("forge_gym.adapters.trl"), name)
    assert function.__name__ == name and function is getattr(import_module("forge_gym.adapters.trl"), name)
    tsp = forge_gym.problem("TSP", n=6)
    index, instance = next(tsp.graded_instances(seed=2))
    optimum = tsp.format(instance, tsp.reference(instance).solution)
    batch = {"completions": ["?", optimum], "spec": [tsp.spec(2, index)] * 2}
    bad, good = function(**batch)
    assert good > bad and pickle.loads(pickle.dumps(function))(**batch) == [bad, good]
    with pytest.raises(AttributeError, match="has no attribute 'teired'"):
        import_module("forge_gym.adapters.trl").teired  # noqa: B018


def test_trl_grpo_trains_and_evaluates(tiny_model: Path, tmp_path: Path) -> None:
    generate(forge_gym.problem("TSP", n=5), tmp_path / "rows", {"train": 8, "test": 4}, layout="trl", workers=1)
    command = [Path(sys.executable).with_name("trl"), "grpo", f"--model_name_or_path={tiny_model}"]
    command += [f"--dataset_name={tmp_path / 'rows'}", f"--output_dir={tmp_path / 'out'}", "--max_steps=2"]
    command += ["--reward_funcs", "forge_gym.adapters.trl.tiered", "forge_gym.adapters.trl.pairwise"]
    command += ["--num_generations=4", "--per_device_train_batch_size=8", "--max_completion_length=8"]
    command += [
        "--learning_rate=1e-3",
        "--logging_steps=1",
        "--report_to=none",
        "--bf16=false",
        "--use_cpu=true",
    ]
    command += ["--eval_strategy=steps", "--eval_steps=2", "--per_device_eval_batch_size=4"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    state = json.loads((tmp_path / "out" / "checkpoint-2" / "trainer_state.json").read_text())
    logs = [entry for entry in state["log_history"] if "reward" in entry]
    assert [entry["step"] for entry in logs] == [1, 2]
    for entry in logs:
        assert entry["rewards/tiered/mean"] == -1 and entry["rewards/pairwise/mean"] == 0
        assert entry["forge/malformed"] == 1 and "forge/TSP/malformed" not in entry
    (evaluation,) = [entry for entry in state["log_history"] if "eval_reward" in entry]
    assert evaluation["eval_rewards/tiered/mean"] == -1 and evaluation["eval_forge/malformed"] == 1
    assert (tmp_path / "out" / "model.safetensors").is_file()
