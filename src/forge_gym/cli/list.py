"""``forge-gym list``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..core.registry import problem_class, problems
from .options import Json
from .terminal import console, print_json


def command(json: Json = False) -> None:
    """List the problems and their parameters."""
    classes = {name: problem_class(name) for name in problems()}
    rows: list[dict[str, Any]] = [
        {
            "problem": name,
            "id": f"Forge/{name}-v{cls.version}",
            "family": cls.family,
            "sense": cls.sense,
            "solutions": getattr(cls, "solutions", ""),
            "parameters": {field.name: field.default for field in fields(cls)},
        }
        for name, cls in classes.items()
    ]
    if json:
        print_json(rows)
        return
    from rich.table import Table

    columns = ("id", "family", "sense", "solutions")
    table = Table(*columns, "parameters")
    for row in rows:
        parameters = ", ".join(f"{key}={value}" for key, value in row["parameters"].items())
        table.add_row(*(row[column] for column in columns), parameters)
    console().print(table)
