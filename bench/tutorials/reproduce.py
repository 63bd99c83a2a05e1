"""Runs the programs of a tutorial on the backends, and compares the results with the printed figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from bench.records.tutorial_schema import TutorialRow
from bench.tutorials import printed, times
from bench.tutorials.programs import Computation, Figure, Program, RunsBySeed, TrainingRun, Tutorial
from bench.tutorials.training import carry_out, difference
from impls import Backend, UnsupportedOperation
from pairbench.error_text import describe_error
from pairbench.progress import Progress
from pairbench.worker_protocol import Effort

COMPARISON_BACKEND = "numpy_vectorized"
"""The backend that always runs, and with which the other backends are compared."""

IN_FULL = (COMPARISON_BACKEND, "numba_simd")
"""The backends that run all seeds in full; the other backends run only the ``few`` seeds of a program."""

BY_GRAPH = "graph"

AGREEMENT = 1e-9
"""The relative difference up to which two backends agree; rounding errors grow over thousands of updates."""


@dataclass
class TutorialResults:
    """Results of tutorials.

    ``rows`` are the figures and times. ``remarks`` are explanations for the reader, by tutorial key. ``runs`` are the
    training runs of the comparison backend, by tutorial key and program name. ``unsupported`` has a line for each
    operation that a backend does not support; figures that need such an operation are omitted.
    """

    rows: list[TutorialRow] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[tuple[str, str], RunsBySeed] = field(default_factory=dict)
    unsupported: dict[str, None] = field(default_factory=dict)


def count_steps(tutorials: Sequence[Tutorial], backends: Sequence[Backend]) -> int:
    """Return the number of progress steps that ``reproduce_tutorial`` reports for all tutorials together."""
    programs = [part for tutorial in tutorials for part in tutorial.parts if isinstance(part, Program)]
    seeds = sum(len(_seeds(program, backend)) for program in programs for backend in backends)
    return seeds + sum(bool(tutorial.times) for tutorial in tutorials)


def reproduce_tutorial(
    tutorial: Tutorial, backends: Sequence[Backend], effort: Effort, progress: Progress, results: TutorialResults
) -> None:
    """Run a tutorial on the backends, which include the comparison backend, and add the outcome to the results."""
    results.remarks[tutorial.key] = [*tutorial.explanation]
    for part in tutorial.parts:
        if isinstance(part, Program):
            _run_program(tutorial.key, part, backends, progress, results)
        elif not part.by_graph or any(backend.name == BY_GRAPH for backend in backends):
            results.rows += _run_computation(tutorial.key, part)
    if tutorial.times:
        progress.stage(f"{tutorial.key}: timing one sample")
        results.rows += times.time_samples(tutorial, backends, effort)
        progress.advance()


def _seeds(program: Program, backend: Backend) -> Sequence[int]:
    return program.seeds if backend.name in IN_FULL else program.few


def _run_computation(key: str, computation: Computation) -> list[TutorialRow]:
    make_row = partial(
        TutorialRow, document=key, part=computation.name, backend=BY_GRAPH if computation.by_graph else None
    )
    result = computation.compute()
    return [_figure_row(make_row, figure, figure.value(result)) for figure in computation.figures]


def _run_program(
    key: str, program: Program, backends: Sequence[Backend], progress: Progress, results: TutorialResults
) -> None:
    """Run a program on the backends, the comparison backend first. The rows are in the order of the backends."""
    progress.stage(f"{key}: {program.name}")
    slow = sum(backend.name not in IN_FULL for backend in backends)
    rows: dict[str, list[TutorialRow]] = {}
    comparison_runs: RunsBySeed = {}
    for backend in sorted(backends, key=lambda backend: backend.name != COMPARISON_BACKEND):
        make_row = partial(TutorialRow, document=key, part=program.name, backend=backend.name)
        seconds = math.inf if program.seconds is None or backend.name in IN_FULL else program.seconds / slow
        runs: dict[int, TrainingRun] = {}
        try:
            with np.errstate(all="ignore"):
                for seed in _seeds(program, backend):
                    runs[seed] = carry_out(program.setting(seed), backend, seconds)
                    progress.advance()
                if backend.name == COMPARISON_BACKEND:
                    comparison_runs = runs
                rows[backend.name] = [*_program_rows(make_row, program, runs, comparison_runs, results.unsupported)]
        except UnsupportedOperation as error:
            rows[backend.name] = []
            results.unsupported[str(error)] = None
        except (Exception, SystemExit) as error:  # any exception counts as a failure of the backend
            rows[backend.name] = [make_row(figure="every figure", kind="failure", ok=False, note=describe_error(error))]
    results.rows += [row for backend in backends for row in rows[backend.name]]
    results.runs[key, program.name] = comparison_runs
    if program.remark is not None and comparison_runs:
        results.remarks[key].append(program.remark(comparison_runs))


def _program_rows(
    make_row: Callable[..., TutorialRow],
    program: Program,
    runs: RunsBySeed,
    comparison_runs: RunsBySeed,
    unsupported: dict[str, None],
) -> Iterator[TutorialRow]:
    for figure in program.figures:
        if all(seed in runs and runs[seed].reached(figure.epochs) for seed in figure.seeds):
            try:
                yield _figure_row(make_row, figure, figure.value(runs))
            except UnsupportedOperation as error:
                unsupported[str(error)] = None
    epochs = next(iter(runs.values())).setting.epochs
    if not epochs:
        return
    trained_epochs = min(len(run.losses) for run in runs.values())
    common = (runs.keys() & comparison_runs.keys()) - set(program.sensitive)
    worst = max((difference(runs[seed], comparison_runs[seed]) for seed in common), default=math.inf)
    yield make_row(
        figure=f"difference from {COMPARISON_BACKEND}",
        printed=f"{AGREEMENT:g}",
        kind="agreement",
        value=_finite(worst),
        ok=worst <= AGREEMENT,
        note=f"{_counted(len(common), 'seed')}, {_counted(trained_epochs, 'epoch')}",
    )
    yield make_row(
        figure="seconds of training",
        printed=program.printed_time,
        kind="time",
        value=fmean(run.seconds / len(run.losses) * epochs for run in runs.values()),
        ok=True,
        note="one run" if trained_epochs == epochs else f"from {trained_epochs} of {epochs} epochs",
    )


def _figure_row(make_row: Callable[..., TutorialRow], figure: Figure, value: Any) -> TutorialRow:
    values = [_finite(number) for number in np.ravel(value)]
    return make_row(
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
