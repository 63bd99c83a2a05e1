"""Checks the values of command-line options."""

from __future__ import annotations

__all__ = ["check_budget", "parse_threshold"]

from pathlib import Path


def parse_threshold(text: str) -> float:
    """Parse a threshold such as "5%", "5 %" or "0.05" into a share. Raises ValueError."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ValueError(f"a threshold is a slowdown above 0% and at most 100%, such as 5% or 0.05, not {text!r}")
    return value


def check_budget(seconds: float) -> float:
    """Return the budget, in seconds. Raises ValueError unless it is positive and finite."""
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a budget is a number of seconds above 0, not {seconds:g}")
    return seconds


def check_file(path: Path) -> None:
    """Raise ValueError unless the file can be written. A file that exists keeps its content."""
    try:
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise ValueError(f"cannot write {path}: it is a folder, or its folder does not exist")
        exists = path.exists()
        if exists and not path.is_file():  # such as a pipe, whose reader would see its end
            return
        with path.open("ab"):
            pass
        if not exists:
            path.unlink()
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from None
