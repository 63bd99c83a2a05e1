"""pytest plugin: the fixture ``paired``, which compares functions and times them with ``--paired``.

pytest loads it in every project, so it imports nothing that takes time until a test uses the fixture. The figures of a
test travel with the report of its teardown, also from a worker of pytest-xdist.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pairbench import plugin_gate

if TYPE_CHECKING:
    from pairbench.paired import Paired

SCHEMA = "pairbench-tests-1"
"""Name and version of the JSON document of ``--paired-json``."""
FIGURES = pytest.StashKey[list[dict[str, Any]]]()
"""The figures of a test, or in the stash of the configuration those of all tests."""
FAILED = pytest.StashKey[bool]()
REPORTED = "pairbench_figures"
"""Attribute of a report that holds the figures."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--paired``, ``--paired-budget`` and ``--paired-json``."""
    group = parser.getgroup("pairbench")
    group.addoption(
        "--paired", action="store_true", dest="paired_timing", help="Time the functions of the tests that use `paired`."
    )
    group.addoption(
        "--paired-budget",
        metavar="SECONDS",
        type=float,
        default=5.0,
        help="Time limit of each comparison without a budget of its own. Default: 5.",
    )
    group.addoption("--paired-json", metavar="PATH", type=Path, help="Write the figures to PATH, as JSON.")
    plugin_gate.add_options(group)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options. Ends pytest with a line and status 2 where nothing can be timed."""
    config.stash[FIGURES] = []
    budget, path = config.getoption("paired_budget"), config.getoption("paired_json")
    if not math.isfinite(budget) or budget <= 0:
        pytest.exit(f"--paired-budget must be a positive number of seconds, not {budget:g}", 2)
    if path is not None and not hasattr(config, "workerinput"):
        from pairbench.option_values import check_file

        try:
            check_file(path)
        except ValueError as error:
            pytest.exit(f"--paired-json {error}", 2)
    if config.getoption("paired_timing") or plugin_gate.is_wanted(config):
        _refuse_several_workers(config)
    if config.getoption("paired_timing"):
        _refuse_monitoring()
    plugin_gate.register(config)


def _refuse_several_workers(config: pytest.Config) -> None:
    if (config.getoption("numprocesses", None) or 0) > 1 or len(config.getoption("tx", None) or ()) > 1:
        pytest.exit("--paired times, and several processes would disturb each other; leave out -n, or use -n 1", 2)


def _refuse_monitoring() -> None:
    from pairbench import tracing

    try:
        tracing.refuse_monitoring()
    except tracing.MonitoringError as error:
        pytest.exit(f"--paired cannot time: {error}", 2)


def is_timing(config: pytest.Config) -> bool:
    """Whether the functions are timed: with ``--paired``, or with the option ``--benchmark`` of mlpbench's plugin."""
    return bool(config.getoption("paired_timing") or config.getoption("benchmark_cases", False))


@pytest.fixture
def paired(request: pytest.FixtureRequest) -> Generator[Callable[..., Paired]]:
    """Compare functions: ``paired(reference, candidates, args)`` returns an object with assertions on them.

    The arguments are those of ``pairbench.compare``, without the tolerances, which ``assert_equal`` takes. Without
    ``--paired`` the functions are called once and compared, and nothing is timed.
    """
    comparisons: list[Paired] = []
    is_gate = plugin_gate.is_wanted(request.config)
    timing = is_timing(request.config) and not is_gate

    def start(
        reference: Callable[..., Any],
        candidates: Mapping[str, Callable[..., Any]],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        setup: Callable[[], tuple[Any, ...]] | None = None,
        processes: int = 1,
        budget: float | None = None,
        check: Callable[[Any, Any], object] | None = None,
        collection: bool = False,
        timeout: float = 60.0,
    ) -> Paired:
        from pairbench import comparing
        from pairbench.functions import FunctionSet
        from pairbench.paired import Paired

        seconds = request.config.getoption("paired_budget") if budget is None else budget
        functions = FunctionSet.of(reference, candidates, args, kwargs, setup)
        measurement = comparing.start(functions, processes, seconds, collection, timeout)
        if not timing:  # a single call in this process suffices, whatever would be timed
            measurement = comparing.start(functions, 1, seconds, collection, timeout)
        if is_gate:
            call = plugin_gate.PairedCall(candidates, functions.args, functions.kwargs, setup, budget)
            plugin_gate.record(request.node, call)
        comparisons.append(Paired(functions, measurement, timing, check, collection))
        return comparisons[-1]

    yield start
    has_failed = request.node.stash.get(FAILED, False)
    figures = [_figures(request.node.nodeid, one, has_failed) for one in comparisons]
    request.node.stash[FIGURES] = figures
    # The fixture record_property would warn of every family of JUnit files but the oldest.
    request.node.user_properties.extend(property for one in figures for property in one["properties"])


def _figures(test: str, paired: Paired, has_failed: bool) -> dict[str, Any]:
    """The figures of a comparison as plain data, and the lines that the terminal shows."""
    from pairbench import comparison_views

    if not paired.timing:
        if not has_failed:
            paired.require_equal()
        return {"test": test, "timed": False, "properties": []}
    comparison = paired.describe() if has_failed else paired.finish()
    rows = [(row.name, comparison_views.ratio_text(row.speedup)) for row in comparison.rows]
    return {
        "test": test,
        "timed": True,
        "comparison": json.loads(json.dumps(comparison.to_json())),
        "verdicts": [verdict._asdict() for verdict in paired.verdicts],
        "properties": [(f"pairbench {name}", text) for name, text in rows],
        "lines": [
            *comparison_views.aligned(comparison),
            *comparison_views.notes(comparison),
            *(f"{verdict.verdict}: {verdict.text}" for verdict in paired.verdicts),
        ],
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether the test has failed, and let the report of its teardown carry the figures."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = not report.passed
    elif report.when == "teardown" and item.stash.get(FIGURES, None):
        setattr(report, REPORTED, item.stash[FIGURES])
    return report


class _Collector:
    """Collects the figures of the reports in the process that shows them."""

    def __init__(self, config: pytest.Config):
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._config.stash[FIGURES].extend(getattr(report, REPORTED, ()))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to collect, except in a worker of pytest-xdist, whose reports go to another process."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Collector(session.config), "pairbench-collector")


def _timed(config: pytest.Config) -> list[dict[str, Any]]:
    return [one for one in config.stash[FIGURES] if one["timed"]]


def _document(config: pytest.Config) -> dict[str, Any]:
    tests = [{key: one[key] for key in ("test", "verdicts", "comparison")} for one in _timed(config)]
    return {"schema": SCHEMA, "tests": tests}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Store the figures in the JSON file of pytest-benchmark, which it writes if a test has used its fixture."""
    if _timed(config):
        output_json["pairbench"] = _document(config)


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Write the file of ``--paired-json``, after the summary, so that a full disk does not lose the table."""
    yield
    path = session.config.getoption("paired_json")
    if path is None or hasattr(session.config, "workerinput"):
        return
    try:
        path.write_text(json.dumps(_document(session.config), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        pytest.exit(f"--paired-json cannot write {path}: {error.strerror}", 2)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the times and verdicts, by test."""
    figures = terminalreporter.config.stash[FIGURES]
    if not figures:
        return
    from pairbench.visible_text import visible

    timed = _timed(terminalreporter.config)
    if plugin_gate.is_wanted(terminalreporter.config):  # which shows its own table
        return
    if not timed:
        terminalreporter.write_line("paired: the results were compared, and nothing was timed; --paired times")
        return
    terminalreporter.section("paired times")
    for one in timed:
        terminalreporter.write_line(visible(one["test"]), bold=True)
        for line in one["lines"]:
            terminalreporter.write_line(f"  {visible(line)}")
