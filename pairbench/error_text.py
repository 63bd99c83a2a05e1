"""An exception of a backend in one line, with the place that it came from."""

from __future__ import annotations

import traceback
from pathlib import Path


def describe_error(error: BaseException) -> str:
    """Type, text, and the file and line that raised it."""
    try:
        words = " ".join(str(error).split()).encode(errors="replace").decode()
    except Exception:  # its text is the backend's, too
        words = "it cannot say what it is"
    text = f"{type(error).__name__}: {words}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
