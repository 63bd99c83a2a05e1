"""The part of the pytest plugin for ``--paired-against``: the candidates of each test against those of a revision.

It imports little until a test has called ``paired``, so that a pytest run without it does not become slower.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pairbench.function_gate import Candidate
    from pairbench.function_rows import FunctionRow

NAME = "pairbench-gate"
PROPERTY = "paired_gate"
"""Name of the property of a test in JUnit's file: verdict, change and interval of each candidate."""
BUDGET = 120.0


@dataclass(frozen=True)
class PairedCall:
    """The candidates of a call of ``paired``, by name, and where their arguments come from."""

    candidates: Mapping[str, Callable[..., Any]]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    setup: Callable[[], tuple[Any, ...]] | None
    budget: float | None


CALLS = pytest.StashKey[list[PairedCall]]()
VERDICTS = pytest.StashKey[dict[str, Any]]()
"""The verdicts on a test's candidates, as plain data: cells of a table, and lines of text."""
REPORTED = "pairbench_verdicts"
"""Attribute of a report that holds them; it also comes from a worker of pytest-xdist."""


def add_options(group: Any) -> None:
    """Add the options of the gate to a group of pytest's options."""
    group.addoption(
        "--paired-against",
        metavar="REV",
        help="Measure each candidate of the working tree against the same one of this revision; REV... is the merge "
        "base of REV and HEAD. A FAIL fails the test, and an INCONCLUSIVE skips it.",
    )
    group.addoption("--paired-threshold", metavar="T", default="5%", help="Largest accepted slowdown. Default: 5%%.")
    group.addoption(
        "--paired-build",
        metavar="COMMAND",
        help="Install each side with this shell command, such as 'pip install --no-deps -e .', in a virtual "
        "environment of its own. Without it, the sources are imported as they are.",
    )


def register(config: pytest.Config) -> None:
    """Add the gate to a pytest run with ``--paired-against``. Ends pytest with a line for wrong values."""
    revision = config.getoption("paired_against")
    if revision is None:
        return
    from pairbench.option_values import parse_threshold
    from pairbench.worktrees import Checkout

    try:
        if not revision.strip():
            raise ValueError("the revision of --paired-against is empty; name one, such as main")
        parse_threshold(config.getoption("paired_threshold"))
        Checkout.find().revision(revision)
    except ValueError as error:
        pytest.exit(str(error), 2)
    config.pluginmanager.register(FunctionGate(config), NAME)


def is_wanted(config: pytest.Config) -> bool:
    """Whether this run is a gate; its tests then time nothing else."""
    return config.getoption("paired_against") is not None


def record(item: pytest.Item, call: PairedCall) -> None:
    """Have the gate measure the candidates of a call when its test has passed."""
    item.stash.setdefault(CALLS, []).append(call)


class FunctionGate:
    """Measures the candidates of each test that has passed, and shows all verdicts at the end."""

    def __init__(self, config: pytest.Config):
        self._config = config
        self._shown: list[dict[str, Any]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run the test, and then measure its candidates."""
        result = yield
        if calls := item.stash.get(CALLS, []):
            self._judge(item, calls)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the report of a test carry the verdicts."""
        report = yield
        if report.when == "call" and VERDICTS in item.stash:
            setattr(report, REPORTED, item.stash[VERDICTS])
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the verdicts."""
        if (verdicts := getattr(report, REPORTED, None)) is not None:
            self._shown.append(verdicts)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show a table, the reasons, and what was measured."""
        if not self._shown:
            return
        from pairbench.cli import tables

        rows = [row for shown in self._shown for row in shown["rows"]]
        lines = dict.fromkeys(line for kind in ("reasons", "notes") for shown in self._shown for line in shown[kind])
        terminalreporter.section(f"paired against {self._config.getoption('paired_against')}")
        terminalreporter.write(tables.Report("", ("candidate", *tables.GATE_COLUMNS), rows, list(lines)).text())

    def _judge(self, item: pytest.Item, calls: Sequence[PairedCall]) -> None:
        """Measure the candidates, and fail or skip the test if a verdict demands it."""
        from pairbench.cli import tables
        from pairbench.function_gate import FunctionGateRequest, judge_functions
        from pairbench.lock import machine_lock
        from pairbench.option_values import parse_threshold
        from pairbench.progress import NoProgress

        say = _say(self._config)
        try:
            candidates, left_out = _candidates(calls)
            for sentence in left_out:
                say(sentence)
            if not candidates:
                return
            budgets = [call.budget for call in calls if call.budget is not None]
            request = FunctionGateRequest(
                revision=self._config.getoption("paired_against"),
                candidates=candidates,
                threshold=parse_threshold(self._config.getoption("paired_threshold")),
                budget=sum(budgets) or BUDGET,
                build=self._config.getoption("paired_build"),
            )
            with machine_lock(say):
                report, interrupted = judge_functions(request, NoProgress())
        except ValueError as error:
            pytest.fail(f"{item.name}: {error}", pytrace=False)
        item.stash[VERDICTS] = {
            "rows": [[f"{item.name}: {row.key}", *tables.gate_cells(row)] for row in report.rows],
            "reasons": [f"{item.name}: {_summary(row)}" for row in report.rows if row.reason],
            "notes": list(report.notes),
        }
        item.user_properties.extend((PROPERTY, _summary(row)) for row in report.rows)
        if interrupted:
            raise KeyboardInterrupt
        sentences = [_summary(row) for row in report.rows if row.verdict == report.verdict]
        if report.verdict == "FAIL":
            pytest.fail("\n".join(sentences), pytrace=False)
        if report.verdict == "INCONCLUSIVE":
            pytest.skip("; ".join(sentences))


def _candidates(calls: Sequence[PairedCall]) -> tuple[list[Candidate], list[str]]:
    """The candidates that belong to the project, and a sentence for each of the others. Raises ValueError."""
    from pairbench.function_gate import Candidate
    from pairbench.function_workload import FunctionName, pickle_arguments
    from pairbench.project_trees import import_folder
    from pairbench.workload import WorkloadError
    from pairbench.worktrees import Checkout

    files = Checkout.find().working_tree().files
    candidates: list[Candidate] = []
    left_out = []
    for number, call in enumerate(calls):
        arguments = call.args if call.setup is None else call.setup()
        try:
            pickled = pickle_arguments(tuple(arguments), dict(call.kwargs), "the arguments")
        except WorkloadError as error:
            raise ValueError(str(error)) from None
        for label, function in call.candidates.items():
            module, qualname = (str(getattr(function, name, "")) for name in ("__module__", "__qualname__"))
            try:
                name = FunctionName.parse(f"{module}:{qualname}")
            except ValueError:
                raise ValueError(
                    f"another process cannot import {label} ({qualname or function!r}); define it with def at the top "
                    "of a module"
                ) from None
            if import_folder(name.package, files) is None and import_folder(name.module, files) is None:
                left_out.append(f"{label} is {name}, which is no part of the project, and is not compared")
                continue
            key = label if number == 0 else f"{label} ({number + 1})"
            candidates.append(Candidate(key, name, pickled))
    return candidates, left_out


def _summary(row: FunctionRow) -> str:
    """A row's verdict with its reason and figures, in one line."""
    from pairbench.cli import tables

    figures = "" if row.change is None else f" (change {tables.change(row.change)}, {row.rounds} rounds)"
    reason = f": {row.reason}" if row.reason else ""
    return f"{row.key} ({row.function}): {row.verdict}{reason}{figures}"


def _say(config: pytest.Config) -> Callable[[str], None]:
    """A function that prints a line past pytest's capturing."""
    from pairbench.visible_text import visible

    capture: Any = config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with nullcontext() if capture is None else capture.global_and_fixture_disabled():
            print(f"\npairbench: {visible(text)}", file=sys.stderr, flush=True)

    return say
