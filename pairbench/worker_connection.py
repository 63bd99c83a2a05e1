"""The worker's side: prepares the process, and sends messages to the parent.

It imports little, because each round of the gate waits until its workers have started.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pairbench import own_tree, tracing

TREES = "PAIRBENCH_TREES"
"""Variable that tells a worker the folders of its own sources, the first that counts first."""


def connect_to_parent() -> Callable[[object], None]:
    """Prepare this process to be a worker, and return the function that sends a message to the parent.

    Its packages are imported from its own trees alone. Messages use the original standard output. Standard output is
    then redirected to standard error, so that code under test that prints cannot corrupt the messages.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends its workers
    end_with_parent()
    faulthandler.enable()
    tracing.lift()
    own_tree.guard([Path(tree) for tree in os.environ[TREES].split(os.pathsep)])
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(message: object) -> None:
        pickle.dump(message, messages)
        messages.flush()

    return send


def end_with_parent() -> None:
    """On Linux, have the kernel kill this process when its parent dies."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
