"""``python -m forge_gym``: the command line."""

from .cli.main import main

raise SystemExit(main())
