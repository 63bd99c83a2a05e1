"""Simulates how often the intervals of ``pairbench.statistics``, and Student's t intervals, contain the true value."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from bench.gate import recording
from bench.gate.recording import Recording, read_recording
from bench.records.files import RecordError
from bench.report import markdown, tables, terminal
from pairbench import statistics
from pairbench.rounds import SIDES
from pairbench.statistics import Interval, ratio_interval, t_quantile, unpaired_ratio
from pairbench.visible_text import visible

Draw = Callable[[Generator, tuple[int, int]], NDArray[np.float64]]
"""Draws an array of this shape of independent logarithms, one per process."""

RUNS = 2000
"""Simulated runs of each coverage. A coverage of 95 % has a standard error of 0.5 % then."""
SHARES = (0.025, 0.1, 0.25, 0.5)
"""Shares of slow processes."""
NOISE, SLOW = 0.01, (0.08, 0.1)
"""Standard deviation of the logarithms of the other processes, and by how much those of slow ones are larger."""
NEIGHBOURS = 15
"""Number of rounds around a recorded process whose median is the time of the processes around."""
TRUTH_DRAWS = 1_000_000
"""Draws from which the true mean and the true median are computed."""
DELAYED = recording.delayed_arm(0.05)
PROCESS = "a process ÷ the processes around"
"""What differs between processes, without what the two arms of a ratio have in common."""


def normal(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Normal noise."""
    return random.normal(0, NOISE, shape)


def with_slow_numerators(share: float, random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Normal noise, and in this share of the processes a numerator that takes longer."""
    return normal(random, shape) + (random.random(shape) < share) * random.uniform(*SLOW, shape)


def with_slow_sides(share: float, random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Normal noise, and in this share of the processes a longer numerator, in as many others a longer denominator."""
    slow = (random.random(shape) < share).astype(int) - (random.random(shape) < share)
    return normal(random, shape) + slow * random.uniform(*SLOW, shape)


def lognormal(sigma: float, random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Noise with a skewed, lognormal distribution."""
    return NOISE * random.lognormal(0, sigma, shape)


SIMULATED: Mapping[str, Draw] = {
    "normal": normal,
    **{f"{100 * share:g} % of the numerators slow": partial(with_slow_numerators, share) for share in SHARES},
    **{f"{100 * share:g} % of each side slow": partial(with_slow_sides, share) for share in SHARES[:-1]},
    "lognormal, σ = 0.5": partial(lognormal, 0.5),
    "lognormal, σ = 1": partial(lognormal, 1.0),
}


def recorded(name: str, source: Recording) -> dict[str, Draw]:
    """Distributions that draw the logarithms of recorded processes, with replacement."""
    logarithms = np.log(source.seconds.astype(float))
    sides = np.median(logarithms[:, : len(SIDES)], axis=2)
    usual = median_filter(np.median(sides, axis=1), NEIGHBOURS)
    head, base, delayed = (logarithms[:, recording.ARMS.index(arm)] for arm in ("head", "base", DELAYED))
    values = {
        f"{name}: two arms of a process": np.median(delayed - head, axis=1),
        f"{name}: arms of two processes": np.median(head - base, axis=1),
        f"{name}: {PROCESS}": sides[:, 0] - usual,
    }
    return {key: partial(_redraw, pool) for key, pool in values.items()}


def _redraw(pool: NDArray[np.float64], random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.choice(pool, shape)


def truth(draw: Draw) -> tuple[float, float]:
    """The mean and the median of a distribution."""
    values = draw(default_rng(0), (1, TRUTH_DRAWS))
    return float(values.mean()), float(np.median(values))


def student(values: Sequence[float]) -> Interval:
    """Student's t interval for the mean."""
    mean = fmean(values)
    half = t_quantile(len(values) - 1, (1 + statistics.CONFIDENCE) / 2) * stdev(values) / math.sqrt(len(values))
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def welch(numerator: Sequence[float], denominator: Sequence[float]) -> Interval:
    """Welch's t interval for the difference of two means."""
    estimate = fmean(numerator) - fmean(denominator)
    errors = [stdev(values) ** 2 / len(values) for values in (numerator, denominator)]
    # The Welch–Satterthwaite equation: https://doi.org/10.1093/biomet/34.1-2.28
    freedom = sum(errors) ** 2 / sum(e**2 / (len(v) - 1) for e, v in zip(errors, (numerator, denominator), strict=True))
    half = t_quantile(freedom, (1 + statistics.CONFIDENCE) / 2) * math.sqrt(sum(errors))
    return Interval(*map(math.exp, (estimate, estimate - half, estimate + half)))


def order(values: Sequence[float], confidence: float = statistics.CONFIDENCE) -> Interval:
    """The interval of ``run``, ``compare`` and ``scale``."""
    interval = ratio_interval([[value] for value in values], confidence)
    assert interval is not None
    return interval


def coverage(intervals: Sequence[Interval], true: float) -> str:
    """The share of intervals that contain a true value, given as a logarithm."""
    return f"{100 * fmean(_ends(found)[0] <= true <= _ends(found)[1] for found in intervals):.1f}"


def half_width(intervals: Sequence[Interval]) -> str:
    """The mean half-width of the intervals, in percent."""
    return f"{50 * fmean(high - low for low, high in map(_ends, intervals)):.1f}"


def _ends(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return math.log(interval.low), math.log(interval.high)


ONE_HEADINGS = (
    *("Student, 4", "Student, 10", "median, 4", "median, 6", "median, 10", "median, 6, at 99 %", "mean, 6", "mean, 10"),
    *("Student, 10: ±", "median, 10: ±"),
)


def one_sample(draw: Draw, seed: int) -> list[str]:
    """A row of the table of ratios that are measured within the processes of one run."""
    random, (mean, median) = default_rng(seed), truth(draw)
    samples = {count: draw(random, (RUNS, count)).tolist() for count in (4, 6, 10)}
    t = {count: [*map(student, samples[count])] for count in (4, 10)}
    found = {count: [*map(order, samples[count])] for count in samples}
    certain = [order(values, 0.99) for values in samples[6]]
    return [
        *(coverage(t[count], mean) for count in t),
        *(coverage(found[count], median) for count in found),
        coverage(certain, median),
        *(coverage(found[count], mean) for count in (6, 10)),
        half_width(t[10]),
        half_width(found[10]),
    ]


TWO_HEADINGS = "Welch, 6", "Welch, 10", "medians, 6", "medians, 10", "Welch, 10: ±", "medians, 10: ±"
TWO_RUNS = "10 % of the numerators slow", "25 % of the numerators slow", "lognormal, σ = 1", PROCESS
"""Which distributions the table of two runs has, by the ends of their names."""


def two_samples(draws: tuple[Draw, Draw], seed: int) -> list[str]:
    """A row of the table of ratios between the processes of two runs."""
    random, (means, medians) = default_rng(seed), zip(*map(truth, draws), strict=True)
    samples = {
        count: [*zip(*(draw(random, (RUNS, count)).tolist() for draw in draws), strict=True)] for count in (6, 10)
    }
    t = {count: [welch(*pair) for pair in samples[count]] for count in samples}
    found = {count: [unpaired_ratio(*pair) for pair in samples[count]] for count in samples}
    return [
        *(coverage(t[count], means[0] - means[1]) for count in t),
        *(coverage(found[count], medians[0] - medians[1]) for count in found),
        half_width(t[10]),
        half_width(found[10]),
    ]


def pages(seed: int, distributions: Mapping[str, Draw]) -> Iterator[list[str]]:
    """The two tables, as lines of Markdown. Coverages and half-widths are in percent."""
    one = tables.plain("within one run", *ONE_HEADINGS)
    for name, draw in distributions.items():
        one.add_row(name, *one_sample(draw, seed))
    yield markdown.table(one)
    two = tables.plain("between two runs", *TWO_HEADINGS)
    two.add_row("normal", *two_samples((normal, normal), seed))
    for name, draw in distributions.items():
        if name.endswith(TWO_RUNS):
            two.add_row(f"{name}, in both runs", *two_samples((draw, draw), seed))
            two.add_row(f"{name}, in the first run alone", *two_samples((draw, normal), seed))
    yield markdown.table(two)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables as the command line says, and return the exit status: 0, or 2 for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report.interval_coverage",
        description="Simulate how often the intervals of run, compare and scale contain the true value.",
    )
    parser.add_argument("seed", type=int, help="the same seed gives the same tables")
    parser.add_argument("recordings", type=Path, nargs="*", metavar="RECORDING.npz", help="of `mlpbench error-rates`")
    arguments = parser.parse_args(argv)
    if arguments.seed < 0:
        parser.error(f"seed must be 0 or more, got {arguments.seed}")
    distributions = dict(SIMULATED)
    try:
        for path in arguments.recordings:
            distributions |= recorded(path.stem, read_recording(path))
    except RecordError as error:
        print(f"{parser.prog}: {visible(str(error))}", file=sys.stderr)
        return 2
    for page in pages(arguments.seed, distributions):
        terminal.write("".join(f"{line}\n" for line in [*page, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
