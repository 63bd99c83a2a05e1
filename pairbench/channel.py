"""A worker's end of the pipes to its parent."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress


def connect_to_parent() -> Callable[[object], None]:
    """Make this process a worker; returns the function that sends an answer.

    Answers go to what standard output was. From then on standard output is standard error, so that a backend that
    prints cannot corrupt them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _end_with_parent()
    faulthandler.enable()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(message: object) -> None:
        pickle.dump(message, answers)
        answers.flush()

    return send


def _end_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, however that happens."""
    with suppress(OSError, AttributeError):
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
