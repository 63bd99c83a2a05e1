"""The command ``warm``."""

from __future__ import annotations

from collections.abc import Sequence

from bench import cases, selection
from bench.commands import output
from bench.report import tables, terminal
from bench.report.layout import Paragraph
from bench.warm import compile_ahead
from impls import Backend
from pairbench.cli.exit_codes import FINDING, OK


def warm(*, backend: Sequence[str], network: Sequence[str], dtype: str | None, threads: int) -> int:
    """Compile the backends, and print how long it took, and which folders hold the code."""
    with output.caller_input():
        output.check_threads(threads)
        chosen_cases = cases.select_cases(network, dtype=dtype or cases.DTYPES[0])
        chosen = selection.select_backends(backend, dtype=dtype)
        for named in chosen.backends:
            if named.name in backend and not _compiles_once(named):
                raise ValueError(f"{named.name} compiles nothing that is kept")
        compiling = list(filter(_compiles_once, chosen.backends))
        if not compiling:
            raise ValueError(f"there is nothing to compile; {'; '.join(chosen.notes())}")
        networks = list(dict.fromkeys(case.network for case in chosen_cases))
        dtypes = cases.DTYPES if dtype is None else (dtype,)
    with output.interruptible("the code compiled so far is kept"), terminal.progress() as progress:
        found = {done.backend: done for done in compile_ahead(compiling, networks, dtypes, threads, progress)}
    table = tables.plain("backend", "compiling", "from the cache")
    for compiled in (found[chosen_backend.name] for chosen_backend in compiling):
        times = compiled.first.seconds, compiled.again.seconds
        table.add_row(compiled.backend, *(["failed"] * 2 if compiled.reason else map(tables.duration, times)))
    failures = [f"{compiled.backend} failed: {compiled.reason}" for compiled in found.values() if compiled.reason]
    forgotten = [name for name, compiled in found.items() if not (compiled.reason or compiled.again.folders)]
    folders = sorted({folder for compiled in found.values() for folder in compiled.again.folders})
    notes = [*failures, *chosen.notes()]
    if forgotten:
        notes.append(
            f"no kept code of {', '.join(forgotten)} was found: the backend keeps none, has a cache of its own, or "
            "cannot write its cache folder; set NUMBA_CACHE_DIR to one that it can write"
        )
    if folders:
        notes.append(f"the compiled code is in {' and '.join(folders)}")
    terminal.show(table, *map(Paragraph, notes))
    return FINDING if failures or forgotten or chosen.broken else OK


def _compiles_once(backend: Backend) -> bool:
    """Whether a backend compiles code that does not depend on the shapes, so that it can be compiled ahead."""
    return backend.compiles and not backend.compiles_shapes
