"""What each tool says of a pair, read from its output: a regression by more than a threshold, or none.

All functions raise ToolFailed if the output has no verdict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.records.tool_comparison_schema import ToolVerdict

_REGRESSED = re.compile(r"Field '(\w+)' has failed PercentageRegressionCheck")
_ASV_ROW = re.compile(r"^\|\s*([-+x!*]?)\s*\|.*\|\s*suite\.Work\.time_work\b", re.MULTILINE)


class ToolFailed(Exception):
    """A tool gave no verdict. The message is one line."""


def of_pytest_benchmark(status: int, output: str, fields: Sequence[str]) -> dict[str, ToolVerdict]:
    """The verdict for each field of ``--benchmark-compare-fail``, from the exit status and the output of pytest."""
    failed = set(_REGRESSED.findall(output))
    if bool(status) != bool(failed) or "Comparing against benchmarks from" not in output:
        raise ToolFailed(f"pytest-benchmark ended with status {status}: {_last_line(output)}")
    return {field: _verdict(field in failed) for field in fields}


def of_asv(output: str) -> ToolVerdict:
    """The verdict of ``asv compare``: a row that is marked with + has got worse."""
    rows = _ASV_ROW.findall(output)
    if len(rows) != 1 or rows[0] in ("!", "x"):
        raise ToolFailed(f"asv compare has no comparison of the benchmark: {_last_line(output)}")
    return _verdict(rows[0] == "+")


def of_hyperfine(document: Mapping[str, Any], threshold: float) -> dict[str, ToolVerdict]:
    """The verdicts by the ratio of the means of two commands, head ÷ base, and by the ratio less its standard error."""
    try:
        base, head = ((one["mean"], one["stddev"], len(one["times"])) for one in document["results"])
    except (KeyError, TypeError, ValueError):
        raise ToolFailed("hyperfine exported no times of two commands") from None
    ratio = head[0] / base[0]
    # The variances of the means add up, relative to the squares of the means.
    error = ratio * math.sqrt(sum((spread / mean) ** 2 / runs for mean, spread, runs in (base, head)))
    return {"ratio": _verdict(ratio > 1 + threshold), "ratio, less its error": _verdict(ratio - error > 1 + threshold)}


def of_gate(document: Mapping[str, Any]) -> ToolVerdict:
    """The verdict of ``pairbench gate``."""
    (row,) = document["rows"]
    verdicts: dict[str, ToolVerdict] = {"FAIL": "regression", "PASS": "none", "INCONCLUSIVE": "inconclusive"}
    if row["verdict"] not in verdicts or (row["verdict"] == "FAIL" and row["change"] is None):
        raise ToolFailed(f"pairbench gate measured nothing: {row['reason']}")
    return verdicts[row["verdict"]]


def of_speedup(speedup: Mapping[str, float | None] | None, threshold: float) -> ToolVerdict:
    """The verdict by a speedup, base ÷ head, of ``pairbench compare`` or ``pairbench run``.

    A regression is estimated above the threshold, and its interval excludes 1.
    """
    if speedup is None or speedup["estimate"] is None or speedup["high"] is None:
        raise ToolFailed("pairbench measured no interval")
    return _verdict(speedup["estimate"] < 1 / (1 + threshold) and speedup["high"] < 1)


def _verdict(regressed: bool) -> ToolVerdict:
    return "regression" if regressed else "none"


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1].strip() if lines else "it printed nothing"
