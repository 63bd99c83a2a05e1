"""Folders and files that the commands write, relative to the current folder or checkout."""

from pathlib import Path

RESULTS = Path("results")
BASELINE = RESULTS / "baseline.json"
"""The recorded sessions of `mlpbench baseline`."""
WORKTREES = Path(".mlpbench") / "gate"
"""The worktrees of the gate."""
