"""``python -m bench`` is ``mlpbench``."""

from bench.cli.main import console

console()
