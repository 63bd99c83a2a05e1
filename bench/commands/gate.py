"""The command ``gate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from bench import cases
from bench.cases import Case
from bench.checkpoint import Checkpoint
from bench.commands import output
from bench.gate import preparation
from bench.gate.baseline_verdict import BaselineRequest, judge_against_baseline
from bench.gate.option_values import row_options
from bench.gate.revision import RevisionRequest, judge_revision
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import Gate, GateState
from bench.report import gate_tables, terminal
from bench.report.contents import contents
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import INTERRUPTED, OF_VERDICT
from pairbench.lock import machine_lock
from pairbench.option_values import check_budget, parse_threshold
from pairbench.worktrees import Checkout, WorktreeError


def gate(
    *,
    against: str | None,
    baseline: Path | None,
    baseline_from: str | None,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    batch: Sequence[int],
    threshold: str,
    budget: float,
    all_rows: bool,
    counts: bool,
    resume: bool,
    markdown: str | None,
    destinations: Destinations,
    results: Path,
) -> int:
    """Measure the working tree against a revision or a baseline, and give the verdict."""
    checkpoint = Checkpoint(results, "gate", GateState, terminal.say)
    with output.caller_input():
        if against is not None and baseline is not None:
            raise ValueError("give either --against or --baseline, not both")
        if against is None and baseline is None:
            raise ValueError("name what to measure against: either --against REV, such as main, or --baseline FILE")
        if against is not None and not against.strip():
            raise ValueError("the revision of --against is empty; name one, such as main")
        if baseline_from is not None and baseline is None:
            raise ValueError("--baseline-from reads the file of --baseline from a revision: name the file, too")
        if all_rows and against is None:
            raise ValueError("--all-rows belongs to --against; a gate --baseline measures all rows")
        if counts and against is None:
            raise ValueError("--counts belongs to --against; a gate --baseline has no base whose instructions to count")
        if resume and against is None:
            raise ValueError("--resume goes on with a gate --against a revision; a gate --baseline cannot be resumed")
        Checkout.find(preparation.PACKAGE)  # before anything else, and before waiting for the lock
        limit, most = parse_threshold(threshold), check_budget(budget)
        chosen = select_gate_cases(network, operation, batch)
        others = [Path(path) for path in (baseline, markdown) if path is not None]
        output.check_destinations(destinations, Gate, checkpoint.path, *others)
        if markdown is not None:
            files.check_place(Path(markdown))
        files.make_folder(results)
    remove_unfinished_files(checkpoint.path, *others, *destinations.files)
    with machine_lock(terminal.say), sources_present():
        with output.caller_input(), terminal.progress() as progress:
            if against is not None:
                revision_request = RevisionRequest(
                    against,
                    chosen,
                    tuple(backend),
                    limit,
                    most,
                    short_calls=not batch,
                    all_rows=all_rows,
                    counts=counts,
                )
                document, interrupted = judge_revision(revision_request, checkpoint, resume, progress)
                if interrupted and checkpoint.path.exists():
                    terminal.say(checkpoint.interruption())
            else:
                assert baseline is not None
                request = BaselineRequest(
                    path=baseline,
                    revision=baseline_from,
                    results=results,
                    cases=chosen,
                    backends=tuple(backend),
                    threshold=limit,
                    budget=most,
                    row_options=row_options(backend, network, operation, batch),
                )
                document, interrupted = judge_against_baseline(request, progress)
        _store(results, document)
        try:
            output.show(document, destinations, contents(document), gate_tables.verdict(document))
        finally:
            if markdown is not None:
                _append(Path(markdown), gate_tables.markdown(document))
        if against is not None and not interrupted:  # the results are stored and shown
            checkpoint.clear()
    return INTERRUPTED if interrupted else OF_VERDICT[document.verdict]


def select_gate_cases(network: Sequence[str], operation: Sequence[str], batch: Sequence[int]) -> tuple[Case, ...]:
    """The cases of the gate's rows; the default operations are forward and gradient. Raises ValueError."""
    operations = operation or ("forward", "gradient")
    return tuple(cases.select_cases(network, operations, default=preparation.DEFAULT_GATE_CASES, batches=batch))


def remove_unfinished_files(*written: Path) -> None:
    """Remove unfinished files of killed processes from the folders of the written files."""
    for folder in {path.parent for path in written}:
        files.remove_unfinished(folder)


@contextmanager
def sources_present() -> Iterator[None]:
    """End the command with a one-line error if the measured sources are removed meanwhile."""
    try:
        yield
    except WorktreeError as error:
        raise click.ClickException(f"{error}; the next gate lays them out again") from error


def _store(results: Path, document: Gate) -> None:
    """Store the document. An error is only reported, so that the figures are still shown."""
    try:
        terminal.say(f"results: {files.write_results(results, document)}")
    except RecordError as error:
        terminal.say(str(error))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:  # the summary of a CI job may hold other text
            file.write(text)
    except OSError as error:
        terminal.say(f"cannot write {path}: {error.strerror}")
