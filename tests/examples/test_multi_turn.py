"""The example of several turns at tiny size: from nothing to the table, resumed to the bit, and a given model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)

TINY = ["--sft-steps=6", "--sft-batch=8", "--steps=4", "--prompts=2", "--group=4", "--save-steps=2"]
TINY += ["--test-episodes=8", "--max-new-tokens=16"]
STAGES = ("1 turn", "other's feedback", "best of 3", "3 turns")


def run(root: Path, out: Path, *more: object) -> str:
    command = [sys.executable, root / "examples" / "multi_turn.py", f"--out={out}", *TINY, *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out.parent, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("turns") / "run"
    assert "quality of GRPO, 3 turns - GRPO, best of 3: " in run(root, out)
    return out


def test_from_nothing_to_a_table(whole: Path) -> None:
    results = json.loads((whole / "results.json").read_text())
    assert list(results["agents"]) == [f"{stage}, {name}" for stage in ("start", "GRPO") for name in STAGES]
    assert len(results["notes"]) == 6 and results["problem"] == "Knapsack"
    once, several = (results["agents"][f"GRPO, {name}"]["quality"] for name in ("1 turn", "3 turns"))
    assert len(once) == 8
    # The best reply counts, and the first one is the same.
    assert all(a <= b for a, b in zip(once, several, strict=True))
    assert [entry["step"] for entry in results["log"] if "reward" in entry] == [1, 2, 3, 4]


def test_feedback_is_in_the_words_of_the_model(whole: Path) -> None:
    """The tokens that `Rollout` trains on are those that the agent is asked with and the warm start has seen."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(whole / "sft")
    chat = [
        {"role": "user", "content": "c8 1x6 4x6 2x3 3x4 5x5 5x1 >"},
        {"role": "assistant", "content": "+ + - - - -"},
        {"role": "user", "content": "Revise it: 1 turn left. Answer in the same format."},
    ]
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    plain = "{}\n{} <eos>\n{}".format(*(message["content"] for message in chat))
    ids = tokenizer(plain)["input_ids"]
    assert tokenizer(rendered, add_special_tokens=False)["input_ids"] == ids
    assert ids.count(tokenizer.eos_token_id) == 1 and tokenizer.unk_token_id not in ids[-15:]


def test_a_stopped_run_ends_with_the_same_table(root: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    shutil.copytree(whole, out)
    for file in ("table.txt", "forge_gym.json", "model.safetensors"):  # as after the warm start
        (out / file).unlink()
    run(root, out)
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    tables = [(path / "table.txt").read_text().replace(str(path), "") for path in (out, whole)]
    assert tables[0] == tables[1]


def test_a_given_model_talks_in_its_chat_template(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "given"
    more = ('--parameters={"n": 8}', "--max-new-tokens=40", "--steps=1", "--test-episodes=2")
    run(root, out, "--model", tiny_model, *more)
    results = json.loads((out / "results.json").read_text())
    assert results["parameters"] == {"n": 8} and len(results["agents"]) == 8
