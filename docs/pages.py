"""The site's hooks: MkDocs calls the ``on_...`` functions, see ``hooks`` in mkdocs.yml.

They add the pages that nobody writes, and let links to files outside ``docs/`` hold on the site as on a code host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from problem_pages import problem_page, problems_page, slug
from reference_pages import ROOT, command_line_page, menu, module_page, modules, packages, staged, uri

import forge_gym
from forge_gym.core.registry import problem_class

PROJECT = {"CONTRIBUTING.md": "Contributing", "CHANGELOG.md": "Changes"}
"""Pages of the project that are no documentation of the package, and that the site shows too."""
_LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=[)#])")


def targets(content: str, source: Path) -> Iterator[tuple[str, Path]]:
    """Yield the links from the Markdown of ``source`` to files of the repository, with the files."""
    for link in _LINK.findall(content):
        target = Path(os.path.normpath(source.parent / link))
        if target.is_file():
            yield link, target


@cache
def extra() -> dict[Path, str]:
    """Return where the site shows files from outside ``docs/``: those of `PROJECT`, and what pages link to."""
    found = {ROOT / name: f"project/{name.lower()}" for name in PROJECT}
    for page in [*ROOT.glob("docs/**/*.md"), *found]:
        for _, target in targets(page.read_text(encoding="utf-8"), page):
            if not target.is_relative_to(ROOT / "docs") and target != ROOT / "README.md":
                found.setdefault(target, f"project/{target.relative_to(ROOT).as_posix()}.md")
    return found


def relinked(content: str, source: Path, uri: str) -> str:
    """Return the Markdown of ``source`` with links that hold on its page at ``uri``."""
    homes = {**extra(), ROOT / "README.md": "index.md"}
    for link, target in targets(content, source):
        page = homes.get(target) or target.relative_to(ROOT / "docs").as_posix()
        moved = os.path.relpath(page, os.path.dirname(uri) or ".")
        content = re.sub(rf"(?<=\]\(){re.escape(link)}(?=[)#])", moved, content)
    return content


def file_page(file: Path, uri: str) -> str:
    """Return the page that shows a file from outside ``docs/``."""
    content = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return relinked(content, file, uri)
    language = {".py": "python", ".sh": "bash"}.get(file.suffix, file.suffix[1:])
    return f"# {file.name}\n\n`{file.relative_to(ROOT).as_posix()}`\n\n````{language}\n{content}````\n"


@event_priority(100)  # before mkdocstrings reads where to find the package
def on_config(config: Any) -> Any:
    """Fill the menu, and say where the package lies."""
    names = forge_gym.problems()
    problems = ["problems/index.md", *(f"problems/{slug(problem_class(name))}.md" for name in names)]
    project = [{PROJECT.get(file.name, file.relative_to(ROOT).as_posix()): page} for file, page in extra().items()]
    filled = {"problems/": problems, "api/": menu(), "project/": project}
    config.nav = [
        {title: filled.get(pages, pages) if isinstance(pages, str) else pages}
        for section in config.nav
        for title, pages in section.items()
    ]
    python = config.plugins["mkdocstrings"].config.handlers.setdefault("python", {})
    python["paths"] = [str(staged())]
    config.watch += [str(folder) for folder in packages().values()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""

    def add(uri: str, content: str | bytes) -> None:
        files.append(File.generated(config, uri, content=content))

    for name in forge_gym.problems():
        content, image = problem_page(name)
        add(f"problems/{slug(problem_class(name))}.md", content)
        add(f"problems/{slug(problem_class(name))}.svg", image)
    add("problems/index.md", problems_page())
    add("command_line.md", command_line_page())
    for module, file in modules():
        add(uri(module, file.stem == "__init__"), module_page(module, file))
    for file, page in extra().items():
        add(page, file_page(file, page))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links to files outside ``docs/`` lead to the pages that show them, and leave out what only tests read."""
    source = Path(config.docs_dir, page.file.src_uri)
    if source.is_file():
        markdown = relinked(markdown, source, page.file.src_uri)
    return re.sub(r"^(```\w+) notest=.*$", r"\1", markdown, flags=re.MULTILINE)
