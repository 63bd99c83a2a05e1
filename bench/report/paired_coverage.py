"""Simulates how often the intervals of ``pairbench.compare`` and of the fixture ``paired`` contain the true ratio."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.signal import lfilter

from bench.report import markdown, tables, terminal
from bench.report.interval_coverage import coverage, half_width
from pairbench import function_ratios, statistics
from pairbench.sequential_test import analysis_points
from pairbench.statistics import Interval, ratio_interval

Values = NDArray[np.float64]
Draw = Callable[[Generator, tuple[int, int]], Values]
"""Draws the log ratios of the blocks of some processes, with a true median of 0; shape (processes, blocks)."""

RUNS = 1000
"""Simulated runs of each coverage. A coverage of 95 % has a standard error of 0.7 % then."""
BLOCK_SECONDS = 0.003
"""Length of a block of three arms whose calls take no longer than a sample."""
BATCH = function_ratios.smallest_batch(BLOCK_SECONDS)
RUN_BATCHES = 8, 20, 60
"""Batches of runs in one process, which take 0.4, 1 and 3 s."""
NOISE, PROCESS = 0.02, 0.01
"""Standard deviations of a block, and between processes."""
CORRELATIONS = 0.5, 0.9
"""Correlations of consecutive blocks."""


def independent(random: Generator, shape: tuple[int, int]) -> Values:
    """Independent normal noise."""
    return random.normal(0, NOISE, shape)


def correlated(correlation: float, random: Generator, shape: tuple[int, int]) -> Values:
    """Normal noise in which consecutive blocks resemble each other, an autoregressive process of order 1."""
    start = random.normal(0, 1, (shape[0], 1))
    steps = random.normal(0, math.sqrt(1 - correlation**2), shape)
    series, _ = lfilter([1.0], [1.0, -correlation], steps, zi=correlation * start)
    return np.asarray(NOISE * series)


def skewed(random: Generator, shape: tuple[int, int]) -> Values:
    """Lognormal noise: no time is much shorter than usual, some are much longer."""
    return np.asarray(NOISE * (random.lognormal(0, 1, shape) - 1))


def interrupted(random: Generator, shape: tuple[int, int]) -> Values:
    """Normal noise, and every tenth block has one side that takes up to 50 % longer, half of the time either side."""
    hit = random.random(shape) < 0.1
    return np.asarray(independent(random, shape) + hit * random.choice([-1, 1], shape) * random.uniform(0, 0.5, shape))


def two_modes(random: Generator, shape: tuple[int, int]) -> Values:
    """Normal noise, and in 45 % of the blocks the numerator takes 20 % longer; the median lies in the lower mode."""
    slow = random.random(shape) < 0.45
    values = independent(random, shape) + slow * math.log(1.2)
    return values - _TWO_MODES_MEDIAN


def between_processes(within: Draw, random: Generator, shape: tuple[int, int]) -> Values:
    """Blocks of processes that differ, too."""
    return within(random, shape) + random.normal(0, PROCESS, (shape[0], 1))


_TWO_MODES_MEDIAN = 0.0
_TWO_MODES_MEDIAN = float(np.median(two_modes(default_rng(0), (1, 4_000_000))))

DISTRIBUTIONS: Mapping[str, Draw] = {
    "independent, normal": independent,
    **{f"correlated, {one:g} from block to block": partial(correlated, one) for one in CORRELATIONS},
    "skewed (lognormal, σ = 1)": skewed,
    "10 % of the blocks interrupted": interrupted,
    "two modes": two_modes,
}

HEADINGS = (
    *(f"{count} batches" for count in RUN_BATCHES),
    *("all looks", "60 batches: ±", "60, single blocks", "all looks, no alpha spending"),
    *("6 processes", "6 processes: ±", "1 process, for all processes"),
)


def within(values: Sequence[float], confidence: float = statistics.CONFIDENCE) -> Interval:
    """The interval of a single process."""
    found = ratio_interval(function_ratios.batches(values, BATCH), confidence)
    assert found is not None
    return found


def looks(values: Sequence[float], spending: bool) -> bool:
    """Whether the intervals of all looks contain the true ratio; without ``spending`` each has 95 %."""
    points = takewhile(lambda point: point <= len(values) // BATCH, analysis_points(function_ratios.FIRST_LOOK))
    return all(
        _contains(
            within(
                values[: point * BATCH], function_ratios.look_confidence(look) if spending else statistics.CONFIDENCE
            )
        )
        for look, point in enumerate(points, 1)
    )


def _contains(found: Interval) -> bool:
    return found.low is not None and found.high is not None and found.low <= 1 <= found.high


def row(draw: Draw, seed: int) -> list[str]:
    """A row of the table; coverages and half-widths in percent."""
    random = default_rng(seed)
    runs = draw(random, (RUNS, BATCH * RUN_BATCHES[-1])).tolist()
    intervals = [[within(run[: BATCH * count]) for run in runs] for count in RUN_BATCHES]
    unbatched = [ratio_interval([[value] for value in run]) for run in runs]
    sets = draw_processes(draw, random)
    several = [ratio_interval(processes) for processes in sets]
    single = [within(processes[0]) for processes in sets]
    return [
        *(coverage(found, 0.0) for found in intervals),
        _share([looks(run, spending=True) for run in runs]),
        half_width(intervals[-1]),
        coverage([found for found in unbatched if found is not None], 0.0),
        _share([looks(run, spending=False) for run in runs]),
        coverage([found for found in several if found is not None], 0.0),
        half_width([found for found in several if found is not None]),
        coverage(single, 0.0),
    ]


def draw_processes(draw: Draw, random: Generator) -> list[list[list[float]]]:
    """For each run, the blocks of six processes, 100 each."""
    values = partial(between_processes, draw)(random, (6 * RUNS, 100))
    return values.reshape(RUNS, 6, 100).tolist()


def _share(held: Sequence[bool]) -> str:
    return f"{100 * sum(held) / len(held):.1f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as the command line says, and return the exit status, 0; argparse exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report.paired_coverage",
        description="Simulate how often the intervals of paired times contain the true ratio.",
    )
    parser.add_argument("seed", type=int, help="the same seed gives the same table")
    arguments = parser.parse_args(argv)
    if arguments.seed < 0:
        parser.error(f"seed must be 0 or more, got {arguments.seed}")
    table = tables.plain("noise of the blocks", *HEADINGS)
    for name, draw in DISTRIBUTIONS.items():
        table.add_row(name, *row(draw, arguments.seed))
    terminal.write("".join(f"{line}\n" for line in markdown.table(table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
