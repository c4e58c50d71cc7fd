"""Who may import whom: every import of the package, those inside functions too, against one table; and no cycle."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TOP = ("registration", "serving", "shared_texts", "_version")
"""Modules at the top level of the package."""
MAY_KNOW: dict[str, tuple[str, ...]] = {
    "core": (),
    "kinds": ("core",),
    "solvers": ("core",),
    "pictures": ("core",),
    "envs": ("core", "kinds", "solvers", "pictures"),
    "data": ("core", "kinds", "envs", "registration"),
    "wrappers": ("core", "kinds", "pictures"),
    "agents": ("core", "kinds", "wrappers"),
    "evaluation": ("core", "kinds", "pictures", "data", "wrappers", "agents", "registration", "_version"),
    "training": ("core", "kinds", "wrappers", "agents", "data", "evaluation", "registration"),
    "verification": ("core", "kinds", "solvers", "agents", "registration"),
    "adapters": ("core", "kinds", "data", "wrappers", "agents", "training", "evaluation", *TOP),
    "cli": (
        *(
            "core",
            "kinds",
            "pictures",
            "data",
            "wrappers",
            "agents",
            "training",
            "verification",
            "evaluation",
        ),
        *TOP,
    ),
    "registration": ("core", "wrappers"),
    "serving": ("core",),
    "shared_texts": ("core",),
    "_version": (),
    "": ("core", "data", "envs", "registration", "shared_texts", "_version"),
    "__main__": ("cli",),
}
"""What each package, or module at the top level, may import beside itself; "" is the package's own file."""


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the file of each module."""
    for folder in ("envs", "agents", "wrappers"):
        for file in (root / folder).rglob("*.py"):
            yield name_of(Path("forge_gym") / file.relative_to(root)), file
    for file in (root / "src" / "forge_gym").rglob("*.py"):
        yield name_of(file.relative_to(root / "src")), file


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported(module: str, file: Path) -> set[str]:
    """Return the modules, or names in them, that a module imports from the package, wherever in its code."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return {name for name in found if name.split(".")[0] == "forge_gym"}


def part(name: str) -> str:
    """Return which part of the package a module is in."""
    words = name.split(".")
    return words[1] if len(words) > 1 and words[1] in MAY_KNOW else ""


def test_every_import_is_in_the_table(root: Path) -> None:
    wrong = [
        f"{module} imports {name}"
        for module, file in sources(root)
        for name in sorted(imported(module, file))
        if part(name) not in (part(module), *MAY_KNOW[part(module)])
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_has_no_cycle() -> None:
    known: set[str] = set()
    while left := [name for name in MAY_KNOW if name not in known]:
        free = [name for name in left if set(MAY_KNOW[name]) <= known]
        assert free, f"a cycle among {left}"
        known.update(free)


def test_core_needs_nothing_else(root: Path, tmp_path: Path) -> None:
    """With all other packages deleted, every module of core is imported."""
    package = tmp_path / "forge_gym"
    package.mkdir()
    (package / "__init__.py").write_text("")
    shutil.copytree(root / "src" / "forge_gym" / "core", package / "core")
    names = [file.stem for file in (package / "core").glob("*.py") if file.stem != "__init__"]
    program = f"import importlib, sys\nfor name in {names}: importlib.import_module('forge_gym.core.' + name)\n"
    program += "print({name.split('.')[1] for name in sys.modules if name.startswith('forge_gym.')})"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert out.stdout.strip() == "{'core'}", out.stderr
