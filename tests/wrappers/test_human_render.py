"""HumanRender: what a human sees, on a terminal, in a file, and without a display."""

from __future__ import annotations

import io
import warnings
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import forge_gym
from forge_gym.wrappers import HumanRender, Relabel, Skin


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def made(name: str = "Knapsack", **arguments: Any) -> gym.Env[str, str]:
    return gym.make(f"Forge/{name}-v0", **{"n": 8, "turns": 5, **arguments})


@pytest.mark.parametrize("name", forge_gym.problems())
def test_prompt_reply_feedback_reward_and_quality_are_shown(name: str) -> None:
    stream, plain = io.StringIO(), made(name)
    env = HumanRender(made(name), stream)
    prompt, info = env.reset(seed=1)
    assert (prompt, info) == plain.reset(seed=1) and stream.getvalue() == prompt + "\n"
    got = env.step("[bold]no <answer>[0, 0]</answer>")
    assert got == plain.step("[bold]no <answer>[0, 0]</answer>")
    shown = stream.getvalue().removeprefix(prompt + "\n")
    said = f"{got[0]}\nreward {got[1]:+.3f}, quality {got[4]['quality']:.3f}\n"
    assert shown == f"\n> [bold]no <answer>[0, 0]</answer>\n{said}"
    assert env.render_mode == "human" and env.render() is None  # type: ignore[func-returns-value]


def test_a_terminal_has_colours_and_a_reply_cannot_drive_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    env = HumanRender(made(), stream)
    env.reset(seed=1)
    env.step("\x1b[2J\ud800\x07" + "x" * 600 + "\x1b]0;title\x07<answer>[]</answer>")
    shown = stream.getvalue()
    assert "\x1b[32mYour answer is feasible" in shown and "\x1b[2J" not in shown and "\x07" not in shown
    assert "> ..." in shown and "x" * 501 not in shown and "<answer>[]</answer>" in shown


def test_streams_that_cannot_write_every_letter() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    env = HumanRender(made(), stream)
    env.reset(seed=1)
    env.step("naïve → []")
    stream.seek(0)
    assert "na\\xefve \\u2192 []" in stream.read()


def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    env = HumanRender(made())
    assert env.reset(seed=1)[0] in capsys.readouterr().out
    again = gym.make(env.spec)
    assert isinstance(again, HumanRender) and again.reset(seed=1)[0] in capsys.readouterr().out


@pytest.mark.parametrize("name", forge_gym.problems())
def test_pictures_are_drawn_without_a_display(name: str) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = HumanRender(made(name, render_mode="rgb_array"), io.StringIO())
        before = set(plt.get_fignums())
        env.reset(seed=1)
        (mine,) = set(plt.get_fignums()) - before
        first = bytes(plt.figure(mine).canvas.buffer_rgba())
        env.step("?")
        assert set(plt.get_fignums()) - before == {mine}
        assert bytes(plt.figure(mine).canvas.buffer_rgba()) != first  # the title tells the verdict
        plt.close(mine)  # a human closes the window
        env.reset()
        env.close()
        env.close()
        assert set(plt.get_fignums()) == before


def test_it_stands_outside_other_wrappers() -> None:
    stream = io.StringIO()
    env = HumanRender(gym.wrappers.TimeLimit(Relabel(Skin(made()), names=True), 1), stream)
    prompt, _ = env.reset(seed=1)
    assert env.step("?")[3] and prompt in stream.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        # Like Gymnasium's own wrapper it is put around an environment, not made with render_mode="human".
        check_env(HumanRender(made(), io.StringIO()), skip_render_check=True)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="env must hold one of forge_gym's text environments"):
        HumanRender(gym.make("CartPole-v1"))


def test_a_window_is_kept_up_to_date_where_there_is_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    env = HumanRender(made(render_mode="rgb_array"), io.StringIO())
    env.reset(seed=1)
    pauses: list[float] = []
    monkeypatch.setattr(plt, "pause", pauses.append)
    monkeypatch.setattr(type(plt.gcf().canvas), "required_interactive_framework", "tk")
    env.step("?")
    env.close()
    assert len(pauses) == 1
