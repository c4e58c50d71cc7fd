"""The explorer: a local web page to read instances and answer them; ``forge-gym serve``."""
