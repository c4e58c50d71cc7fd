"""Write every episode of a text environment to a file, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym


class RecordTranscript(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """Append what was asked, answered and judged to ``path``, one line when an episode ends or is cut short.

    Fields: ``env``, ``messages`` (role and content, feedback included), ``rewards`` and ``infos`` (one per reply),
    ``info`` (of the reset) and ``ended``.

    Parameters
    ----------
    path
        The file; its folder must exist.

    Examples
    --------
    >>> import tempfile, gymnasium as gym, forge_gym
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "episodes.jsonl"
    >>> env = RecordTranscript(gym.make("Forge/TSP-v0"), path)
    >>> _ = env.reset(seed=1)
    >>> _ = env.step("no idea")
    >>> json.loads(path.read_text())["rewards"]
    [-1.0]
    """

    def __init__(self, env: gym.Env[str, str], path: str | Path) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, path=str(path))
        gym.Wrapper.__init__(self, env)
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise ValueError(f"path must be in a folder that exists, got {str(path)!r}")
        self._episode: dict[str, Any] | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode, after writing one that was cut short."""
        self._write(ended=False)
        prompt, info = self.env.reset(seed=seed, options=options)
        self._episode = {
            "env": None if self.env.spec is None else self.env.spec.id,
            "messages": [{"role": "user", "content": prompt}],
            "rewards": [],
            "infos": [],
            "info": info,
        }
        return prompt, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a step and note it."""
        feedback, reward, terminated, truncated, info = self.env.step(action)
        assert self._episode is not None
        said = {"role": "assistant", "content": action}, {"role": "user", "content": feedback}
        self._episode["messages"] += said
        self._episode["rewards"].append(float(reward))
        self._episode["infos"].append(info)
        if terminated or truncated:
            self._write(ended=True)
        return feedback, float(reward), terminated, truncated, info

    def close(self) -> None:
        """Write an episode that was cut short, and close the environment."""
        self._write(ended=False)
        super().close()

    def _write(self, ended: bool) -> None:
        if self._episode is not None:
            with self.path.open("a", encoding="utf-8") as file:  # ASCII alone: surrogates of a reply survive
                file.write(json.dumps(self._episode | {"ended": ended}) + "\n")
            self._episode = None
