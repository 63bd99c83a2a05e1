"""pytest plugin: ``pytest --benchmark`` runs the benchmark cases alone; without it they are left out.

A benchmark case is a test that uses pytest-benchmark's fixture. The terminal ends with the table of speedups.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from bench.timing import threads

if "numpy" not in sys.modules:
    threads.set_own()

PROPERTY = "mlpbench"
"""Name of the user property with which a benchmark case hands over its row of the table."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--benchmark``."""
    parser.getgroup("mlpbench").addoption(
        "--benchmark",
        action="store_true",
        dest="benchmark_cases",
        help="Run the benchmark cases, and nothing else.",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests, or the benchmark cases. ``--benchmark-only`` skips the tests by itself."""
    cases = [item for item in items if "benchmark" in getattr(item, "fixturenames", ())]
    if config.getoption("benchmark_cases"):
        kept = cases
    elif config.getoption("benchmark_only", False):
        return
    else:
        kept = [item for item in items if item not in cases]
    chosen = set(kept)
    left_out = [item for item in items if item not in chosen]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the speedups, by case."""
    rows = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if not rows:
        return
    from bench.cli.tables import number

    cases: dict[str, list[Any]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    terminalreporter.section("speedups over python_loops, measured pairwise in this process")
    width = max(len(row["backend"]) for row in rows)
    for case, members in cases.items():
        terminalreporter.write_line(case, bold=True)
        for row in members:
            terminalreporter.write_line(f"  {row['backend']:<{width}}  {number(row['speedup']):>8}")
