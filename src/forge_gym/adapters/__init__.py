"""One thin contract for each foreign library, which is imported with its module."""

from __future__ import annotations

import re


def task_name(problem: str) -> str:
    """Return the name of a problem's task or data set where a library writes names in small letters.

    Examples
    --------
    >>> task_name("MaxClique"), task_name("TSP")
    ('forge_max_clique', 'forge_tsp')
    """
    return "forge_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", problem).lower()
