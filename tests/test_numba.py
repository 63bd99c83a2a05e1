"""Numba's cache: a damaged or missing folder costs a compilation, never the run; and what is compiled is what is loaded."""

import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

from impls import numba_jit

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
        env={"PATH": "", "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(numba_jit.__file__).parent.parent)},
        text=True,
        stderr=subprocess.STDOUT,
    ).strip()


@pytest.fixture
def filled(tmp_path):
    (tmp_path / "doubling.py").write_text(MODULE)
    cache = tmp_path / "cache"
    assert run(tmp_path, cache) == "compiled"
    assert run(tmp_path, cache) == "loaded"
    return tmp_path, cache


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign"])
def test_a_damaged_file_is_compiled_anew_and_mended(filled, suffix, damage):
    folder, cache = filled
    for file in cache.rglob(f"*{suffix}"):
        content = bytearray(file.read_bytes())
        if damage == "flipped":
            content[len(content) // 2] ^= 0xFF
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "foreign": b"x" * 99}.get(damage, content))
    assert run(folder, cache) == "compiled"
    assert run(folder, cache) == "loaded"


def test_a_cache_folder_that_cannot_be_made_is_done_without(filled):
    folder, _ = filled
    (folder / "file").write_text("in the way")
    assert run(folder, folder / "file" / "cache") == "compiled"


def test_exp_is_right_to_two_ulp():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-708, 709, 2000), rng.normal(size=2000), [0.0, -0.0, 1e-300, 708.99, -707.99]])
    for x in points:
        exact = mpmath.exp(mpmath.mpf(float(x)))
        assert abs(numba_jit.exp(x) - exact) <= 2 * np.spacing(float(exact))
    assert numba_jit.exp(-800.0) == 0.0
    assert numba_jit.exp(800.0) == numba_jit.exp(np.inf) == np.inf
    assert numba_jit.exp(-np.inf) == 0.0
    assert np.isnan(numba_jit.exp(np.nan))
