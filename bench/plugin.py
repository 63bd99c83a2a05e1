"""pytest plugin: ``pytest --benchmark`` runs only the benchmark cases; without the option they are deselected.

A benchmark case is a test with the marker ``mlpbench_case``; it uses the fixture of pytest-benchmark. Other tests, such
as those of another project, are left as they are. The terminal summary shows a table of speedups. With a revision or a
baseline, the gate also measures the cases, and its verdict decides whether a test passes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pairbench import threads, tracing
from pairbench.visible_text import one_line, visible, visible_data, visible_lines

if TYPE_CHECKING:
    from bench.records.gate_schema import GateRow

if "numpy" not in sys.modules:
    threads.limit_own_threads()

MARKER = "mlpbench_case"
"""Name of the marker of the benchmark cases."""
PROPERTY = "mlpbench"
"""Name of the user property that holds a benchmark case's row in the table of speedups."""
GATE = "mlpbench gate"
"""Name of the user property that holds the gate's verdict on a benchmark case, as a sentence."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--benchmark`` and the options of the gate."""
    group = parser.getgroup("mlpbench")
    group.addoption(
        "--benchmark",
        action="store_true",
        dest="benchmark_cases",
        help="Run only the benchmark cases.",
    )
    group.addoption(
        "--benchmark-gate-against",
        metavar="REV",
        help="Fail the cases in which a backend is slower than at the revision REV. REV... is the merge base of REV "
        "and HEAD.",
    )
    group.addoption(
        "--benchmark-gate-baseline",
        metavar="FILE",
        type=Path,
        help="Fail the cases in which a speedup is lower than in the sessions of the baseline FILE. Write a FILE "
        "outside the project with '='; otherwise pytest looks for its settings next to FILE.",
    )
    group.addoption(
        "--benchmark-gate-budget",
        metavar="SECONDS",
        type=float,
        default=240.0,
        help="Time limit of the gate's measurement.",
    )
    group.addoption(
        "--benchmark-gate-threshold",
        metavar="T",
        default="5%",
        help="The largest slowdown that is accepted. Default: 5%%.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check the options before any test runs. Raises pytest.UsageError; ends pytest where nothing can be timed."""
    config.addinivalue_line("markers", f"{MARKER}: a benchmark case of mlpbench, which runs with --benchmark only")
    if config.getoption("benchmark_cases"):
        _check_timing(config)
    revision, baseline = (config.getoption(f"benchmark_gate_{name}") for name in ("against", "baseline"))
    if revision is None and baseline is None:
        return
    from bench.gate.baseline import read_baseline
    from bench.gate.preparation import PACKAGE
    from pairbench.option_values import check_budget, parse_threshold
    from pairbench.worktrees import Checkout

    if revision is not None and baseline is not None:
        raise pytest.UsageError("give either --benchmark-gate-against or --benchmark-gate-baseline, not both")
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
        raise pytest.UsageError(one_line(str(error))) from error


def _check_timing(config: pytest.Config) -> None:
    """End pytest with a line and status 2 if nothing can be timed."""
    if config.getoption("benchmark_only", None) is None:
        pytest.exit("--benchmark needs pytest-benchmark, which is not loaded; leave out -p no:benchmark", 2)
    if config.getoption("numprocesses", None) or config.getoption("tx", None):
        pytest.exit("--benchmark times in one process, for several would disturb each other; leave out -n", 2)
    try:
        tracing.refuse_monitoring()
    except tracing.MonitoringError as error:
        pytest.exit(f"--benchmark cannot time: {error}", 2)


def _check_one_copy() -> None:
    """End pytest with a line and status 2 if the backends come from another copy of the project than this plugin."""
    import impls

    backends, plugin = (Path(str(file)).resolve().parents[1] for file in (impls.__file__, __file__))
    if backends != plugin:
        pytest.exit(f"the backends are those of {backends}, the plugin is that of {plugin}; use python -m pytest", 2)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``--benchmark``, leave out the files without benchmark cases: they may import what is not installed."""
    if not config.getoption("benchmark_cases") or collection_path.suffix != ".py":
        return None
    return None if MARKER in collection_path.read_text(encoding="utf-8", errors="replace") else True


@pytest.fixture(scope="session")
def gate_rows(request: pytest.FixtureRequest) -> Mapping[tuple[str, Any], GateRow]:
    """The gate's rows for the collected cases, by backend and case; empty if neither option of the gate is given."""
    option = request.config.getoption
    revision, baseline = option("benchmark_gate_against"), option("benchmark_gate_baseline")
    if revision is None and baseline is None:
        return {}
    from bench.gate.pytest_verdicts import verdicts_for_tests
    from bench.report import terminal
    from pairbench.option_values import check_budget, parse_threshold

    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    pairs = [(params["name"], params["case"]) for params in parameters if {"name", "case"} <= params.keys()]
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled(), terminal.progress() as progress:
        threshold = parse_threshold(option("benchmark_gate_threshold"))
        budget = check_budget(option("benchmark_gate_budget"))
        return verdicts_for_tests(pairs, revision, baseline, threshold, budget, progress, terminal.say)


def apply_verdict(
    row: GateRow | None, extra_info: dict[str, Any], record_property: Callable[[str, object], None]
) -> None:
    """Fail or skip the running test by the gate's verdict on its case, and add the verdict to the test's report."""
    if row is None:
        return
    from bench.report import gate_tables

    sentence = visible(gate_tables.sentence(row))
    extra_info["gate"] = visible_data(row.model_dump())
    record_property(GATE, sentence)
    if row.verdict == "FAIL":
        pytest.fail(sentence, pytrace=False)
    if row.verdict == "INCONCLUSIVE":
        pytest.skip(sentence)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests, or the benchmark cases; with ``--benchmark-only`` pytest-benchmark skips the tests itself."""
    cases = [item for item in items if item.get_closest_marker(MARKER) is not None]
    if config.getoption("benchmark_cases"):
        kept = cases
        if cases:
            _check_one_copy()
    elif config.getoption("benchmark_only", False):
        return
    else:
        kept = [item for item in items if item not in cases]
    kept_set = set(kept)
    deselected = [item for item in items if item not in kept_set]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make the text of a benchmark case's report visible, since the backend's exceptions and output are part of it."""
    report = yield
    if "benchmark" in getattr(item, "fixturenames", ()) and report.failed:
        shown = str(report.longrepr)
        if (safe := visible_lines(shown)) != shown:
            report.longrepr = safe
        report.sections = [(title, visible_lines(text)) for title, text in report.sections]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Store the machine, its settings and the measured copy of the project in the JSON file of pytest-benchmark."""
    if config.getoption("benchmark_cases"):
        from bench.records.source import source
        from pairbench import machine

        output_json["mlpbench"] = {"machine": machine.describe(), "source": source().model_dump()}


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the speedups, by case, and the gate's verdicts."""
    _show_speedups(terminalreporter, _property_values(_reports(terminalreporter, "passed"), PROPERTY))
    option = terminalreporter.config.getoption
    if option("benchmark_gate_against") is not None or option("benchmark_gate_baseline") is not None:
        reports = _reports(terminalreporter, "passed", "failed", "skipped")
        _show_verdicts(terminalreporter, _property_values(reports, GATE), len(reports))


def _reports(terminalreporter: pytest.TerminalReporter, *outcomes: str) -> list[pytest.TestReport]:
    """Reports of the tests with one of these outcomes."""
    return [report for outcome in outcomes for report in terminalreporter.getreports(outcome) if report.when == "call"]


def _property_values(reports: list[pytest.TestReport], name: str) -> list[Any]:
    """Values of the user property with this name, over all reports."""
    return [value for report in reports for key, value in report.user_properties if key == name]


def _show_verdicts(terminalreporter: pytest.TerminalReporter, sentences: list[str], cases: int) -> None:
    terminalreporter.section("the gate")
    for sentence in sentences:
        terminalreporter.write_line(sentence)
    if (without_verdict := cases - len(sentences)) > 0:
        terminalreporter.write_line(
            f"no verdict on {without_verdict} other cases: if default cases are selected, the gate measures only those"
        )


def _show_speedups(terminalreporter: pytest.TerminalReporter, rows: list[Any]) -> None:
    if not rows:
        return
    from bench.records.remarks import remarks
    from bench.records.source import source
    from bench.report.tables import number
    from pairbench import machine

    cases: dict[str, list[Any]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    terminalreporter.section("speedups over python_loops, measured pairwise in this process")
    width = max(len(row["backend"]) for row in rows)
    for case, members in cases.items():
        terminalreporter.write_line(case, bold=True)
        for row in members:
            terminalreporter.write_line(f"  {row['backend']:<{width}}  {number(row['speedup']):>8}")
    for remark in remarks(machine.describe(), source()):
        terminalreporter.write_line(remark)
