"""The reference: a page for each module, which mkdocstrings fills, and the help texts of the command line."""

from __future__ import annotations

import atexit
import configparser
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe
from docstrings import markdown, parsed, table
from typer import Context
from typer.main import get_command

from forge_gym.cli import app

ROOT = Path(__file__).resolve().parents[1]


def packages() -> dict[str, Path]:
    """Return the folder of each package below ``forge_gym``: those of its own at the top level, the others in src."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    rows = config["options"]["package_dir"].strip().splitlines()
    mapped = {name.strip(): folder.strip() for name, _, folder in (row.partition("=") for row in rows)}
    names = [name for name in config["options"]["packages"].split() if name.split(".")[0] == "forge_gym"]
    return {name: ROOT / mapped.get(name, f"{mapped['']}/{name.replace('.', '/')}") for name in names}


@cache
def staged() -> Path:
    """Return a folder in which ``forge_gym`` lies as it is imported, for tools that read and do not import."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    for name, source in packages().items():
        package = folder.joinpath(*name.split("."))
        if name == "forge_gym":
            package.mkdir()
            for file in source.iterdir():
                (package / file.name).symlink_to(file)
        elif not package.exists():  # others came along with the package they are in
            package.symlink_to(source)
    return folder


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every public module with its file, packages before what they hold."""
    for package, folder in packages().items():
        yield package, folder / "__init__.py"
        for file in sorted(folder.glob("*.py")):
            if not file.name.startswith("_"):
                yield f"{package}.{file.stem}", file


def uri(module: str, package: bool) -> str:
    """Return where a module's page is."""
    parts = module.split(".")[1:]
    return "/".join(["api", *parts, "index.md"] if package else ["api", *parts]) + ("" if package else ".md")


def module_page(module: str, file: Path) -> str:
    """Return the page of a module; of a package, with its modules and what may be imported from it."""
    if file.stem != "__init__":
        return f"::: {module}\n"
    rows = [(f"[`{name}`][{name}]", summary(other)) for name, other in modules() if name.rpartition(".")[0] == module]
    page = f"::: {module}\n"
    if module != "forge_gym":  # whose own page shows what it exports in full
        imported = exported(module, file)
        members = parsed(str(file)).members.items()
        own = [name for name, member in members if not member.is_alias and not name.startswith("_")]
        page += f"    options:\n      members: {own}\n"
        if imported:
            by_name = sorted(imported.items(), key=lambda item: item[0].lower())
            links = [f"- [`{name}`][{place}]" for name, place in by_name]
            page += "\n## Exports\n\n" + "\n".join(links) + "\n"
    return page + ("\n## Modules\n\n" + table(("module", ""), rows) + "\n" if rows else "")


def exported(module: str, file: Path) -> dict[str, str]:
    """Return the names that a package imports from its modules, with the place where each is documented."""
    *above, name = module.split(".")
    parent: griffe.Module | None = None
    for package in above:  # relative imports lead up to them
        parent = griffe.Module(package, parent=parent)
    found = griffe.visit(name, filepath=file, code=file.read_text(encoding="utf-8"), parent=parent)
    places = {
        name: member.target_path
        for name, member in found.members.items()
        if isinstance(member, griffe.Alias) and member.is_public
    }
    return {name: place for name, place in places.items() if place.startswith("forge_gym.")}


def summary(file: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = parsed(str(file)).docstring
    return markdown(docstring.value).partition("\n\n")[0] if docstring else ""


def menu() -> list[Any]:
    """Return the menu of the reference: packages, and in them their modules."""
    sections: dict[str, list[Any]] = {}
    for module, file in modules():
        package = file.stem == "__init__"
        page = uri(module, package)
        if package:
            sections[module] = [page]
            if module != "forge_gym":
                parent = module.rpartition(".")[0]
                sections[parent].append({module.rpartition(".")[2]: sections[module]})
        else:
            sections[module.rpartition(".")[0]].append({module.rpartition(".")[2]: page})
    return sections["forge_gym"]


def command_line_page() -> str:
    """Return the help texts of the command line."""
    page = "# Command line\n\n`forge-gym`, also `python -m forge_gym`. A program that reads the output adds `--json`.\n"
    for name, help in help_texts(get_command(app()), Context(get_command(app()), info_name="forge-gym")):
        page += f"\n## {name}\n\n````text\n{help}\n````\n"
    return page


def help_texts(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    """Yield the help text of each command, with what is typed for it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from help_texts(inner, type(context)(inner, info_name=name, parent=context, terminal_width=80))
    if not hasattr(command, "commands"):
        yield context.command_path.removeprefix("forge-gym "), command.get_help(context)
