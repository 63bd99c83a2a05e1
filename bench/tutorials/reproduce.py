"""Runs what a document consists of on the backends, and sets what they give beside what is printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from bench.records.schema import TutorialRow
from bench.tutorials import printed, times
from bench.tutorials.programs import Computation, Figure, Program, RunsBySeed, TrainingRun, Tutorial
from bench.tutorials.training import carry_out, difference
from impls import Backend, UnsupportedOperation
from pairbench.error_text import describe_error
from pairbench.progress import Progress
from pairbench.worker_protocol import Effort

COMPARISON_BACKEND = "numpy_vectorized"
"""The backend that always runs: the others are compared with it."""

IN_FULL = (COMPARISON_BACKEND, "numba_simd")
"""The backends that run every seed to its end; the others, the few seeds that a program gives them."""

BY_GRAPH = "graph"

AGREEMENT = 1e-9
"""Relative difference up to which two backends agree: thousands of updates make a rounding error grow."""


@dataclass
class TutorialResults:
    """The rows; by document, what is true beside them; by document and program, the yardstick's runs.

    ``unsupported`` has a line for each operation that a backend does not support; its figures are left out.
    """

    rows: list[TutorialRow] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[tuple[str, str], RunsBySeed] = field(default_factory=dict)
    unsupported: dict[str, None] = field(default_factory=dict)


def count_steps(documents: Sequence[Tutorial], backends: Sequence[Backend]) -> int:
    """How many steps of progress ``run`` makes."""
    programs = [part for document in documents for part in document.parts if isinstance(part, Program)]
    seeds = sum(len(_seeds(program, backend)) for program in programs for backend in backends)
    return seeds + sum(bool(document.times) for document in documents)


def reproduce_tutorial(
    document: Tutorial, backends: Sequence[Backend], effort: Effort, progress: Progress, results: TutorialResults
) -> None:
    """Run a document on the backends, the yardstick among them, and add the outcome to the results."""
    results.remarks[document.key] = [*document.explanation]
    for part in document.parts:
        if isinstance(part, Program):
            _run_program(document.key, part, backends, progress, results)
        elif not part.by_graph or any(backend.name == BY_GRAPH for backend in backends):
            results.rows += _computed(document.key, part)
    if document.times:
        progress.stage(f"{document.key}: timing one sample")
        results.rows += times.time_samples(document, backends, effort)
        progress.advance()


def _seeds(program: Program, backend: Backend) -> Sequence[int]:
    return program.seeds if backend.name in IN_FULL else program.few


def _computed(key: str, computation: Computation) -> list[TutorialRow]:
    make = partial(TutorialRow, document=key, part=computation.name, backend=BY_GRAPH if computation.by_graph else None)
    left = computation.compute()
    return [_figure_row(make, figure, figure.value(left)) for figure in computation.figures]


def _run_program(
    key: str, program: Program, backends: Sequence[Backend], progress: Progress, results: TutorialResults
) -> None:
    """The yardstick goes first, for the others are compared with it; the rows keep the order of the backends."""
    progress.stage(f"{key}: {program.name}")
    slow = sum(backend.name not in IN_FULL for backend in backends)
    rows: dict[str, list[TutorialRow]] = {}
    yardstick: RunsBySeed = {}
    for backend in sorted(backends, key=lambda backend: backend.name != COMPARISON_BACKEND):
        make = partial(TutorialRow, document=key, part=program.name, backend=backend.name)
        seconds = math.inf if program.seconds is None or backend.name in IN_FULL else program.seconds / slow
        runs: dict[int, TrainingRun] = {}
        try:
            with np.errstate(all="ignore"):
                for seed in _seeds(program, backend):
                    runs[seed] = carry_out(program.setting(seed), backend, seconds)
                    progress.advance()
                if backend.name == COMPARISON_BACKEND:
                    yardstick = runs
                rows[backend.name] = [*_program_rows(make, program, runs, yardstick, results.unsupported)]
        except UnsupportedOperation as error:
            rows[backend.name] = []
            results.unsupported[str(error)] = None
        except (Exception, SystemExit) as error:  # whatever a backend raises is a finding about it
            rows[backend.name] = [make(figure="every figure", kind="failure", ok=False, note=describe_error(error))]
    results.rows += [row for backend in backends for row in rows[backend.name]]
    results.runs[key, program.name] = yardstick
    if program.remark is not None and yardstick:
        results.remarks[key].append(program.remark(yardstick))


def _program_rows(
    make: Callable[..., TutorialRow],
    program: Program,
    runs: RunsBySeed,
    yardstick: RunsBySeed,
    unsupported: dict[str, None],
) -> Iterator[TutorialRow]:
    for figure in program.figures:
        if all(seed in runs and runs[seed].reached(figure.epochs) for seed in figure.seeds):
            try:
                yield _figure_row(make, figure, figure.value(runs))
            except UnsupportedOperation as error:
                unsupported[str(error)] = None
    wanted = next(iter(runs.values())).setting.epochs
    if not wanted:
        return
    went = min(len(run.losses) for run in runs.values())
    common = (runs.keys() & yardstick.keys()) - set(program.sensitive)
    worst = max((difference(runs[seed], yardstick[seed]) for seed in common), default=math.inf)
    yield make(
        figure=f"difference from {COMPARISON_BACKEND}",
        printed=f"{AGREEMENT:g}",
        kind="agreement",
        value=_finite(worst),
        ok=worst <= AGREEMENT,
        note=f"{_counted(len(common), 'seed')}, {_counted(went, 'epoch')}",
    )
    yield make(
        figure="seconds of training",
        printed=program.printed_time,
        kind="time",
        value=fmean(
            reproduce_tutorial.seconds / len(reproduce_tutorial.losses) * wanted for reproduce_tutorial in runs.values()
        ),
        ok=True,
        note="one run" if went == wanted else f"from {went} of {wanted} epochs",
    )


def _figure_row(make: Callable[..., TutorialRow], figure: Figure, value: Any) -> TutorialRow:
    values = [_finite(one) for one in np.ravel(value)]
    return make(
        figure=figure.name,
        printed=figure.printed,
        source=figure.source,
        kind="figure",
        form=figure.form,
        value=values if len(values) > 1 else values[0],
        ok=printed.reproduces(value, figure.printed, figure.form),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
