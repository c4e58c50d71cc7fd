"""What is installed: every folder, a cheap import, extras left alone."""

from __future__ import annotations

import configparser
import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import forge_gym

PROBE = """
import json, resource, sys, threading
import forge_gym
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"modules": sorted(sys.modules), "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024,
                  "threads": threading.active_count()}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, object]:
    result = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_importing_loads_nothing_heavy(imported: dict[str, object]) -> None:
    modules = imported["modules"]
    assert isinstance(modules, list)
    heavy = {
        "torch", "ortools", "matplotlib", "networkx", "transformers", "trl", "datasets", "pandas", "scipy", "rich",
        "pettingzoo", "stable_baselines3",
    }  # fmt: skip
    assert not heavy & set(modules)
    assert not [name for name in modules if name.startswith("forge_gym.envs.")]  # imported when first asked for
    assert imported["threads"] == 1


def test_the_list_of_packages_is_complete(root: Path) -> None:
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    inside = {path.parent.relative_to(root / "src") for path in (root / "src").rglob("__init__.py")}
    outside = {"forge_gym.envs", "forge_gym.agents", "forge_gym.wrappers"}
    assert listed == {path.as_posix().replace("/", ".") for path in inside} | outside
    lines = config["options"]["package_dir"].strip().splitlines()
    mapped = {name.strip(): folder.strip() for name, _, folder in (line.partition("=") for line in lines)}
    assert mapped == {"": "src", **{name: name.rpartition(".")[2] for name in outside}}


def test_a_plain_install_needs_no_torch(root: Path) -> None:
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    plain = config["options"]["install_requires"].lower()
    assert not any(name in plain for name in ("torch", "transformers", "trl", "stable", "pettingzoo", "matplotlib"))
    constraints = (root / "constraints.txt").read_text().lower()
    for extra in config["options.extras_require"].values():
        for line in extra.split():
            name = re.split(r"[<>\[]", line)[0].lower()
            assert name.startswith("forge-gym") or f"\n{name}==" in constraints, f"{name} has no tested version"


def build_wheel(root: Path, folder: Path, **environment: str) -> Path:
    """Build the wheel of this checkout from a copy, since a build leaves folders behind."""
    ignored = shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__", "site", "*.so")
    shutil.copytree(root, folder / "source", ignore=ignored)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(folder / "source")]
    if subprocess.run(build, env={**os.environ, **environment}).returncode != 0:
        pytest.skip("needs a package index")
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(root, tmp_path_factory.mktemp("wheel"))


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a compiler")
def test_a_wheel_has_the_compiled_module_for_every_python(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name
    assert [name for name in zipfile.ZipFile(wheel).namelist() if "/_clique." in name and not name.endswith(".pyi")]


@pytest.mark.slow
def test_a_wheel_that_was_built_without_a_compiler(root: Path, tmp_path: Path) -> None:
    path = build_wheel(root, tmp_path, CC="/bin/false")
    zipfile.ZipFile(path).extractall(tmp_path / "installed")
    assert not list((tmp_path / "installed").rglob("*.so"))
    program = """if True:
        import forge_gym
        from forge_gym.solvers import clique
        problem = forge_gym.problem("MaxClique")
        print(clique.search is clique.branch_and_bound, problem.reference(problem.instance(0)).proven)
    """
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "True True\n", done.stdout + done.stderr


@pytest.mark.parametrize(
    "python",
    [
        sys.executable,
        pytest.param("python3.12", marks=pytest.mark.slow),
        pytest.param("python3.13", marks=pytest.mark.slow),
    ],
    ids=["this python", "3.12", "3.13"],
)
def test_a_wheel_without_extras(python: str, wheel: Path, root: Path, tmp_path: Path) -> None:
    if shutil.which(python) is None:
        pytest.skip(f"needs {python}")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    inside = tmp_path / "venv" / "bin" / "python"
    install = [inside, "-m", "pip", "install", "-q", "-c", root / "constraints.txt", wheel]
    subprocess.run(install, check=True)
    (tmp_path / "empty").mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    smoke = [inside, root / "tests" / "smoke.py"]
    done = subprocess.run(smoke, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_typing_marker_and_version() -> None:
    assert importlib.resources.files("forge_gym").joinpath("py.typed").is_file()
    assert forge_gym.__version__.count(".") == 2
    out = subprocess.run([sys.executable, "-m", "forge_gym", "--version"], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == forge_gym.__version__


def test_a_stray_import_from_the_root_fails_loudly(root: Path) -> None:
    """`envs` beside the checkout must not become a second copy of `forge_gym.envs`."""
    out = subprocess.run([sys.executable, "-c", "import envs.tsp"], cwd=root, capture_output=True, text=True)
    assert out.returncode != 0 and "beyond top-level package" in out.stderr
