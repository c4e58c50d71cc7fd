"""Policies of Stable-Baselines3 as text agents, and the policy that treats elements alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib")

import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

import forge_gym
from forge_gym.agents import make_agent
from forge_gym.agents.sb3 import SB3Agent
from forge_gym.core.env import TextEnv
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.evaluation.statistics import brief
from forge_gym.training.element_policy import ElementPolicy, MaskableElementPolicy, Scores
from forge_gym.wrappers import Construct, Improve

NAMES = forge_gym.problems()
SMALL = {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "device": "cpu", "seed": 0}


def small(name: str) -> Any:
    return forge_gym.problem(name, level=0)


def trained(name: str, view: Any = Construct, algorithm: Any = MaskablePPO, policy: Any = "MultiInputPolicy") -> Any:
    envs = make_vec_env(lambda: view(TextEnv(small(name))), 2, seed=0)
    return algorithm(policy, envs, **SMALL).learn(32)


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_trains_and_answers_feasibly(name: str) -> None:
    problem = small(name)
    agent = SB3Agent(trained(name, policy=MaskableElementPolicy))
    found = evaluate(agent, problem, held_out(problem, 5))
    assert found.estimate("success").mean == 1.0 and agent.name == "sb3:MaskablePPO"


@pytest.mark.parametrize("name", ["TSP", "SetCover", "GraphColoring"])
def test_improving_never_falls_below_greedy(name: str) -> None:
    problem = small(name)
    found = evaluate(SB3Agent(trained(name, Improve, PPO)), problem, held_out(problem, 5))
    assert found.estimate("success").mean == 1.0 and min(found.values("skill")) >= 0


def test_the_reply_is_what_the_policy_builds() -> None:
    problem, model = small("Knapsack"), trained("Knapsack")
    (instance,) = held_out(problem, 1)
    env = Construct(TextEnv(problem))
    observation, _ = env.reset(options={"instance": instance})
    over = False
    while not over:
        action, _ = model.predict(observation, action_masks=env.action_masks(), deterministic=True)
        observation, _, over, *_ = env.step(action)
    agent = SB3Agent(model)
    found = evaluate(agent, problem, [instance] * 3)
    assert env.text_env.verdict is not None
    assert {verdicts[0] for verdicts in found.verdicts} == {brief(env.text_env.verdict)}


@pytest.mark.parametrize(
    ("algorithm", "view"), [(MaskablePPO, Construct), (PPO, Improve), (A2C, Improve), (DQN, Improve)]
)
def test_a_saved_model_answers_alike(algorithm: Any, view: Any, tmp_path: Path) -> None:
    problem = small("TSP")
    envs = make_vec_env(lambda: view(TextEnv(problem)), 1, seed=0)
    options = {} if algorithm is not DQN else {"buffer_size": 100, "learning_starts": 8}
    model = algorithm("MultiInputPolicy", envs, device="cpu", seed=0, **options)
    if algorithm is DQN:
        model.learn(20)
    model.save(tmp_path / "model.zip")
    instances = held_out(problem, 4)
    found = [
        evaluate(agent, problem, instances).verdicts
        for agent in (SB3Agent(model), make_agent(f"sb3:{tmp_path / 'model.zip'}"))
    ]
    assert found[0] == found[1]


def test_normalised_observations() -> None:
    problem = small("TSP")
    keys = ["elements", "links", "solution", "progress"]
    envs = VecNormalize(
        make_vec_env(lambda: Improve(TextEnv(problem)), 2, seed=0), norm_reward=False, norm_obs_keys=keys
    )
    model = PPO("MultiInputPolicy", envs, **SMALL).learn(64)
    agent = SB3Agent(model, view=lambda env: Improve(env, steps=4), normalize=envs)
    assert min(evaluate(agent, problem, held_out(problem, 5)).values("skill")) >= 0
    seen = envs.normalize_obs(Improve(TextEnv(problem)).reset(seed=0)[0])
    assert abs(float(seen["elements"].mean())) < 5 and set(np.unique(seen["action_mask"])) <= {0, 1}


def test_sb3_contribs_own_evaluation_finds_the_masks() -> None:
    model = trained("TSP")
    mean, _ = evaluate_policy(model, make_vec_env(lambda: Construct(TextEnv(small("TSP"))), 1, seed=3), 3, warn=False)
    assert -0.25 <= mean <= 1


def test_misuse_is_explained(tmp_path: Path) -> None:
    model = trained("TSP")
    with pytest.raises(ValueError, match="model must be trained in the spaces of Knapsack as it is asked"):
        evaluate(SB3Agent(model), small("Knapsack"), held_out(small("Knapsack"), 1))
    (tmp_path / "text.zip").write_text("no archive")
    for path in (tmp_path / "missing.zip", tmp_path / "text.zip"):
        with pytest.raises(ValueError, match="model must be a file that a model's save wrote"):
            make_agent(f"sb3:{path}")


@pytest.mark.parametrize("name", NAMES)
def test_renumbering_the_elements_renumbers_the_scores(name: str) -> None:
    torch.manual_seed(0)
    problem = small(name)
    env = Construct(TextEnv(problem), size=problem.instance().size + 2)
    extract = Scores(env.observation_space, width=16).eval()
    for seed in range(3):
        instance = problem.instance(seed)
        order = np.random.default_rng(seed).permutation(instance.size)
        scores = []
        for asked in (instance, instance.relabelled(order.tolist())):
            observation, _ = env.reset(options={"instance": asked})
            batch = {key: torch.as_tensor(array)[None].float() for key, array in observation.items()}
            if problem.solutions == "an assignment":  # the next element is another one there: the same one is marked
                batch["solution"][..., 1] = 0
            scores.append(extract(batch)[0].detach().numpy())
        per = env.encoder.choices // env.encoder.size if problem.solutions == "a schedule" else 1
        here, there = (found[: instance.size * per].reshape(instance.size, per) for found in scores)
        if problem.solutions != "an assignment":  # labels are no elements
            assert np.allclose(there[order], here, atol=1e-4)
        assert np.allclose(scores[0][env.actions :], scores[1][env.actions :], atol=1e-4)


def test_padding_does_not_change_the_scores() -> None:
    problem = small("TSP")
    instance, found = problem.instance(1), []
    for size in (problem.n, problem.n + 4):
        env = Construct(TextEnv(problem), size=size)
        torch.manual_seed(0)
        extract = Scores(env.observation_space, width=16).eval()
        observation, _ = env.reset(options={"instance": instance})
        batch = {key: torch.as_tensor(array)[None].float() for key, array in observation.items()}
        found.append(extract(batch)[0, : problem.n].detach().numpy())
    assert np.allclose(*found, atol=1e-4)


def test_a_plain_ppo_can_use_it_too() -> None:
    model = trained("Knapsack", algorithm=PPO, policy=ElementPolicy)
    assert isinstance(model.policy.features_extractor, Scores)
    assert model.policy.action_net(torch.arange(30.0)[None]).shape[1] == model.action_space.n


def test_environments_in_processes_of_their_own() -> None:
    import cloudpickle
    from sb3_contrib.common.maskable.utils import get_action_masks
    from stable_baselines3.common.vec_env import SubprocVecEnv

    # The new processes cannot import this file under the name that pytest gives it.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    envs = make_vec_env(
        lambda: Construct(TextEnv(small("TSP"))),
        2,
        seed=5,
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "spawn"},
    )
    try:
        seen = envs.reset()
        here = [Construct(TextEnv(small("TSP"))).reset(seed=5 + i)[0] for i in range(2)]
        assert all(np.array_equal(seen[key][i], here[i][key]) for i in range(2) for key in here[i])
        assert get_action_masks(envs).shape == (2, small("TSP").n)
    finally:
        envs.close()
