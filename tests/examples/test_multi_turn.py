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

TINY = [
    "--sft-steps=6", "--sft-batch=8", "--steps=4", "--prompts=2", "--group=4", "--save-steps=2", "--test-episodes=8",
    "--eval-steps=4",
]  # fmt: skip
STAGES = ("1 turn", "other's feedback", "3 turns")


def run(root: Path, out: Path, *more: object, status: int = 0) -> str:
    command = [
        sys.executable,
        root / "examples" / "train_multi_turn.py",
        f"--out={out}",
        *TINY,
        *map(str, more),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out.parent, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("turns") / "run"
    assert "GRPO, 3 turns - best of 3 samples, paired: quality" in run(root, out)
    return out


def test_from_nothing_to_a_table(whole: Path) -> None:
    results = json.loads((whole / "results.json").read_text())
    assert list(results["agents"]) == [f"{stage}, {name}" for stage in ("start", "GRPO") for name in STAGES]
    assert len(results["gains"]) == 6
    for row in results["agents"].values():
        assert row["episodes"] == 8 and row["problem"] == "Knapsack"
    for gain in results["gains"].values():
        assert all(low <= mean <= high for mean, low, high in gain.values())
    for metric in ("quality", "success"):  # the best reply counts, and the first one is the same
        assert results["gains"]["GRPO, 3 turns - 1 turn"][metric][1] >= 0
    log = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log if "reward" in entry] == [1, 2, 3, 4]


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


def test_a_stopped_run_ends_with_the_same_weights(root: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    shutil.copytree(whole, out)
    for folder in ("final", "checkpoint-4"):
        shutil.rmtree(out / folder)
    run(root, out)
    for file in ("final/model.safetensors", "results.json"):
        assert (out / file).read_bytes() == (whole / file).read_bytes()


def test_the_warm_start_has_one_problem(root: Path, tmp_path: Path) -> None:
    said = run(root, tmp_path / "run", "--problem", "TSP", "Knapsack", status=1)
    assert "problem must be one, and of one size" in said and not (tmp_path / "run").exists()


def test_a_given_model_talks_in_its_chat_template(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "given"
    more = ("--levels=0", "--micro-batch=4", "--max-completion-length=300", "--steps=1", "--test-episodes=2")
    run(root, out, "--model", tiny_model, *more)
    results = json.loads((out / "results.json").read_text())
    assert list(results["agents"]) == [f"{stage}, {name}" for stage in ("start", "GRPO") for name in STAGES]
