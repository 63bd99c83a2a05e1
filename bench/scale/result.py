"""The results of a run: rows, crossovers and break-even points, computed from its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import isfinite

from bench.cases import Case
from bench.records.sample_table import SampleTable
from bench.records.scale_schema import BreakEvenRow, CrossoverRow, NotRun, ScaleRow, ScaleState, TieRow
from bench.records.schema import Ratio, TimingRow
from bench.scale import crossovers, points
from bench.scale.crossovers import Crossover, Tie
from bench.scale.points import Dimension
from bench.selection import REFERENCE
from impls import Network
from pairbench import statistics
from pairbench.measure import AA_CONTROL


class ScaleResult:
    """The rows of a run, and the paired ratio of any two arms at a case.

    ``sizes`` are the sizes of each dimension that were tried: those of its grid, and those inside of crossovers.
    """

    def __init__(self, state: ScaleState, backends: Sequence[str]):
        self.backends = backends
        self.rows = {(row.case, row.arm): row for row in state.rows}
        self.not_run = {(row.case, row.backend): row for row in state.not_run}
        self.compile = state.compile
        self.samples = SampleTable(state.processes, {arm for arm, row in self.rows.items() if not row.ok})
        tried = {case for case, _ in (*self.rows, *self.not_run)}
        self.sizes = {
            dimension: sorted(value for case in tried if (value := dimension.value(case)) is not None)
            for dimension in points.DIMENSIONS
        }

    def scale_rows(self) -> list[ScaleRow]:
        """Return a row for each backend and for the A/A control, at each point."""
        dimension_points = [
            (dimension.case(value), dimension, value)
            for dimension in points.DIMENSIONS
            for value in self.sizes[dimension]
        ]
        break_even_points = [(case, None, None) for case in points.break_even_cases()]
        scale_rows = []
        for case, dimension, value in (*dimension_points, *break_even_points):
            for arm in (*self.backends, AA_CONTROL):
                row = self.rows.get((case, arm)) or self.not_run.get((case, arm))
                if row is not None:
                    scale_rows.append(self._scale_row(row, arm, case, dimension, value))
        return scale_rows

    def _scale_row(
        self, row: TimingRow | NotRun, arm: str, case: Case, dimension: Dimension | None, value: int | None
    ) -> ScaleRow:
        timed = row if isinstance(row, TimingRow) else None
        ratio = self.samples.ratio((case, row.backend if arm == AA_CONTROL else REFERENCE), (case, arm))
        return ScaleRow(
            **case.fields(),
            dimension=dimension.name if dimension else None,
            value=value,
            backend=row.backend,
            arm=arm,
            seconds=timed.seconds if timed else None,
            predicted_seconds=row.predicted_seconds if isinstance(row, NotRun) else None,
            speedup=Ratio.of(ratio) if ratio else None,
            ulps=timed.ulps if timed else None,
            share=timed.share if timed else None,
            ok=timed.ok if timed else True,
            reason=row.reason,
        )

    def crossover_rows(self) -> tuple[list[CrossoverRow], list[TieRow]]:
        """Return the crossovers and the ties of every pair of backends, by dimension; the crossovers also by size."""
        crossover_rows: list[CrossoverRow] = []
        ties: list[TieRow] = []
        for dimension in points.DIMENSIONS:
            dimension_rows: list[CrossoverRow] = []
            for (a, b), pair_crossovers, pair_ties in self.pairs(dimension):
                for crossover in pair_crossovers:
                    below, above = (a, b) if crossover.rises else (b, a)
                    dimension_rows.append(
                        CrossoverRow(
                            dimension=dimension.name,
                            faster_below=below,
                            faster_above=above,
                            left=crossover.left,
                            right=crossover.right,
                            undecided=list(crossover.undecided),
                        )
                    )
                ties += [
                    TieRow(
                        dimension=dimension.name,
                        backends=(a, b),
                        left=tie.left,
                        right=tie.right,
                        within=tie.within if isfinite(tie.within) else None,
                    )
                    for tie in pair_ties
                ]
            crossover_rows += sorted(dimension_rows, key=lambda row: (row.left, row.right))
        return crossover_rows, ties

    def pairs(self, dimension: Dimension) -> Iterator[tuple[tuple[str, str], list[Crossover], list[Tie]]]:
        """Yield every pair of backends, with its crossovers and its ties in a dimension."""
        for a, b in combinations(self.backends, 2):
            yield (a, b), *crossovers.find_crossovers(list(self._ratios(dimension, a, b)))

    def _ratios(self, dimension: Dimension, a: str, b: str) -> Iterator[crossovers.Point]:
        """The ratios of the times of two backends, by the value of a dimension."""
        for value in self.sizes[dimension]:
            case = dimension.case(value)
            ratio = self.samples.ratio((case, a), (case, b), crossovers.CONFIDENCE)
            if ratio is not None:
                yield value, ratio

    def break_even_rows(self) -> list[BreakEvenRow]:
        """Return the break-even point, in calls with one sample, of each backend that compiles and each network."""
        break_even_rows = []
        for times in self.compile:
            case = Case(Network.parse(times.network), "forward", 1)
            reference, backend = (self.rows.get((case, arm)) for arm in (REFERENCE, times.backend))
            if reference is None or backend is None or reference.seconds is None or backend.seconds is None:
                continue
            cold, cached = (
                statistics.break_even(seconds, reference.seconds, backend.seconds)
                for seconds in (times.cold_seconds, times.cached_seconds)
            )
            break_even_rows.append(
                BreakEvenRow(
                    backend=times.backend,
                    network=times.network,
                    cold_seconds=times.cold_seconds,
                    cached_seconds=times.cached_seconds,
                    cold_calls=cold,
                    cached_calls=cached,
                )
            )
        return break_even_rows
