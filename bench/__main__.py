"""``python -m bench`` is ``mlpbench``."""

from bench.cli import console

console()
