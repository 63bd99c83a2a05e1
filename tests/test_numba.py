"""Numba's cache: with damaged files or without a folder, the function is compiled again and the run succeeds."""

import os
import subprocess
import sys

import pytest
from numba.core import config

import impls
from bench import selection
from impls import _numba
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


def start(folder, cache, *arguments, **variables):
    environment = {"PATH": "", "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), **variables}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(folder, cache, **variables):
    """What the module prints in a fresh process."""
    process = start(folder, cache, "doubling.py", **variables)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output.strip()


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory):
    """A folder with a module, and a cache with its compiled function. Every test must leave the module intact."""
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


@pytest.mark.slow
def test_a_changed_source_with_the_same_modification_time_is_recompiled(filled_cache):
    folder, cache = filled_cache
    source = folder / "doubling.py"
    times = source.stat()
    source.write_text(MODULE.replace("2 * x", "x + x"))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run(folder, cache) == "compiled"
    source.write_text(MODULE)
    assert run(folder, cache) == "compiled"


@pytest.mark.slow
def test_without_a_cache_folder_the_function_is_compiled(filled_cache):
    folder, _ = filled_cache
    (folder / "file").write_text("in the way")
    assert run(folder, folder / "file" / "cache") == "compiled"


@pytest.mark.slow
def test_code_of_other_settings_is_neither_loaded_nor_lost(filled_cache, run_again):
    folder, cache = filled_cache
    run_again()  # another test may have damaged the file
    assert run(folder, cache, NUMBA_OPT="1") == "compiled"
    assert run(folder, cache, NUMBA_NUM_THREADS="1") == "loaded"  # changes no code


@pytest.mark.slow
def test_code_for_one_processor_is_not_loaded_for_another(filled_cache, run_again):
    folder, cache = filled_cache
    run_again()
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert run(folder, cache, **other) == "compiled"
    assert run(folder, cache, **other) == "loaded"
    assert run_again() == "loaded"


def test_every_setting_of_numba_belongs_to_the_key(monkeypatch):
    before = _numba._settings()
    for name in ("SLP_VECTORIZE", "ENABLE_AVX", "LLVM_REFPRUNE_PASS", "ERROR_MODEL_OF_A_LATER_NUMBA"):
        with monkeypatch.context() as changed:
            changed.setattr(config, name, "other", raising=False)
            assert _numba._settings() != before
    assert _numba._settings() == before


@pytest.fixture
def modules_restored():
    """Has later tests import anew what a test imports of impls, here with functions that are not compiled."""
    known = {name: module for name, module in sys.modules.items() if name.startswith("impls.")}
    yield
    for name in [name for name in sys.modules if name.startswith("impls.") and name not in known]:
        del sys.modules[name]
    sys.modules.update(known)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["numba_plain", "numba_jit", "numba_simd"])
def test_without_the_compiler_a_backend_says_which_variable_to_unset(monkeypatch, modules_restored, name):
    monkeypatch.setattr(config, "DISABLE_JIT", 1)
    monkeypatch.delitem(sys.modules, f"impls.{name}", raising=False)
    with pytest.raises(impls.BackendUnavailable, match=f"backend {name} cannot run here: .*NUMBA_DISABLE_JIT is set"):
        impls.load(name)
    monkeypatch.delitem(sys.modules, f"impls.{name}", raising=False)
    assert name in selection.select_backends().left_out
    assert "numpy_plain" in [backend.name for backend in selection.select_backends().backends]
