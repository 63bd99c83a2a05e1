"""Describes an exception of the code under test in one line, with the place where it was raised."""

from __future__ import annotations

__all__ = ["describe_error"]

import traceback
from pathlib import Path

from pairbench.visible_text import one_line


def describe_error(error: BaseException) -> str:
    """Type and message of an exception, and the file and line that raised it, in one line of visible characters."""
    try:
        message = one_line(str(error))
    except Exception:  # the exception's class may be the backend's own
        message = "(its message cannot be read)"
    text = f"{type(error).__name__}: {message}"
    frames = traceback.extract_tb(error.__traceback__)
    return one_line(f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text)
