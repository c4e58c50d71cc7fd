"""From-scratch models, demonstrations, fine-tuning and rejection sampling."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.agents import Task, make_agent
from forge_gym.training.demonstrations import (
    TEACHERS,
    Demonstrations,
    Example,
    rejection_sample,
    replies,
    search_trace,
)

NAMES = forge_gym.problems()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [("prose", "tags"), ("compact", "raw")])
def test_every_teacher_demonstrates_feasible_answers(name: str, form: tuple[str, str]) -> None:
    problem = forge_gym.problem(name, style=form[0], answer_format=form[1], level=0)
    for teacher in TEACHERS:
        examples = list(islice(Demonstrations([problem], mix={teacher: 1.0}, seed=3).stream(), 5))
        for example in examples:
            instance = problem.instance(3, example.index)
            verdict = problem.verify(instance, example.reply)
            assert example.prompt == problem.prompt(instance) and verdict.feasible
            assert verdict.optimal or teacher != "exact"


def test_the_mix_is_kept_and_streams_go_on_where_they_stopped() -> None:
    tsp, knapsack = forge_gym.problem("TSP", n=6), forge_gym.problem("Knapsack", n=6)
    given = Demonstrations([tsp, knapsack], mix={"exact": 3, "random": 1}, seed=1)
    first = list(islice(given.stream(), 400))
    assert list(islice(given.stream(first[199].index + 1), 200)) == first[200:]
    tours = [example for example in first if example.index % 2 == 0]
    optimal = [tsp.verify(tsp.instance(1, example.index), example.reply).optimal for example in tours]
    assert 0.65 < np.mean(optimal) < 0.9  # three in four, and a random tour of six cities may be optimal
    held = {example.prompt for example in first[:10]}
    without = Demonstrations([tsp, knapsack], seed=1, exclude=held)
    assert [example.index for example in islice(without.stream(), 3)] == [10, 11, 12]


def test_slips_explore() -> None:
    tsp = forge_gym.problem("TSP", n=8)
    greedy, slipping = (
        [e.reply for e in islice(Demonstrations([tsp], epsilon=epsilon).stream(), 50)] for epsilon in (0.0, 0.3)
    )
    assert sum(a != b for a, b in zip(greedy, slipping, strict=True)) > 25


def test_bad_mixes() -> None:
    tsp = forge_gym.problem("TSP")
    with pytest.raises(ValueError, match="did you mean 'greedy'"):
        Demonstrations([tsp], mix={"gredy": 1})
    with pytest.raises(ValueError, match="mix must have a positive share"):
        Demonstrations([tsp], mix={"greedy": 0})
    with pytest.raises(ValueError, match="problems must hold at least one"):
        Demonstrations([])


@pytest.mark.parametrize("name", NAMES)
def test_traces_end_with_the_best_they_name(name: str) -> None:
    problem = forge_gym.problem(name, level=2)
    for index in range(3):
        instance = problem.instance(4, index)
        trace = search_trace(problem, instance, np.random.default_rng(index))
        verdict = problem.verify(instance, trace)
        assert verdict.feasible
        assert verdict.skill >= problem.verify(instance, problem.format(instance, problem.heuristic(instance))).skill
        assert trace.splitlines()[-2].endswith(f"objective {verdict.objective}.")


class Parrot:
    """Gives the replies of a list, by sample."""

    name = "parrot"

    def __init__(self, replies: list[str]) -> None:
        self.replies = replies

    def answer(self, tasks: Any) -> list[str]:
        return [self.replies[task.sample] for task in tasks]


def test_rejection_sampling_keeps_the_best_once() -> None:
    tsp = forge_gym.problem("TSP", n=5)
    instances = [tsp.instance(0, index) for index in range(40)]
    replies = [tsp.format(instances[0], tour) for tour in ((0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (0, 2, 1, 3, 4))]
    kept = rejection_sample(Parrot([*replies, "?"]), tsp, instances, samples=4, skill=-1.0, batch_size=10)
    counts = Counter(example.index for example in kept)
    assert set(counts.values()) == {1}  # a tour and its reversal are one solution
    for example in kept:
        skills = [tsp.verify(instances[example.index], reply).skill for reply in replies]
        mine = tsp.verify(instances[example.index], example.reply).skill
        assert mine == max(skills) >= -1
        assert example.weight == pytest.approx(np.exp((mine - 1) / 0.3))
        assert example.prompt == tsp.prompt(instances[example.index])
    strict = rejection_sample(Parrot([*replies, "?"]), tsp, instances, samples=4, skill=1.0)
    assert {example.index for example in strict} < set(counts)
    assert rejection_sample(Parrot(["?"]), tsp, instances, samples=1, skill=-1.0) == []


def test_prompts_are_rendered_once_and_when_they_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    tsp = forge_gym.problem("TSP", n=5)
    instances, rendered = [tsp.instance(0, index) for index in range(6)], list[Any]()
    prompt = type(tsp).prompt

    def counted(self: Any, instance: Any) -> str:
        rendered.append(instance)
        return prompt(self, instance)

    monkeypatch.setattr(type(tsp), "prompt", counted)
    given = replies(Parrot(["a", "b", "c"]), tsp, instances, samples=3, batch_size=4)
    assert next(given) == ["a", "b", "c"] and rendered == instances[:2]
    assert list(given) == [["a", "b", "c"]] * 5 and rendered == instances


def small() -> Any:
    return forge_gym.problem("TSP", n=4, grid=3, style="compact", answer_format="raw")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    pytest.importorskip("transformers")
    from forge_gym.training.scratch import word_tokenizer

    texts = [f"{e.prompt} {e.reply}" for e in islice(Demonstrations([small()]).stream(), 300)]
    return word_tokenizer(texts)


def test_sizes_are_what_they_are_called(tokenizer: Any) -> None:
    from forge_gym.training.scratch import SIZES, build_model

    millions = {name: 13 * size.hidden**2 * size.layers / 1e6 for name, size in SIZES.items()}
    for name, found in millions.items():
        assert (name == "tiny" and found < 0.2) or found == pytest.approx(float(name[:-1]), rel=0.2)
    first, second, other = (build_model("tiny", tokenizer, seed=seed) for seed in (1, 1, 2))
    weights = [model.model.layers[0].mlp.up_proj.weight for model in (first, second, other)]
    assert (weights[0] == weights[1]).all() and not (weights[0] == weights[2]).all()
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        build_model("tin", tokenizer)


def test_fine_tuning_learns_and_resumes_bit_by_bit(tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from forge_gym.training.runs import finish, finished
    from forge_gym.training.scratch import build_model
    from forge_gym.training.sft import fine_tune

    class Killed(Exception):
        pass

    stream = Demonstrations([small()], mix={"exact": 1.0}).stream
    read = list[int]()

    def dying() -> Any:
        for example in stream():
            read.append(example.index)
            if len(read) > 25 * 16:
                raise Killed
            yield example

    whole, killed, resumed = (build_model("tiny", tokenizer, seed=0) for _ in range(3))
    settings: dict[str, Any] = {"steps": 40, "batch": 16, "learning_rate": 1e-2, "save_steps": 10}
    losses = fine_tune(whole, tokenizer, stream, tmp_path / "whole", **settings)
    assert len(losses) == 40 and np.mean(losses[-5:]) < 0.7 * losses[0]
    folder = tmp_path / "resumed"
    with pytest.raises(Killed):
        fine_tune(killed, tokenizer, dying, folder, **settings)
    assert (folder / "checkpoint-20").exists()
    assert fine_tune(resumed, tokenizer, stream, folder, **settings) == losses
    # Once more, as if killed after the last step: from the checkpoint before, not from the end.
    assert fine_tune(build_model("tiny", tokenizer), tokenizer, stream, folder, **settings) == losses
    saved = AutoModelForCausalLM.from_pretrained(folder)
    for a, b, c in zip(whole.parameters(), resumed.parameters(), saved.parameters(), strict=True):
        assert (a == b).all() and (a == c).all()
    assert AutoTokenizer.from_pretrained(folder).vocab == tokenizer.vocab and not finished(folder)
    finish(folder, small(), 5)
    assert finished(folder) and not list(folder.glob("checkpoint-*")) and not (folder / "README.md").exists()


def test_loss_is_on_the_replies(tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    import torch

    from forge_gym.training.scratch import build_model
    from forge_gym.training.sft import fine_tune, tokens

    rows = list(islice(Demonstrations([small()]).stream(), 2))
    model, nats, count = build_model("tiny", tokenizer, seed=0), 0.0, 0
    for row, found in zip(rows, tokens(tokenizer, rows), strict=True):
        prompt, ids = tokenizer(row.prompt)["input_ids"], found["input_ids"]
        assert tokenizer.decode(ids) == f"{row.prompt} {row.reply} {tokenizer.eos_token}"
        assert found["labels"] == [-100] * len(prompt) + ids[len(prompt) :]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, len(prompt) - 1 : -1]
        said = torch.tensor(ids[len(prompt) :])
        nats += float(torch.nn.functional.cross_entropy(logits, said, reduction="sum"))
        count += len(said)
    (loss,) = fine_tune(model, tokenizer, lambda: rows, tmp_path / "sft", steps=1, batch=2)
    assert loss == pytest.approx(nats / count, rel=1e-5)


def test_examples_come_as_often_as_they_weigh() -> None:
    from forge_gym.training.sft import epochs

    weights = {"a": 0.8, "b": 0.2, "c": 0.0, "d": 0.8}
    given = [Example(prompt, "?", weight) for prompt, weight in weights.items()]
    drawn = [example.prompt for example in islice(epochs(given, seed=1), 4500)]
    assert drawn == [example.prompt for example in islice(epochs(given, seed=1), 4500)]
    counts = Counter(drawn)
    assert abs(counts["a"] - counts["d"]) <= 1 and counts["a"] == pytest.approx(2000, rel=0.05)
    assert counts["b"] == pytest.approx(500, rel=0.15) and counts["c"] == 0
    with pytest.raises(ValueError, match="examples must hold at least one example, got none"):
        next(epochs([]))


def test_examples_that_end_too_soon_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from forge_gym.training.scratch import build_model
    from forge_gym.training.sft import fine_tune

    few = [Example("a", "b", index=i) for i in range(2)]
    with pytest.raises(ValueError, match="examples must last for 2 steps of 2, ended in step 1"):
        fine_tune(build_model("tiny", tokenizer), tokenizer, lambda: few, tmp_path / "sft", steps=2, batch=2)


def test_local_search_is_where_its_climb_ends() -> None:
    tsp = forge_gym.problem("TSP", n=9)
    instance = tsp.instance(1)
    task = Task(tsp, instance, ({"role": "user", "content": tsp.prompt(instance)},))
    (reply,) = make_agent("local-search").answer([task])
    (greedy,) = make_agent("greedy").answer([task])
    assert tsp.verify(instance, reply).skill >= tsp.verify(instance, greedy).skill == 0
