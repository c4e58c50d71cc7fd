"""CP-SAT: what solving must not do to the process."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED = """
import os, signal
from ortools.sat.python import cp_model
from forge_gym.solvers.cpsat import solve

signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
model = cp_model.CpModel()
x = model.new_int_var(0, 5, "x")
model.maximize(x)
solve(model, 1_000_000)
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("told")
"""


def test_an_interrupt_after_solving_is_still_told_to_python() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert out.stdout == "told\n", out.stderr
