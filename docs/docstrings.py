"""Docstrings read and written as Markdown: they are made for terminals, in NumPy's style, and the site shows pages."""

from __future__ import annotations

import re
from functools import cache
from inspect import cleandoc
from pathlib import Path
from typing import Any

import griffe

_VERBATIM = re.compile(r"(``[^`]+``|`[^`\n]+`|^ *>>> .*(?:\n *\S.*)*)", re.MULTILINE)
_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)
_SOURCE = re.compile(r"^\.\. \[(\d+)\] (.+(?:\n +.+)*)", re.MULTILINE)
_CITATION = re.compile(r"\[(\d+)\]_")


def markdown(docstring: str, link: bool = False) -> str:
    r"""Return ``docstring`` as Markdown: no tag or link by accident, sources in a list, all sections still in place.

    Parameters
    ----------
    docstring
        As it stands in the source, indented or not.
    link
        Whether citations link to the sources, ``#source-1``, which must be on the same page.

    Examples
    --------
    >>> markdown("Cost of a[i][j] as <answer>, or ``c[i][j] <x>`` [1]_.")
    'Cost of a[i]\\[j] as &lt;answer>, or ``c[i][j] <x>`` \\[1\\].'
    >>> markdown("NP-hard [1]_.", link=True)
    'NP-hard [\\[1\\]](#source-1).'
    """
    listed = _SOURCE.sub(lambda found: f"{found[1]}. " + " ".join(found[2].split()), cleandoc(docstring))
    parts = _VERBATIM.split(listed)
    return "".join(part if at % 2 else _prose(part, link) for at, part in enumerate(parts))


def _prose(text: str, link: bool) -> str:
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    text = re.sub(r"(?<=\])(?=[\[(])", r"\\", text)
    return _CITATION.sub(r"[\\[\1\\]](#source-\1)" if link else r"\\[\1\\]", text)


def sections(docstring: str) -> dict[str, str]:
    """Return the sections of ``docstring`` by heading; what stands before them has none.

    Examples
    --------
    >>> sections('''A tour.
    ...
    ...     Examples
    ...     --------
    ...     >>> 1
    ... ''')
    {'': 'A tour.', 'Examples': '>>> 1'}
    """
    first, *others = _HEADING.split(cleandoc(docstring))
    return {"": first.strip()} | {
        heading: text.strip() for heading, text in zip(others[::2], others[1::2], strict=True)
    }


class Docstrings(griffe.Extension):
    """Hands docstrings to the reference of the API as `markdown` writes them."""

    def on_object(self, *, obj: Any, **rest: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute as it is found."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


@cache
def parsed(file: str) -> griffe.Module:
    """Return a file's classes, functions and docstrings, without importing it."""
    path = Path(file)
    return griffe.visit(path.stem, filepath=path, code=path.read_text(encoding="utf-8"))


def table(columns: tuple[str, ...], rows: list[tuple[Any, ...]], numbers: int = 0) -> str:
    """Return a Markdown table; the last ``numbers`` columns are aligned as numbers."""
    rules = ["---"] * (len(columns) - numbers) + ["--:"] * numbers
    cells = [[re.sub(r"(?<!\\)\|", r"\\|", " ".join(str(cell).split())) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rules, *cells])
