"""How often a stored baseline errs, by simulation: ``python -m bench.gate.session_rates`` prints a Markdown table.

A series has the logarithms of a row's speedups, (sessions,). Every session from position FIRST on is judged by the
sessions before it, and then is one of them. The random numbers are the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pairbench.sequential_test import CONFIRMATION_ALPHA, FAIL_ALPHA, PASS_ALPHA
from pairbench.session_test import MIN_SESSIONS, History, SessionJudgement, certain_gain, judge_session
from pairbench.statistics import t_quantile

Series = NDArray[np.float64]
Found = NDArray[np.bool_]
Noise = Callable[[Generator, tuple[int, ...]], Series]

THRESHOLD = 0.05
LIMIT = math.log1p(THRESHOLD)
FIRST = MIN_SESSIONS + 1
"""Position of the first session that can FAIL, after an anchor and another session."""
QUIET, WITHIN = 50, 15
"""Number of judged sessions without a change, and of judged sessions within which a creep is to be caught."""
CREEP, GAIN, LASTS, LOST = 0.01, 0.2, 25, 10
"""Loss in each session; a gain, the sessions before it and with it, and those after it that must FAIL."""
REPEAT_SPREAD = 0.005
"""Spread of a repeat within a session, by which the former rule confirmed a suspicion."""
BASELINES, SERIES, CALLS = 200, 200, 500
"""Number of simulated baselines, of series with a change, and of calls of ``baseline accept``."""


def normal(spread: float) -> Noise:
    """Sessions that differ by normal noise."""
    return lambda random, shape: random.normal(0, spread, shape)


def contaminated(random: Generator, shape: tuple[int, ...]) -> Series:
    """Normal noise of 1 %, and of 3 % for a row in one session of ten, as Tukey (1960) models heavy tails."""
    return random.normal(0, 0.01, shape) * np.where(random.random(shape) < 0.1, 3, 1)


def student(random: Generator, shape: tuple[int, ...]) -> Series:
    """Student's t with 3 degrees of freedom and a scale of 1 %, whose tails are heavier still."""
    return 0.01 * random.standard_t(3, shape)


def correlated(random: Generator, shape: tuple[int, ...]) -> Series:
    """Normal noise of 2 % that correlates by 0.5 between a session and the next, as no rule here assumes."""
    noise = random.normal(0, 0.02, shape)
    for position in range(1, shape[-1]):
        noise[..., position] = 0.5 * noise[..., position - 1] + math.sqrt(0.75) * noise[..., position]
    return noise


NOISES: dict[str, Noise] = {
    "normal, 1 %": normal(0.01),
    "normal, 2 %": normal(0.02),
    "heavy tails, 1 %": contaminated,
    "Student's t, 1 %": student,
    "correlated, 2 %": correlated,
}
ROWS = (1, 24)


@dataclass(frozen=True)
class Rule:
    """A rule on one of ``rows`` rows that are tested together.

    ``failures`` has the positions of the sessions that FAIL, ``suspicions`` for each suspected session whether it is
    confirmed, and ``gains`` says whether the last session shows a gain that would be accepted.
    """

    name: str
    failures: Callable[[Series, int, Generator], Iterator[int]]
    suspicions: Callable[[Series, int, Generator], Iterator[bool]]
    gains: Callable[[Series, int], bool]


def _failures(series: Series, rows: int, random: Generator) -> Iterator[int]:
    for position in range(FIRST, len(series)):
        both = series[position - 1 : position + 1].max()
        if both < _highest_level(series, position) and _judgement(series, position, rows).verdict == "FAIL":
            yield position


def _suspicions(series: Series, rows: int, random: Generator) -> Iterator[bool]:
    for position in range(FIRST, len(series)):
        if series[position] < _highest_level(series, position):
            judgement = _judgement(series, position, rows)
            if judgement.suspected:
                yield judgement.verdict == "FAIL"


def _highest_level(series: Series, position: int) -> float:
    """No anchor or window can be higher, so only a session below it by LIMIT can be suspected; quick to compute."""
    return float(np.sort(series[: position - 1])[-MIN_SESSIONS:].mean()) - LIMIT


def _judgement(series: Series, position: int, rows: int) -> SessionJudgement:
    *values, other, now = series[: position + 1].tolist()
    return judge_session(History(values), now, other, THRESHOLD, rows)


def _gains(series: Series, rows: int) -> bool:
    *values, other, now = series.tolist()
    if min(other, now) <= series[:MIN_SESSIONS].mean():  # no gain over the anchor
        return False
    return certain_gain(History(values), now, other, rows) is not None


def _former_failures(series: Series, rows: int, random: Generator) -> Iterator[int]:
    positions, suspected, confirmed = _former_verdicts(series, rows, random)
    yield from positions[suspected & confirmed].tolist()


def _former_suspicions(series: Series, rows: int, random: Generator) -> Iterator[bool]:
    _, suspected, confirmed = _former_verdicts(series, rows, random)
    yield from confirmed[suspected].tolist()


def _former_verdicts(series: Series, rows: int, random: Generator) -> tuple[NDArray[np.int_], Found, Found]:
    """Compares each session and a repeat within it with the mean of all sessions before it."""
    positions, means, errors = _means_and_errors(series)
    falls = means - series[positions]
    repeated = falls + random.normal(0, REPEAT_SPREAD, len(falls))
    suspected = (falls > LIMIT) & (falls > _quantiles(positions, FAIL_ALPHA / rows) * errors)
    return positions, suspected, (repeated > LIMIT) & (repeated > _quantiles(positions, CONFIRMATION_ALPHA) * errors)


def _former_gains(series: Series, rows: int) -> bool:
    _, means, errors = _means_and_errors(series)
    last = np.array([len(series) - 1])
    return bool(series[-1] - means[-1] > (_quantiles(last, PASS_ALPHA) * errors[-1])[0])


def _means_and_errors(series: Series) -> tuple[NDArray[np.int_], Series, Series]:
    """The judged positions, and the mean and the prediction error of all sessions before each."""
    positions = np.arange(FIRST, len(series))
    means, squares = (np.cumsum(terms)[positions - 1] / positions for terms in (series, series**2))
    spreads = np.sqrt((squares - means**2) * positions / (positions - 1))
    return positions, means, spreads * np.sqrt(1 + 1 / positions)


def _quantiles(counts: NDArray[np.int_], alpha: float) -> Series:
    return np.array([_quantile(count - 1, 1 - alpha) for count in counts.tolist()])


_quantile = cache(t_quantile)

RULES = (
    Rule("former", _former_failures, _former_suspicions, _former_gains),
    Rule("present", _failures, _suspicions, _gains),
)


def false_alarms(rule: Rule, noise: Noise, rows: int, random: Generator) -> float:
    """Share of baselines of which any row FAILs in any of QUIET sessions although nothing changed."""
    drawn = noise(random, (BASELINES, rows, FIRST + QUIET))
    return _share(any(any(rule.failures(series, rows, random)) for series in baseline) for baseline in drawn)


def caught_creep(rule: Rule, noise: Noise, rows: int, random: Generator, before: int) -> float:
    """Share of series with a FAIL in the first WITHIN judged sessions of a creep, after ``before`` quiet sessions."""
    length = max(before, FIRST) + WITHIN
    losses = CREEP * np.maximum(0, np.arange(length) - before + 1)
    drawn = noise(random, (SERIES, length)) - losses
    return _share(any(position >= before for position in rule.failures(series, rows, random)) for series in drawn)


def caught_loss(rule: Rule, noise: Noise, rows: int, random: Generator) -> float:
    """Share of series in which a lost gain FAILs in the second session after the loss, and in all later ones."""
    drawn = noise(random, (SERIES // 2, 2 * LASTS + LOST))
    drawn[:, LASTS : 2 * LASTS] += math.log1p(GAIN)
    after = range(2 * LASTS + 1, 2 * LASTS + LOST)
    return _share(set(after) <= set(rule.failures(series, rows, random)) for series in drawn)


def false_gains(rule: Rule, noise: Noise, rows: int, random: Generator) -> float:
    """Share of calls of ``baseline accept`` that find a gain of any row although nothing changed."""
    lengths = random.integers(FIRST + 1, FIRST + QUIET + 1, CALLS)
    return _share(any(rule.gains(series, rows) for series in noise(random, (rows, length))) for length in lengths)


def false_confirmations(rule: Rule, noise: Noise, rows: int, random: Generator) -> tuple[int, int]:
    """Number of confirmed suspicions and of suspicions in quiet series."""
    found = [
        confirmed
        for series in noise(random, (SERIES, FIRST + QUIET))
        for confirmed in rule.suspicions(series, rows, random)
    ]
    return sum(found), len(found)


def _share(found: Iterator[bool]) -> float:
    values = list(found)
    return sum(values) / len(values)


def table() -> Iterator[str]:
    """The lines of the table, one for each noise, number of rows and rule."""
    yield _line(
        "sessions differ by",
        "rows",
        "rule",
        f"false alarm in {QUIET} sessions",
        "creep from the first session",
        "creep after ten sessions",
        "lost gain",
        "false suspicions confirmed",
        "false gain, per call",
    )
    yield _line(*["---"] * 9)
    for name, noise in NOISES.items():
        for rows in ROWS:
            for rule in RULES:
                random = np.random.default_rng(0)  # all rules judge the same sessions
                alarms = false_alarms(rule, noise, rows, random)
                creeps = [caught_creep(rule, noise, rows, random, before) for before in (0, MIN_SESSIONS)]
                lost = caught_loss(rule, noise, rows, random)
                confirmed, suspected = false_confirmations(rule, noise, rows, random)
                gains = false_gains(rule, noise, rows, random)
                percents = [f"{100 * share:.3g}" for share in (alarms, *creeps, lost)]
                cells = [name, str(rows), rule.name, *percents, f"{confirmed} of {suspected}", f"{100 * gains:.3g}"]
                yield _line(*cells)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
