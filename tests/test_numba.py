"""Numba's cache: with damaged files or without a folder, the function is compiled again and the run succeeds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from impls import numba_simd

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


def run(folder, cache):
    return subprocess.check_output(
        [sys.executable, "doubling.py"],
        cwd=folder,
        env={"PATH": "", "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(numba_simd.__file__).parent.parent)},
        text=True,
        stderr=subprocess.STDOUT,
    ).strip()


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory):
    """A folder with a module, and a cache with its compiled function. Every test must leave both intact."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "doubling.py").write_text(MODULE)
    cache = folder / "cache"
    assert run(folder, cache) == "compiled"
    assert run(folder, cache) == "loaded"
    return folder, cache


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign"])
def test_a_damaged_cache_file_is_recompiled_and_replaced(filled_cache, suffix, damage):
    folder, cache = filled_cache
    for file in cache.rglob(f"*{suffix}"):
        content = bytearray(file.read_bytes())
        if damage == "flipped":
            content[len(content) // 2] ^= 0xFF
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "foreign": b"x" * 99}.get(damage, content))
    assert run(folder, cache) == "compiled"
    assert run(folder, cache) == "loaded"


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
