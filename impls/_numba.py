"""Numba's on-disk cache, made robust: if the cache is read-only, damaged or outdated, the function is recompiled.

The cache keeps the code of each combination of Numba's settings apart.
"""

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba.core import config
from numba.core.caching import FunctionCache, IndexDataCacheFile

from impls._registry import BackendUnavailable

CODE_UNCHANGED = {"CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_DEFAULT_NUM_THREADS"}
"""Numba's settings that do not change the code. Any other may, so it belongs to the key of the cache."""


cache_folders: set[str] = set()
"""The folders from which this process loads compiled code, and in which it stores new code."""


def require_compiler() -> None:
    """Raise BackendUnavailable if Numba is set to compile nothing."""
    if vars(config)["DISABLE_JIT"]:
        raise BackendUnavailable("Numba does not compile while NUMBA_DISABLE_JIT is set; unset it")


def enable_cache(dispatcher: Any) -> None:
    """Let a jitted function load compiled code from the cache, and store new code there."""
    with suppress(RuntimeError):  # no writable cache folder: compile without a cache
        dispatcher._cache = _ForgivingCache(dispatcher.py_func)
        cache_folders.add(dispatcher._cache.cache_path)


def compile_cached(dispatcher: Any, signature: tuple[Any, ...]) -> Any:
    """Compile a jitted function for the signature, or load it from the cache. Returns the compiled overload."""
    if signature not in dispatcher.overloads:
        enable_cache(dispatcher)
        dispatcher.compile(signature)
    return dispatcher.overloads[signature]


def entry_point(dispatcher: Any, *signature: Any) -> Callable[..., Any]:
    """A jitted function compiled for the signature, called without Numba's dispatcher, which checks every argument."""
    compiled: Callable[..., Any] = compile_cached(dispatcher, signature).entry_point
    return compiled


def address_of(dispatcher: Any, signature: tuple[Any, ...]) -> int:
    """Address of a jitted function compiled for the signature, by which compiled code can call it."""
    compiled = compile_cached(dispatcher, signature)
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return address


@cache
def _stamp(source: Path) -> str:
    """Digest of the function's file and of all files of this package.

    Numba's own stamp is the modification time of the function's file, so it misses changes in the modules imported.
    """
    digest = hashlib.sha256()
    for file in (source, *sorted(Path(__file__).parent.rglob("*.py"))):
        with suppress(OSError):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _settings() -> str:
    """Digest of Numba's settings, wherever they come from: environment variables, a file, or assignments."""
    settings = {name: value for name, value in vars(config).items() if name.isupper() and name not in CODE_UNCHANGED}
    return hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()


class _ForgivingCache(FunctionCache):
    """A cache that treats every error as a cache miss. After a failed load, the index is cleared."""

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        stamp = _stamp(Path(py_func.__code__.co_filename))
        self._cache_file = _DigestedFile(self.cache_path, self._impl.filename_base, stamp)

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return (*super()._index_key(signature, codegen), _settings())

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except Exception:
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        with suppress(Exception):
            super().save_overload(signature, data)


class _DigestedFile(IndexDataCacheFile):
    """Cache files that start with a digest of the compiled code: Numba itself would run the code of a damaged file."""

    def _save_data(self, name: str, data: Any) -> None:
        payload = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(payload).digest() + payload)

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        digest, payload = content[:32], content[32:]
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError(f"damaged: {name}")
        return pickle.loads(payload)
