"""Runs a command of Dask in a forked process, which has imported its libraries, but not those of the tests."""

import os
import sys
import tempfile
from importlib import import_module


def run(kind, arguments, variables):
    """In a forked process: run ``dask scheduler`` or ``dask worker`` with exactly these environment variables."""
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:0] = variables["PYTHONPATH"].split(os.pathsep)
    tempfile.tempdir = None  # a library may have asked for it
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    import_module(f"distributed.cli.dask_{kind}").main(arguments)
