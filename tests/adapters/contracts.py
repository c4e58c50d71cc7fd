"""Test each adapter against its library, in an environment that has this library alone.

    python tests/adapters/contracts.py                # all of them, one after another
    python tests/adapters/contracts.py gem verifiers  # some
    python tests/adapters/contracts.py --write        # and put the table into docs/adapters/parity.md

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adapters" / "parity.md"
HEADER = (
    "| library | version | Python | passed | failed | skipped | seconds | date |\n|---|---|---|--:|--:|--:|--:|---|\n"
)
SCHEMES = ("tiered", "linear", "binary")
"""The rewards that the test of parity compares."""


class Library(NamedTuple):
    """What an environment has, and which tests run in it."""

    version: str
    """What pip is asked for."""
    tests: str
    """Names of test files in this folder."""
    parity: str = ""
    """Name in test_parity.py."""
    page: str = ""
    """Name of the page in docs/adapters whose code is run."""
    extra: str = ""
    """Extra of forge-gym that has the library."""
    also: str = ""
    """More packages, which the tests need or the library does not ask for."""
    first: str = ""
    """Packages that must be there before the library is installed."""
    options: str = ""
    """Options for pip when it installs the library."""
    python: str = "python3.11"


LIBRARIES = {
    "gem": Library("gem-llm==0.1.0", "test_gem", "GEM", "gem", also="requests"),
    "inspect": Library("inspect-ai==0.3.285", "test_inspect_ai", page="inspect", extra="inspect", also="openai"),
    "lm-eval": Library("lm-eval==0.4.13", "test_lm_eval", extra="lm-eval"),
    # It asks for Python 3.13.14.
    "nemo-gym": Library(
        *("nemo-gym==0.7.0", "test_nemo_gym", "NeMo Gym", "nemo_gym"),
        options="--ignore-requires-python",
        python="python3.13",
    ),
    "openenv": Library("openenv==0.10.0", "test_openenv", "OpenEnv", "openenv", "openenv"),
    # Its flash-attn looks for torch while it is built, and is built without CUDA here: see ENVIRONMENT.
    "openrlhf": Library(
        *("openrlhf==0.11.2", "test_openrlhf", "OpenRLHF", "openrlhf"),
        first="torch setuptools wheel packaging psutil ninja",
        options="--no-build-isolation",
    ),
    "reasoning-gym": Library("reasoning-gym==0.1.25", "test_reasoning_gym", extra="reasoning-gym"),
    "skyrl": Library("skyrl-gym==0.4.0", "test_skyrl", "SkyRL", "skyrl", "skyrl"),
    "verifiers": Library("verifiers==0.4.0", "test_verifiers", "verifiers", "verifiers", "verifiers", "uv"),
    "verl": Library("verl[verl-core]==0.9.1", "test_verl", "verl", "verl"),
}
ENVIRONMENT = {"FLASH_ATTENTION_SKIP_CUDA_BUILD": "TRUE"}


class Result(NamedTuple):
    """A row of the table."""

    library: str
    version: str
    python: str
    passed: int
    failed: int
    skipped: int
    seconds: int
    date: str

    def __str__(self) -> str:
        return "| " + " | ".join(map(str, self)) + " |\n"


def build(folder: Path, library: Library) -> Path:
    """Make the environment and return its Python."""
    subprocess.run([library.python, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    package = f"{ROOT}[{library.extra}]" if library.extra else str(ROOT)
    for what in (
        library.first,
        f"{library.options} {library.version}",
        f"pytest pytest-xdist hypothesis {library.also} -e {package}",
    ):
        if what:
            command = [python, "-m", "pip", "install", "--quiet", *what.split()]
            subprocess.run(command, check=True, env=os.environ | ENVIRONMENT)
    return python


def check(name: str, folder: Path) -> Result:
    """Run the tests of one library in an environment in ``folder``."""
    library, start = LIBRARIES[name], time.monotonic()
    python, report = build(folder / "venv", library), folder / "report.xml"
    tests = [f"tests/adapters/{library.tests}.py"]
    if library.parity:
        same = "tests/adapters/test_parity.py::test_every_adapter_pays_the_same"
        tests += [f"{same}[{library.parity}-{scheme}]" for scheme in SCHEMES]
    if library.page:
        tests.append(f"tests/test_docs.py::test_python_runs[docs/adapters/{library.page}.md]")
    command = [python, "-m", "pytest", "-q", "-n0", "-rs", "-p", "no:cacheprovider", f"--junitxml={report}"]
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    subprocess.run([*command, *tests], cwd=ROOT, check=False, env=os.environ | {"PATH": path})
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    total, failures, errors, skipped = (int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors
    package, _, version = library.version.partition("==")
    return Result(
        *(name, f"{package.partition('[')[0]} {version}", library.python.removeprefix("python")),
        *(total - failed - skipped, failed, skipped),
        *(round(time.monotonic() - start), date.today().isoformat()),
    )


def write(results: list[Result]) -> None:
    """Put the rows of ``results`` into the page, in place of older ones of the same libraries."""
    before, _, rows = PAGE.read_text().partition(HEADER)
    found = {row.split(" | ")[0].removeprefix("| "): row for row in rows.splitlines(keepends=True)}
    found |= {result.library: str(result) for result in results}
    PAGE.write_text(before + HEADER + "".join(found[name] for name in sorted(found)))


def main() -> None:
    """Run the tests of the libraries that were named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(LIBRARIES)}")
    parser.add_argument("--write", action="store_true", help="put the table into docs/adapters/parity.md")
    given = parser.parse_args()
    if unknown := set(given.libraries) - set(LIBRARIES):
        parser.error(f"LIBRARY must be one of {', '.join(LIBRARIES)}, got {', '.join(unknown)}")
    results = []
    for name in given.libraries or LIBRARIES:
        folder = Path(tempfile.mkdtemp(prefix=f"forge-{name}-"))
        try:
            results.append(check(name, folder))
        finally:
            shutil.rmtree(folder)
    print(HEADER + "".join(map(str, results)), end="")
    if given.write:
        write(results)
    sys.exit(any(result.failed or not result.passed for result in results))


if __name__ == "__main__":
    main()
