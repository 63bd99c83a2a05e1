"""The command ``pairbench gate``."""

from __future__ import annotations

import math
from typing import Any

import click

from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import INTERRUPTED, OF_VERDICT
from pairbench.cli.options import budget_option, destination_options, examples, threshold_option
from pairbench.cli.rendering import Rendering, check_files, say, to_csv


@click.command(epilog=examples('pairbench gate --against main "package.module:function" --setup "package.data:make"'))
@click.argument("functions", nargs=-1, required=True, metavar="FUNCTION...")
@click.option(
    "--against",
    required=True,
    metavar="REV",
    help="Measure the working tree against this revision. REV... is the merge base of REV and HEAD: the commit at "
    "which the branch left REV.",
)
@click.option(
    "--setup",
    metavar="FUNCTION",
    help="A function of the working tree that returns a tuple of arguments. Without it, the functions are called "
    "without arguments.",
)
@threshold_option
@budget_option(240.0)
@click.option(
    "--build",
    metavar="COMMAND",
    help="Install each side with this shell command, such as 'pip install --no-deps -e .', in a virtual environment of "
    "its own. Without it, the sources are imported as they are.",
)
@destination_options
def gate(
    *,
    functions: tuple[str, ...],
    against: str,
    setup: str | None,
    threshold: str,
    budget: float,
    build: str | None,
    destinations: Destinations,
) -> int:
    """Test whether functions of the working tree are slower than those of a revision.

    Each FUNCTION is named by module and name, such as package.module:function. PASS: with 95% confidence, the mean
    slowdown is below the threshold. FAIL: the function fails, or it is significantly slower, and the slowdown is
    estimated above the threshold. INCONCLUSIVE: the budget ended before the rounds showed either, or the results
    differ. new: the revision has no such function. Exit status: 0 PASS or new, 1 FAIL, 3 INCONCLUSIVE.
    """
    from pairbench.cli.progress import progress
    from pairbench.function_gate import Candidate, FunctionGateRequest, judge_functions
    from pairbench.function_workload import FunctionName
    from pairbench.lock import machine_lock
    from pairbench.option_values import check_budget, parse_threshold

    try:
        check_files(destinations)
        names = [FunctionName.parse(text) for text in dict.fromkeys(functions)]
        if not against.strip():
            raise ValueError("the revision of --against is empty; name one, such as main")
        request = FunctionGateRequest(
            revision=against,
            candidates=[Candidate(str(name), name) for name in names],
            threshold=parse_threshold(threshold),
            budget=check_budget(budget),
            setup=None if setup is None else FunctionName.parse(setup),
            build=build,
        )
        with machine_lock(say), progress() as shown:
            report, interrupted = judge_functions(request, shown)
    except ValueError as error:  # WorktreeError and ForeignSource, too
        raise click.ClickException(str(error)) from error
    rendering(report).write(destinations)
    return INTERRUPTED if interrupted else OF_VERDICT[report.verdict]


def rendering(report: Any) -> Rendering:
    """The report of a gate in every format."""
    from pairbench.cli import tables

    rows = [(row.key, *tables.gate_cells(row)) for row in report.rows]
    reasons = [f"{row.key}: {row.verdict}: {row.reason}" for row in report.rows if row.reason]
    legend = (
        "change: mean change of the time from base to head, with the interval of which PASS needs the upper end below "
        "the threshold. MDE: minimum detectable effect, the smallest slowdown that is detected with probability 80 %."
    )
    columns = ("function", *tables.GATE_COLUMNS)
    lines = [
        *reasons,
        legend,
        *report.notes,
        f"{report.verdict}: {report.head['title']} against {report.base['title']}",
    ]
    shown = tables.Report(f"pairbench gate: {report.verdict}", columns, rows, lines)
    return Rendering(shown.text, shown.markdown, lambda: to_csv(list(map(_flat, report.rows))), report.to_json())


def _flat(row: Any) -> dict[str, Any]:
    """A row of a gate for CSV. Ratios are head ÷ base."""
    change, offset = row.change, row.aa_ratio
    return {
        "function": row.key,
        "verdict": row.verdict,
        "reason": row.reason,
        "results": row.results,
        "base_seconds": row.base_seconds,
        "head_seconds": row.head_seconds,
        "change": None if change is None else change.estimate,
        "change_low": None if change is None else change.low,
        "change_high": None if change is None or not math.isfinite(change.high or 0.0) else change.high,
        "typical_change": row.typical_change,
        "aa_ratio": None if offset is None else offset.estimate,
        "minimum_detectable_effect": row.minimum_detectable_effect,
        "rounds": row.rounds,
    }
