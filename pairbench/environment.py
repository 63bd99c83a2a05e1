"""Which environment variables a worker process inherits.

A variable that cannot change a time is inherited. One that may, a *setting*, is inherited, too, and recorded with the
times. Any other variable is left out, so that nothing unknown reaches a worker.
"""

from __future__ import annotations

__all__ = ["inherited"]

import hashlib
import os
from collections.abc import Mapping

from pairbench import threads

NEUTRAL = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "TEMP", "TMP"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "USERPROFILE"),
        *("VIRTUAL_ENV", "CONDA_PREFIX", "CC", "CXX", "CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        *("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR", "MLPBENCH_TRACEBACK"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONSAFEPATH", "PYTHONPYCACHEPREFIX"),
        *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONWARNINGS"),
        *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"),  # scikit-learn and threadpoolctl set them
        *("PYTHON", "PYTHONCOERCECLOCALE", "PYTHONFAULTHANDLER", "PYTHON_COLORS", "PYTHON_HISTORY"),
    }
)
"""Variables that change no time."""
NEUTRAL_PREFIXES = ("LC_", "XDG_")
LEFT_OUT = frozenset({"PYTHONHASHSEED", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT", "PYTHONEXECUTABLE"})
"""Python's own variables that would make all workers alike, or let one wait for input."""
SETTINGS = (
    *("PYTHON", "LD_", "DYLD_", "GLIBC_TUNABLES", "MALLOC_", "MIMALLOC_", "TCMALLOC_", "JEMALLOC_"),
    *("NUMBA_", "LLVM_", "NPY_", "NUMPY_", "SCIPY_", "SKLEARN_", "OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "VECLIB_"),
    *("OMP_", "GOMP_", "KMP_", "LIBOMP_", "TBB_", "NUMEXPR_", "DNNL_", "ONEDNN_", "ATEN_", "TORCH", "PYTORCH_"),
    *("JAX_", "XLA_", "ORT_", "CUDA_", "NVIDIA_", "MLPBENCH_"),
)
"""How the names of settings begin. A backend may read variables of its own whose names begin with ``MLPBENCH_``."""
_OURS = {*threads.VARIABLES, *threads.SPIN_BRIEFLY}  # the parent sets them for every worker


def inherited(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of an environment that a worker process inherits."""
    neutral = {name: value for name, value in base.items() if _is_neutral(name)}
    return {**neutral, **settings(base)}


def everything(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """All variables but those that a worker gets with values of its own: code of others may read any variable."""
    own = {"PYTHONPATH", "TMPDIR", "TEMP", "TMP"} | LEFT_OUT | _OURS
    return {name: value for name, value in base.items() if name not in own}


def settings(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that are set and may change times, in the order of their names."""
    return {name: base[name] for name in sorted(base) if base[name] and _is_setting(name)}


def fingerprint() -> str:
    """A short digest of the settings of this process; empty without settings."""
    text = repr(settings())
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8] if settings() else ""


def _is_neutral(name: str) -> bool:
    return name.upper() in NEUTRAL or name.startswith(NEUTRAL_PREFIXES)


def _is_setting(name: str) -> bool:
    return name.startswith(SETTINGS) and not _is_neutral(name) and name not in LEFT_OUT and name not in _OURS
