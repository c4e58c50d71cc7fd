"""The explorer: a local web page to read instances, answer them, and browse runs; ``forge-gym serve``."""
