"""Show the episodes of a text environment to a human, as they happen."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import gymnasium as gym

from ..core.env import TextEnv
from ..core.verdict import STATUSES

_WIDTH = 500
"""Characters of a reply that are shown: its end, which holds the answer."""
_COLOURS = {"malformed": "red", "infeasible": "yellow", "feasible": "green"}


class HumanRender(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """Print the prompt of every episode, then each reply with its feedback, reward and quality.

    Text is coloured where the stream is a terminal. If the environment was made with
    ``render_mode="rgb_array"``, its picture is shown in a window too, where there is a display.

    Parameters
    ----------
    stream
        Where to print; standard output if None.

    Examples
    --------
    >>> import gymnasium as gym, forge_gym
    >>> env = HumanRender(gym.make("Forge/Knapsack-v0", n=4))
    >>> prompt, info = env.reset(seed=3)  # doctest: +ELLIPSIS
    0/1 knapsack problem: choose items ...
    >>> _ = env.step("The first two: <answer>[0, 1]</answer>")
    <BLANKLINE>
    > The first two: <answer>[0, 1]</answer>
    Your answer is infeasible: the weight is at most 828, got 1627.
    reward -0.829, quality 0.000
    """

    def __init__(self, env: gym.Env[str, str], stream: TextIO | None = None) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, stream=stream, _disable_deepcopy=True)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.unwrapped, TextEnv):
            inner = type(env.unwrapped).__name__
            raise ValueError(f"env must hold one of forge_gym's text environments, got {inner}")
        self.stream = stream
        self.metadata = {**self.metadata, "render_modes": [*self.metadata["render_modes"], "human"]}
        self._window: Any = None

    @property
    def render_mode(self) -> str:  # type: ignore[override] # as in Gymnasium's own wrapper
        """``human``, whatever the environment inside draws."""
        return "human"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start the next episode, and show its prompt."""
        prompt, info = self.env.reset(seed=seed, options=options)
        self._print(prompt)
        self._show()
        return prompt, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a step, and show the reply and what came of it."""
        feedback, reward, terminated, truncated, info = self.env.step(action)
        cut = "..." if len(action) > _WIDTH else ""
        self._print(f"\n> {cut}{action[-_WIDTH:]}", "cyan")
        self._print(feedback, _COLOURS[STATUSES[info["status"]]])
        self._print(f"reward {reward:+.3f}, quality {info['quality']:.3f}", "bold")
        self._show()
        return feedback, float(reward), terminated, truncated, info

    def render(self) -> None:
        """Do nothing: everything is shown when it happens."""

    def close(self) -> None:
        """Close the window and the environment."""
        if self._window is not None:
            import matplotlib.pyplot as plt

            plt.close(self._window)
            self._window = None
        super().close()

    def _print(self, text: str, style: str = "") -> None:
        from rich.console import Console
        from rich.text import Text

        stream = self.stream or sys.stdout
        # Control characters of a reply could drive the terminal, and not every stream can write every letter.
        shown = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        shown = shown.encode(encoding, "backslashreplace").decode(encoding)
        Console(file=stream, soft_wrap=True).print(Text(shown, style))

    def _show(self) -> None:
        """Show the picture of an environment that draws one; without a display it is drawn and not seen."""
        if self.env.render_mode != "rgb_array":
            return
        import matplotlib.pyplot as plt

        if self._window is None or not plt.fignum_exists(self._window.number):
            self._window = plt.figure(num=None, figsize=(4.8, 4.8))
        self._window.clear()
        axes = self._window.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(self.env.render())
        if self._window.canvas.required_interactive_framework:
            plt.pause(0.001)
        else:
            self._window.canvas.draw()
