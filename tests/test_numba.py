"""Numba's cache: with damaged files or without a folder, the function is compiled again and the run succeeds."""

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT

MODULE = """
import numpy as np
from numba import njit, types
from impls._numba import compile_cached

@njit
def double(x):
    return 2 * x

entry = compile_cached(double, (types.float64,)).entry_point
assert entry(21.0) == 42.0
hits = sum(double.stats.cache_hits.values())
print("loaded" if hits else "compiled")
"""


AGAIN = """
import runpy, sys
for line in sys.stdin:  # each line asks for a run with new functions, which share only the cache on the disk
    runpy.run_path("doubling.py")
    sys.stdout.flush()
"""


def start(folder, cache, *arguments):
    environment = {"PATH": "", "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(folder, cache):
    """What the module prints in a fresh process."""
    process = start(folder, cache, "doubling.py")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output.strip()


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory):
    """A folder with a module, and a cache with its compiled function. Every test must leave both intact."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "doubling.py").write_text(MODULE)
    cache = folder / "cache"
    assert run(folder, cache) == "compiled"
    assert run(folder, cache) == "loaded"
    return folder, cache


@pytest.fixture(scope="module")
def run_again(filled_cache):
    """A function that runs the module again, in one process for all tests, because importing Numba takes long."""
    with start(*filled_cache, "-c", AGAIN) as process:

        def run_again():
            process.stdin.write("\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield run_again
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign"])
def test_a_damaged_cache_file_is_recompiled_and_replaced(filled_cache, run_again, suffix, damage):
    _, cache = filled_cache
    for file in cache.rglob(f"*{suffix}"):
        content = bytearray(file.read_bytes())
        if damage == "flipped":
            content[len(content) // 2] ^= 0xFF
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "foreign": b"x" * 99}.get(damage, content))
    assert run_again() == "compiled"
    assert run_again() == "loaded"


def test_a_changed_source_with_the_same_modification_time_is_recompiled(filled_cache):
    folder, cache = filled_cache
    source = folder / "doubling.py"
    times = source.stat()
    source.write_text(MODULE.replace("2 * x", "x + x"))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run(folder, cache) == "compiled"
    source.write_text(MODULE)
    assert run(folder, cache) == "compiled"


def test_without_a_cache_folder_the_function_is_compiled(filled_cache):
    folder, _ = filled_cache
    (folder / "file").write_text("in the way")
    assert run(folder, folder / "file" / "cache") == "compiled"
