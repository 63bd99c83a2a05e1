"""From the state of a finished run to what it says: rows, crossings, and when compiling has paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from math import isfinite

from bench.cases import Case
from bench.records.schema import BreakEvenRow, CrossoverRow, NotRun, Ratio, ScaleRow, ScaleState, TieRow, TimingRow
from bench.scale import crossovers, points
from bench.scale.points import Dimension
from bench.selection import REFERENCE
from impls import Network
from pairbench import statistics
from pairbench.measure import AA
from pairbench.statistics import Interval

Times = Mapping[str, Mapping[int, float]]
"""What one process timed at one case: seconds by arm and block."""


class ScaleResult:
    """A run's times, and the ratios of any two arms at a case."""

    def __init__(self, state: ScaleState, backends: Sequence[str]):
        self.backends = backends
        self.rows = {(points.case_of(row), row.arm): row for row in state.rows}
        self.not_run = {(points.case_of(row), row.backend): row for row in state.not_run}
        self.compile = state.compile
        self.times: dict[Case, list[Times]] = {}
        for process in state.processes:
            here: dict[Case, dict[str, dict[int, float]]] = {}
            for taken in process.samples:
                case = Case(Network.parse(taken.network), taken.operation, taken.batch, taken.dtype)
                if self.rows[case, taken.arm].ok:
                    here.setdefault(case, {})[taken.arm] = dict(zip(taken.block, taken.seconds, strict=True))
            for case, times in here.items():
                self.times.setdefault(case, []).append(times)

    def ratio(
        self, case: Case, numerator: str, denominator: str, confidence: float = statistics.CONFIDENCE
    ) -> Interval | None:
        """Time of one arm ÷ time of another at a case; None where no block has both."""
        return statistics.ratio_interval(
            [
                statistics.log_ratios(times.get(numerator, {}), times.get(denominator, {}))
                for times in self.times.get(case, ())
            ],
            confidence,
        )

    def scale_rows(self) -> list[ScaleRow]:
        """A row for each backend at each point, and for the A/A arm."""
        placed = [
            (dimension.case(value), dimension, value) for dimension in points.DIMENSIONS for value in dimension.values
        ]
        unplaced = [(case, None, None) for case in points.payback_cases()]
        found = []
        for case, dimension, value in (*placed, *unplaced):
            for arm in (*self.backends, AA):
                row = self.rows.get((case, arm)) or self.not_run.get((case, arm))
                if row is not None:
                    found.append(self._scale_row(row, arm, case, dimension, value))
        return found

    def _scale_row(
        self, row: TimingRow | NotRun, arm: str, case: Case, dimension: Dimension | None, value: int | None
    ) -> ScaleRow:
        timed = row if isinstance(row, TimingRow) else None
        ratio = self.ratio(case, row.backend if arm == AA else REFERENCE, arm)
        return ScaleRow(
            **case.fields(),
            dimension=dimension.name if dimension else None,
            value=value,
            backend=row.backend,
            arm=arm,
            seconds=timed.seconds if timed else None,
            predicted_seconds=row.predicted_seconds if isinstance(row, NotRun) else None,
            speedup=Ratio(**asdict(ratio)) if ratio else None,
            ulps=timed.ulps if timed else None,
            share=timed.share if timed else None,
            ok=timed.ok if timed else True,
            reason=row.reason,
        )

    def crossing_rows(self) -> tuple[list[CrossoverRow], list[TieRow]]:
        """Crossings and ties of every two backends, by dimension; the crossings by where they are."""
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
            ratio = self.ratio(dimension.case(value), a, b, crossovers.CONFIDENCE)
            if ratio is not None:
                yield value, ratio

    def break_even_rows(self) -> list[BreakEvenRow]:
        """For each backend that compiles and each network, after how many calls of one sample that has paid."""
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
