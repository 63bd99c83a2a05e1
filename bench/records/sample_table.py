"""Samples by process, arm and block, and the ratio of any two arms."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import median

from bench.cases import Case
from bench.records.schema import ProcessRecord
from pairbench import statistics
from pairbench.statistics import Interval

ArmKey = tuple[Case, str]
"""A case and the name of an arm."""


class SampleTable:
    """Seconds per call of every arm, by process and block. The arms in ``failed`` are left out."""

    def __init__(self, processes: Sequence[ProcessRecord], failed: Collection[ArmKey] = ()):
        self._processes: list[Mapping[ArmKey, Mapping[int, float]]] = [
            {
                (record.case, record.arm): dict(zip(record.block, record.seconds, strict=True))
                for record in process.samples
                if (record.case, record.arm) not in failed
            }
            for process in processes
        ]

    def ratio(self, over: ArmKey, under: ArmKey, confidence: float = statistics.CONFIDENCE) -> Interval | None:
        """Time of arm ``over`` ÷ time of arm ``under``, from the blocks that have both; None if no block has both."""
        return statistics.ratio_interval(self._log_ratios(over, under), confidence)

    def log_ratios(self, over: ArmKey, under: ArmKey) -> list[float]:
        """Logarithm of the time of ``over`` ÷ the time of ``under``: the median over blocks, for each process."""
        return [median(blocks) for blocks in self._log_ratios(over, under) if blocks]

    def log_seconds(self, arm: ArmKey) -> list[float]:
        """Logarithm of the seconds per call: the median over blocks, for each process."""
        samples = (process.get(arm, {}).values() for process in self._processes)
        return [math.log(median(blocks)) for blocks in samples if blocks]

    def seconds(self, arm: ArmKey) -> float | None:
        """Seconds per call of an arm: the median over processes of the median over blocks; None without samples."""
        return statistics.median_seconds([list(process.get(arm, {}).values()) for process in self._processes])

    def _log_ratios(self, over: ArmKey, under: ArmKey) -> list[list[float]]:
        return [statistics.log_ratios(process.get(over, {}), process.get(under, {})) for process in self._processes]
