"""pytest plugin: ``pytest --benchmark`` runs the benchmark cases alone; without it they are left out.

A benchmark case is a test that uses pytest-benchmark's fixture. The terminal ends with the table of speedups. With a
revision or a baseline the gate measures the cases as well, and its verdicts are those of the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pairbench import threads

if TYPE_CHECKING:
    from bench.records.gate_schema import GateRow

if "numpy" not in sys.modules:
    threads.limit_own_threads()

PROPERTY = "mlpbench"
"""Name of the user property with which a benchmark case hands over its row of the table."""
GATE = "mlpbench gate"
"""And of that with the gate's verdict on it, in words."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--benchmark`` and the options of the gate."""
    group = parser.getgroup("mlpbench")
    group.addoption(
        "--benchmark",
        action="store_true",
        dest="benchmark_cases",
        help="Run the benchmark cases, and nothing else.",
    )
    group.addoption(
        "--benchmark-gate-against",
        metavar="REV",
        help="Fail the cases in which a backend is slower than at this revision.",
    )
    group.addoption(
        "--benchmark-gate-baseline",
        metavar="FILE",
        type=Path,
        help="Fail the cases in which a speedup is less than in the sessions that FILE holds. A FILE outside of the "
        "project is named with '=', or pytest looks for its settings there.",
    )
    group.addoption(
        "--benchmark-gate-budget", metavar="SECONDS", type=float, default=120.0, help="What the gate measures at most."
    )
    group.addoption(
        "--benchmark-gate-threshold", metavar="T", default="5%", help="The slowdown that is a regression. Default: 5%%."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what the gate cannot measure against, before anything runs."""
    revision, baseline = (config.getoption(f"benchmark_gate_{name}") for name in ("against", "baseline"))
    if revision is None and baseline is None:
        return
    from bench.gate.baseline import read_baseline
    from bench.gate.options import check_budget, parse_threshold
    from bench.gate.preparation import PACKAGE
    from pairbench.worktrees import Checkout

    if revision is not None and baseline is not None:
        raise pytest.UsageError("name either --benchmark-gate-against or --benchmark-gate-baseline")
    if not (config.getoption("benchmark_cases") or config.getoption("benchmark_only", False)):
        raise pytest.UsageError("the gate measures benchmark cases: add --benchmark")
    try:
        parse_threshold(config.getoption("benchmark_gate_threshold"))
        check_budget(config.getoption("benchmark_gate_budget"))
        if revision is not None:
            Checkout.find(PACKAGE).revision(revision)
        else:
            read_baseline(baseline)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def gate_rows(request: pytest.FixtureRequest) -> Mapping[tuple[str, Any], GateRow]:
    """The gate's rows by backend and case, for the cases that were collected; empty if no gate was asked for."""
    option = request.config.getoption
    revision, baseline = option("benchmark_gate_against"), option("benchmark_gate_baseline")
    if revision is None and baseline is None:
        return {}
    from bench.gate.options import check_budget, parse_threshold
    from bench.gate.pytest_verdicts import verdicts_for_tests
    from bench.report import terminal

    wanted = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    pairs = [(params["name"], params["case"]) for params in wanted if {"name", "case"} <= params.keys()]
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled(), terminal.progress() as progress:
        threshold = parse_threshold(option("benchmark_gate_threshold"))
        budget = check_budget(option("benchmark_gate_budget"))
        root = request.config.rootpath
        return verdicts_for_tests(pairs, revision, baseline, threshold, budget, root, progress, terminal.say)


def settle(row: GateRow | None, extra_info: dict[str, Any], record_property: Callable[[str, object], None]) -> None:
    """Make the gate's verdict on a case that of the test that runs it, and put its figures beside the test's."""
    if row is None:
        return
    from bench.report import gate_tables

    extra_info["gate"] = row.model_dump()
    record_property(GATE, gate_tables.sentence(row))
    if row.verdict == "FAIL":
        pytest.fail(gate_tables.sentence(row), pytrace=False)
    if row.verdict == "INCONCLUSIVE":
        pytest.skip(gate_tables.sentence(row))


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
    """End with the speedups, by case, and with the gate's verdicts."""
    _tell_speedups(terminalreporter, _handed_over(_reports(terminalreporter, "passed"), PROPERTY))
    option = terminalreporter.config.getoption
    if option("benchmark_gate_against") is not None or option("benchmark_gate_baseline") is not None:
        ended = _reports(terminalreporter, "passed", "failed", "skipped")
        _tell_verdicts(terminalreporter, _handed_over(ended, GATE), len(ended))


def _reports(terminalreporter: pytest.TerminalReporter, *outcomes: str) -> list[pytest.TestReport]:
    """Reports of the tests that ended so."""
    return [one for outcome in outcomes for one in terminalreporter.getreports(outcome) if one.when == "call"]


def _handed_over(reports: list[pytest.TestReport], name: str) -> list[Any]:
    """What tests handed over under this name."""
    return [value for one in reports for key, value in one.user_properties if key == name]


def _tell_verdicts(terminalreporter: pytest.TerminalReporter, sentences: list[str], cases: int) -> None:
    terminalreporter.section("the gate")
    for sentence in sentences:
        terminalreporter.write_line(sentence)
    if (left := cases - len(sentences)) > 0:
        terminalreporter.write_line(f"no verdict on {left} more: of its default cases and others it takes the former")


def _tell_speedups(terminalreporter: pytest.TerminalReporter, rows: list[Any]) -> None:
    if not rows:
        return
    from bench.report.tables import number

    cases: dict[str, list[Any]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    terminalreporter.section("speedups over python_loops, measured pairwise in this process")
    width = max(len(row["backend"]) for row in rows)
    for case, members in cases.items():
        terminalreporter.write_line(case, bold=True)
        for row in members:
            terminalreporter.write_line(f"  {row['backend']:<{width}}  {number(row['speedup']):>8}")
