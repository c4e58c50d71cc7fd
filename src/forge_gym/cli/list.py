"""``forge-gym list``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..core.registry import problem_class, problems
from ..data.suite import proven_levels
from .options import Json
from .terminal import console, print_json


def command(json: Json = False) -> None:
    """List the problems, up to which level their references are proven within 10 s, and their parameters."""
    classes = {name: problem_class(name) for name in problems()}
    rows: list[dict[str, Any]] = [
        {
            "problem": name,
            "id": f"Forge/{name}-v{cls.version}",
            "family": cls.family,
            "sense": cls.sense,
            "solutions": getattr(cls, "solutions", ""),
            "proven": proven_levels(name),
            "parameters": {field.name: field.default for field in fields(cls)},
        }
        for name, cls in classes.items()
    ]
    if json:
        print_json(rows)
        return
    from rich.table import Table

    columns = ("id", "family", "sense", "solutions")
    table = Table(*columns, "proven to level", "parameters")
    for row in rows:
        levels = sorted(set(row["proven"].values()))
        proven = f"{levels[0]} to {levels[-1]}" if len(levels) > 1 else "".join(map(str, levels))
        parameters = ", ".join(f"{key}={value}" for key, value in row["parameters"].items())
        table.add_row(*(row[column] for column in columns), proven, parameters)
    console().print(table)
