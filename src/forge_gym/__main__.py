"""``python -m forge_gym``: the command line."""

from .evaluation.cli import main

raise SystemExit(main())
