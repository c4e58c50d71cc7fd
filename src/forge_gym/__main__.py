"""``python -m forge_gym``: the command line."""

from .cli import main

raise SystemExit(main())
