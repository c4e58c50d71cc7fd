"""Parity: one table of completions, scored through every adapter, and the same numbers to the last bit.

``python tests/adapters/test_parity.py`` writes the table to docs/adapters/parity.md. Adapters whose library is not
installed are compared by ``python tests/adapters/contracts.py``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest

import forge_gym
from forge_gym.core.answer import Thoughts
from forge_gym.core.env import TextEnv
from forge_gym.core.episode import Episode, Protocol
from forge_gym.core.verdict import Verdict
from forge_gym.kinds.schedule import Schedule

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adapters" / "parity.md"
SEED = 5


class Completion(NamedTuple):
    """A reply to an instance, and what it is."""

    problem: str
    spec: str
    kind: str
    text: str


@cache
def bank() -> tuple[Completion, ...]:
    """Return completions of every status to one graded instance of every problem."""
    found = []
    for name in forge_gym.problems():
        problem = forge_gym.problem(name, level=1)
        index, instance = next(problem.graded_instances(SEED))
        spec = problem.spec(SEED, index)
        solutions = {
            "trivial": problem.trivial(instance),
            "random": problem.random(instance, np.random.default_rng(0)),
            "greedy": problem.heuristic(instance),
            "optimal": problem.reference(instance).solution,
        }
        null = problem.format(instance, problem.null_answers(instance)[1])
        kinds = {
            "empty": "",
            "prose": "I would rather not say.",
            "stated twice": null * 2,
            "lone surrogate": "<answer>[\ud800]</answer>",
            "one element again and again": null,
            **{kind: problem.format(instance, solution) for kind, solution in solutions.items()},
        }
        foreign = (999, 0, 0) if isinstance(problem, Schedule) else 999
        kinds["optimal and a stranger"] = problem.format(instance, (*solutions["optimal"], foreign))
        kinds["optimal, after thoughts"] = f"<think>{null}</think> So: {kinds['optimal']}\n"
        found += [Completion(name, spec, kind, text) for kind, text in kinds.items()]
    return tuple(found)


@cache
def expected(scheme: str = "tiered") -> tuple[float, ...]:
    """Return the rewards as the definition says."""
    paid = [forge_gym.reward(scheme)(verdict(completion)) for completion in bank()]
    assert None not in paid
    return tuple(float(reward or 0.0) for reward in paid)


def verdict(completion: Completion) -> Verdict:
    problem, instance = forge_gym.from_spec(completion.spec)
    return problem.verify(instance, completion.text)


Scorer = Callable[..., list[float]]
ADAPTERS: dict[str, tuple[str, Scorer]] = {}
"""Name to the library it needs ('' for none) and a function from fields of `Protocol` to one number per completion."""


def adapter(name: str, library: str = "") -> Callable[[Scorer], Scorer]:
    def add(scorer: Scorer) -> Scorer:
        ADAPTERS[name] = library, scorer
        return scorer

    return add


@adapter("gym.make")
def _text_env(**protocol: Any) -> list[float]:
    paid = []
    for completion in bank():
        problem, instance = forge_gym.from_spec(completion.spec)
        env = TextEnv(problem, **protocol)
        env.reset(options={"instance": instance})
        paid.append(float(env.step(completion.text)[1]))
    return paid


@adapter("gym.make_vec")
def _vector(**protocol: Any) -> list[float]:
    paid: list[float] = []
    for name in forge_gym.problems():
        mine = [completion for completion in bank() if completion.problem == name]
        envs = gym.make_vec(f"Forge/{name}-v0", len(mine), level=1, **protocol)
        _, instance = forge_gym.from_spec(mine[0].spec)
        envs.reset(options={"instance": instance})
        paid += envs.step([completion.text for completion in mine])[1].tolist()
    return paid


@adapter("trl reward function")
def _trl(**protocol: Any) -> list[float]:
    from forge_gym.adapters.trl import RewardFunction

    found = RewardFunction(**protocol)(
        completions=[completion.text for completion in bank()],
        spec=[completion.spec for completion in bank()],
    )
    return [float(reward or 0.0) for reward in found]


@adapter("trl several turns")
def _turns(**protocol: Any) -> list[float]:
    paid = []
    for completion in bank():
        episode = Episode.of_spec(completion.spec, Protocol(**protocol))
        episode.say(completion.text)
        paid.append(float(episode.reward or 0.0))
    return paid


@adapter("verl")
def _verl(**protocol: Any) -> list[float]:
    from forge_gym.adapters.verl import compute_score

    return [compute_score(f"forge_gym/{each.problem}", each.text, each.spec, **protocol)["score"] for each in bank()]


@adapter("verifiers", "verifiers")
def _verifiers(**protocol: Any) -> list[float]:
    import asyncio

    import verifiers.v1 as vf

    from forge_gym.adapters.verifiers import ForgeData, ForgeTask, ForgeTaskConfig

    async def paid(each: Completion) -> float:
        data = ForgeData(prompt="?", spec=each.spec, problem=each.problem, level=1)
        trace = SimpleNamespace(root_reply=None, assistant_messages=[vf.AssistantMessage(content=each.text)], info={})
        return float(await ForgeTask(data, ForgeTaskConfig(**protocol)).forge(trace))

    return [asyncio.run(paid(each)) for each in bank()]


@adapter("OpenEnv", "openenv")
def _openenv(**protocol: Any) -> list[float]:
    from forge_gym.adapters.openenv import ForgeAction
    from forge_gym.adapters.openenv.server import ForgeEnvironment

    paid = []
    for each in bank():
        env = ForgeEnvironment(**protocol)
        env.reset(spec=each.spec)
        paid.append(float(env.step(ForgeAction(text=each.text)).reward))
    return paid


@adapter("GEM", "gem")
def _gem(**protocol: Any) -> list[float]:
    from forge_gym.adapters.gem import ForgeGemEnv

    paid = []
    for each in bank():
        env = ForgeGemEnv(each.problem, level=1, **protocol)
        env.set_state({"spec": each.spec, "replies": []})
        paid.append(float(env.step(each.text)[1]))
    return paid


@adapter("SkyRL")
def _skyrl(**protocol: Any) -> list[float]:
    from forge_gym.adapters.skyrl import ForgeSkyRLEnv

    rows = [{"reward_spec": {"ground_truth": each.spec}} for each in bank()]
    envs = [ForgeSkyRLEnv(protocol, row) for row in rows]
    return [float(env.step(each.text)["reward"]) for env, each in zip(envs, bank(), strict=True)]


@adapter("OpenRLHF", "torch")
def _openrlhf(**protocol: Any) -> list[float]:
    from forge_gym.adapters.openrlhf.reward import reward_func

    specs = [each.spec for each in bank()]
    prompts = [problem.prompt(instance) for problem, instance in map(forge_gym.from_spec, specs)]
    queries = [prompt + each.text for prompt, each in zip(prompts, bank(), strict=True)]
    found: list[float] = reward_func(queries, prompts, specs, **protocol)["rewards"].tolist()
    return found


@adapter("NeMo Gym", "nemo_gym")
def _nemo_gym(**protocol: Any) -> list[float]:
    import asyncio

    from forge_gym.adapters.nemo_gym.server import ForgeConfig, ForgeTurnsServer

    async def paid(each: Completion) -> float:
        config = ForgeConfig(host="", port=0, entrypoint="", name="forge", turns=1, **protocol)
        server = ForgeTurnsServer.model_construct(config=config)
        await server.reset({"spec": each.spec}, "session")
        part = SimpleNamespace(type="output_text", text=each.text)
        said = SimpleNamespace(type="message", role="assistant", content=[part])
        return float((await server.step(SimpleNamespace(output=[said]), {}, "session"))[1])

    return [asyncio.run(paid(each)) for each in bank()]


def test_the_bank_has_every_status_of_every_problem() -> None:
    seen = {(completion.problem, verdict(completion).status) for completion in bank()}
    assert len(seen) == 3 * len(forge_gym.problems())
    assert max(expected()) == 1.0 and min(expected()) == -1.0


@pytest.mark.parametrize("scheme", ["tiered", "linear", "binary"])
@pytest.mark.parametrize("name", list(ADAPTERS))
def test_every_adapter_pays_the_same(name: str, scheme: str) -> None:
    library, scorer = ADAPTERS[name]
    if library:
        pytest.importorskip(library, reason=f"needs {library}: python tests/adapters/contracts.py")
    assert scorer(reward=scheme) == list(expected(scheme))


@pytest.mark.parametrize(
    "thoughts",
    ["[/THINK]", {"end": "</reasoning>", "inside": True}, '{"end": "◁/think▷"}', {"end": "<|m|>final", "inside": True}],
)
@pytest.mark.parametrize("name", list(ADAPTERS))
def test_every_adapter_is_told_how_thoughts_end(name: str, thoughts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    library, scorer = ADAPTERS[name]
    if library:
        pytest.importorskip(library, reason=f"needs {library}: python tests/adapters/contracts.py")
    marks, pairs = Thoughts.of(thoughts), []
    for each in bank():
        if each.kind in ("greedy", "optimal", "one element again and again"):
            opened = "" if marks.inside else marks.start
            whole = f"{opened}{each.text}, or </think>{each.text}?{marks.end}{each.text}"
            pairs += [(each._replace(text=whole), verdict(each))]
            pairs += [(each._replace(text=f"{opened}{each.text}"), Verdict("malformed"))]
    monkeypatch.setattr(sys.modules[__name__], "bank", lambda: tuple(completion for completion, _ in pairs))
    assert scorer(thoughts=thoughts) == [forge_gym.reward("tiered")(due) for _, due in pairs]


def test_reasoning_gym_scores_the_quality() -> None:
    reasoning_gym = pytest.importorskip("reasoning_gym", reason="python tests/adapters/contracts.py")
    from forge_gym.adapters import task_name
    from forge_gym.adapters.reasoning_gym import register

    register()

    for each in bank():
        data = reasoning_gym.create_dataset(task_name(each.problem), size=1, seed=0)
        assert data.score_answer(each.text, {"metadata": {"spec": each.spec}}) == verdict(each).quality


def test_the_taskset_says_which_extra_it_needs() -> None:
    code = "import sys; sys.modules['verifiers'] = None; import forge_gym_taskset"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert "forge_gym_taskset needs verifiers" in last and 'pip install "forge-gym[verifiers]"' in last


TABLE = """\
# Parity

One instance of every problem, eleven completions each, and what the `tiered` reward pays for them. Each of these
adapters gets the same completions and pays the same, to the last bit, under this scheme and two others:
{adapters}.
reasoning-gym and lm-evaluation-harness have a scale of their own. They get the quality, which is the same too.
`tests/adapters/test_parity.py` compares them and writes this table.

| problem | {kinds} |
|---|{bars}
{rows}
## Contract tests

`python tests/adapters/contracts.py` makes an environment for each library, with this library alone. In it run the tests
of the adapter, of its parity, and of the code on its page. `--write` writes this table. The last runs:

"""


def page() -> str:
    """Return the page up to the last runs of the contract tests."""
    kinds = list(dict.fromkeys(completion.kind for completion in bank()))
    paid = dict(zip([(each.problem, each.kind) for each in bank()], expected(), strict=True))
    rows = (
        f"| {name} | " + " | ".join(f"{paid[name, kind]:.3f}" for kind in kinds) + " |\n"
        for name in forge_gym.problems()
    )
    return TABLE.format(
        adapters=", ".join(sorted(ADAPTERS, key=str.lower)),
        kinds=" | ".join(kinds),
        bars="--:|" * len(kinds),
        rows="".join(rows),
    )


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text().startswith(page())


if __name__ == "__main__":
    PAGE.write_text(page() + PAGE.read_text().partition("The last runs:\n\n")[2])
    missing = sorted({library for library, _ in ADAPTERS.values() if library and find_spec(library) is None})
    print(f"wrote {PAGE}; not compared here for want of: {', '.join(missing) or 'nothing'}")
