"""From the state of a finished run to its findings: rows, crossovers and break-even points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import isfinite

from bench.cases import Case
from bench.records.sample_table import SampleTable
from bench.records.schema import BreakEvenRow, CrossoverRow, NotRun, Ratio, ScaleRow, ScaleState, TieRow, TimingRow
from bench.scale import crossovers, points
from bench.scale.points import Dimension
from bench.selection import REFERENCE
from impls import Network
from pairbench import statistics
from pairbench.measure import AA_CONTROL


class ScaleResult:
    """A run's rows, and the ratios of any two arms at a case."""

    def __init__(self, state: ScaleState, backends: Sequence[str]):
        self.backends = backends
        self.rows = {(row.case, row.arm): row for row in state.rows}
        self.not_run = {(row.case, row.backend): row for row in state.not_run}
        self.compile = state.compile
        self.samples = SampleTable(state.processes, {arm for arm, row in self.rows.items() if not row.ok})

    def scale_rows(self) -> list[ScaleRow]:
        """A row for each backend at each point, and for the A/A control."""
        placed = [
            (dimension.case(value), dimension, value) for dimension in points.DIMENSIONS for value in dimension.values
        ]
        unplaced = [(case, None, None) for case in points.break_even_cases()]
        found = []
        for case, dimension, value in (*placed, *unplaced):
            for arm in (*self.backends, AA_CONTROL):
                row = self.rows.get((case, arm)) or self.not_run.get((case, arm))
                if row is not None:
                    found.append(self._scale_row(row, arm, case, dimension, value))
        return found

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
        """Crossovers and ties of every two backends, by dimension, the crossovers by size."""
        found: list[CrossoverRow] = []
        ties: list[TieRow] = []
        for dimension in points.DIMENSIONS:
            here: list[CrossoverRow] = []
            for a, b in combinations(self.backends, 2):
                crossed, tied = crossovers.find_crossovers(list(self._ratios(dimension, a, b)))
                for one in crossed:
                    below, above = (a, b) if one.rises else (b, a)
                    here.append(
                        CrossoverRow(
                            dimension=dimension.name,
                            faster_below=below,
                            faster_above=above,
                            at=one.at,
                            low=one.low,
                            high=one.high,
                            left=int(one.left),
                            right=int(one.right),
                        )
                    )
                ties += [
                    TieRow(
                        dimension=dimension.name,
                        backends=(a, b),
                        left=int(one.left),
                        right=int(one.right),
                        within=one.within if isfinite(one.within) else None,
                    )
                    for one in tied
                ]
            found += sorted(here, key=lambda row: row.at)
        return found, ties

    def _ratios(self, dimension: Dimension, a: str, b: str) -> Iterator[crossovers.Point]:
        for value in dimension.values:
            case = dimension.case(value)
            ratio = self.samples.ratio((case, a), (case, b), crossovers.CONFIDENCE)
            if ratio is not None:
                yield value, ratio

    def break_even_rows(self) -> list[BreakEvenRow]:
        """For each backend that compiles and each network, the break-even point in calls of one sample."""
        found = []
        for times in self.compile:
            case = Case(Network.parse(times.network), "forward", 1)
            reference, backend = (self.rows.get((case, arm)) for arm in (REFERENCE, times.backend))
            if reference is None or backend is None or reference.seconds is None or backend.seconds is None:
                continue
            cold, cached = (
                statistics.break_even(seconds, reference.seconds, backend.seconds)
                for seconds in (times.cold_seconds, times.cached_seconds)
            )
            found.append(
                BreakEvenRow(
                    backend=times.backend,
                    network=times.network,
                    cold_seconds=times.cold_seconds,
                    cached_seconds=times.cached_seconds,
                    cold_calls=cold,
                    cached_calls=cached,
                )
            )
        return found
