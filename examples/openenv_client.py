"""Play the same instances as two agents at once, each in a session of its own on an OpenEnv server.

With no arguments this starts a server on the loopback interface and stops it at the end; ``--url`` plays on one that
runs. The agents are scripted: greedy, and a local search. A language model takes their place.

    python examples/openenv_client.py
    python examples/openenv_client.py --url http://127.0.0.1:8000 --problem Knapsack

Needs ``pip install "forge-gym[openenv]"``.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import forge_gym
from forge_gym.adapters.openenv import ForgeAction, ForgeClient
from forge_gym.agents import make_agent
from forge_gym.agents.agent import Task


@contextmanager
def server() -> Iterator[str]:
    """Start a server on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "forge_gym.adapters.openenv.server", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def play(url: str, problem: str, level: int, episodes: int) -> None:
    """Print what each agent is paid."""
    with ForgeClient(base_url=url).sync() as one, ForgeClient(base_url=url).sync() as other:
        for seed in range(episodes):
            for name, session in ("greedy", one), ("local-search", other):
                seen = session.reset(seed=seed, problem=problem, level=level, split="test")
                rebuilt, instance = forge_gym.from_spec(session.state().spec)  # a model reads the text alone
                task = Task(rebuilt, instance, ({"role": "user", "content": seen.observation.text},))
                (reply,) = make_agent(name).answer([task])
                seen = session.step(ForgeAction(text=reply))
                print(f"seed {seed}  {name:<12}  reward {seen.reward:+.3f}  {seen.observation.text}")


def main() -> None:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="")
    parser.add_argument("--problem", default="TSP", choices=forge_gym.problems())
    parser.add_argument("--level", type=int, default=4)
    parser.add_argument("--episodes", type=int, default=3)
    given = parser.parse_args()
    if given.url:
        play(given.url, given.problem, given.level, given.episodes)
        return
    with server() as url:
        play(url, given.problem, given.level, given.episodes)


if __name__ == "__main__":
    main()
