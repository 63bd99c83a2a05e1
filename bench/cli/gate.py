"""The command ``gate``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import click
from click.core import ParameterSource

from bench import cases
from bench.cases import Case
from bench.cli import baseline as sessions
from bench.cli import output, rates, terminal
from bench.cli.main import INTERRUPTED
from bench.gate import comparison, gate_rows, preparation, revision, state
from bench.gate.revision import RevisionRequest
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import Gate, GateRow, GateState
from bench.report import gate_tables
from pairbench.lock import machine_lock
from pairbench.machine import Meter
from pairbench.sequential_test import MIN_ROUNDS
from pairbench.worktrees import WorktreeError

STATUS = {"PASS": output.OK, "FAIL": output.FINDING, "INCONCLUSIVE": output.INCONCLUSIVE}
BASELINE = "baseline.json"
RESULTS = "results"

ROWS = ("backend", "network", "operation", "batch")
JUDGING = (*ROWS, "threshold", "markdown")
ALWAYS = ("budget", "json_path", "results")
FORMS = {
    "characterise": ("sets", "loaded"),
    "record": ("baseline", *ROWS),
    "against": ("resume", *JUDGING),
    "baseline": ("baseline_from", "ratchet", *JUDGING),
    "baseline_from": ("ratchet", *JUDGING),
    "ratchet": JUDGING,
}
"""By the option that says what is done, the options that go with it; the first that is given counts."""


def gate(
    *,
    against: str | None,
    baseline: Path | None,
    baseline_from: str | None,
    record: bool,
    ratchet: bool,
    characterise: bool,
    sets: int,
    loaded: bool,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    batch: Sequence[int],
    threshold: str,
    budget: float,
    resume: bool,
    markdown: str | None,
    json_path: str | None,
    results: Path,
) -> int:
    """Measure the working tree against a revision or a baseline and give the verdict, or measure the gate itself."""
    with output.caller_input():
        _check_form()
        limit, most = share(threshold), seconds(budget)
        chosen = tuple(
            cases.select_cases(
                network, operation or ("forward", "gradient"), default=preparation.DEFAULT, batches=batch
            )
        )
        if not (characterise or record):
            output.check_json_path(json_path, Gate)
        if markdown is not None:
            files.check_place(Path(markdown))
        path = results / BASELINE if baseline is None else baseline
        _check_apart(path, results / state.FILE, *(Path(one) for one in (json_path, markdown) if one is not None))
    for folder in {results, *(Path(name).parent for name in (baseline, json_path) if name is not None)}:
        files.remove_unfinished(folder)
    if characterise:
        return rates.characterise(sets, loaded, most, json_path, results)
    with machine_lock(terminal.say), _sources_there():
        if against is not None:
            wanted = RevisionRequest(against, chosen, tuple(backend), limit, most)
            document, interrupted = judged(wanted, resume, results)
        else:
            asked = sessions.Wanted(path, baseline_from, chosen, tuple(backend), limit, most, ratchet)
            if record:
                return sessions.record(asked, json_path)
            document, interrupted = sessions.judged(asked)
        _store(results, document)
        try:
            output.answer(document, json_path, *gate_tables.text(document))
        finally:
            if markdown is not None:
                _append(Path(markdown), gate_tables.markdown(document))
        if against is not None and not interrupted:  # now that nothing of it can be lost
            state.forget(results / state.FILE, terminal.say)
    return INTERRUPTED if interrupted else STATUS[document.verdict]


def _check_form() -> None:
    """Raise ValueError unless the options that were given belong together."""
    context = click.get_current_context()
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    form = next((form for form in FORMS if form in given), None)
    if form is None:
        raise ValueError("say what to measure against: --against REV, such as --against main, or --baseline FILE")
    for name in given:
        if name != form and name not in {*FORMS[form], *ALWAYS}:
            raise ValueError(f"{_flag(name)} does not go with {_flag(form)}; see {context.command_path} --help")


def _check_apart(*paths: Path) -> None:
    """Raise ValueError where a file would be written twice."""
    for place, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:place]]:
            raise ValueError(f"{path} would be written twice; name another file")


@contextmanager
def _sources_there() -> Iterator[None]:
    """Sources that are removed while they are measured end the command in one line."""
    try:
        yield
    except WorktreeError as error:
        raise click.ClickException(f"{error}; the next gate lays them out again") from error


def _flag(name: str) -> str:
    return f"--{name.removesuffix('_path').replace('_', '-')}"


def rows(
    pairs: Sequence[tuple[str, Case]],
    revision: str | None,
    baseline: Path | None,
    threshold: float,
    budget: float,
    root: Path,
) -> dict[tuple[str, Case], GateRow]:
    """The verdicts on backends at cases; of the cases, those that the gate takes by default if any is among them."""
    usual = set(cases.select_cases(default=preparation.DEFAULT))
    chosen = [case for _, case in pairs if case in usual] or [case for _, case in pairs]
    names = tuple(dict.fromkeys(name for name, case in pairs if case in chosen))
    kept = tuple(dict.fromkeys(chosen))
    with machine_lock(terminal.say), _sources_there():
        if revision is not None:
            results = root / RESULTS
            document, interrupted = judged(RevisionRequest(revision, kept, names, threshold, budget), False, results)
            state.forget(results / state.FILE, terminal.say)
        else:
            path = Path() if baseline is None else baseline
            asked = sessions.Wanted(path, None, kept, names, threshold, budget, False)
            document, interrupted = sessions.judged(asked)
    if interrupted:
        raise KeyboardInterrupt
    return {(row.backend, case): row for row in document.rows for case in kept if _is_of(row, case)}


def _is_of(row: GateRow, case: Case) -> bool:
    return all(getattr(row, name) == value for name, value in case.fields().items())


def share(text: str) -> float:
    """A share from "5%", "5 %" or "0.05". Raises ValueError."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ValueError(f"a threshold is a slowdown between 0 and 100%, such as 5% or 0.05, not {text!r}")
    return value


def seconds(value: float) -> float:
    """A budget in seconds. Raises ValueError."""
    if not 0 < value < float("inf"):
        raise ValueError(f"a budget is a number of seconds above 0, not {value:g}")
    return value


def judged(wanted: RevisionRequest, resume: bool, results: Path) -> tuple[Gate, bool]:
    """The verdict on the working tree against a revision, and whether the measuring was interrupted.

    What was measured stays in its file until that is forgotten.
    """
    started, meter = output.now(), Meter.start()
    with terminal.progress() as progress:
        with output.caller_input():
            of = revision.find_sources(wanted.revision)
            if not resume:
                state.forget(results / state.FILE, terminal.say)
            elif (results / state.FILE).exists():
                files.read(results / state.FILE, GateState)  # what is wrong with it is said before all the work
            else:
                terminal.say(f"there is no unfinished gate in {results}: this one begins")
            prepared = revision.prepare_gate(wanted, of, progress)
            begun = state.begin(results / state.FILE, prepared.settings(), prepared.failures, started, resume)
        if (least := comparison.min_seconds(prepared.task)) > wanted.budget:
            terminal.say(
                f"the {MIN_ROUNDS} sets that a verdict takes need about {least:.0f} s, and the budget is "
                f"{wanted.budget:g} s: raise it, or choose fewer rows"
            )
        if begun.sets:
            terminal.say(f"going on with the gate of {begun.started}, after {len(begun.sets)} sets")
        keep = state.StateKeeper(results / state.FILE, begun, terminal.say)
        interrupted = False
        try:
            comparison.measure_until_decided(
                begun, prepared.task, prepared.places, Random(secrets.randbits(32)), progress, keep
            )
        except KeyboardInterrupt:
            interrupted = True
            terminal.say("interrupted; the same command with --resume goes on")
    cut = "it was interrupted" if interrupted else "the budget ended"
    document = gate_tables.document(
        keep.state.started,
        {
            "against": wanted.revision,
            "threshold": wanted.threshold,
            "budget": wanted.budget,
            "rows": [row.key for row in prepared.rows],
        },
        prepared.head,
        prepared.base,
        gate_rows.gate_rows(keep.state, prepared, cut),
        prepared.notes,
        meter.read(),
        keep.state.sets,
    )
    return document, interrupted


def _store(results: Path, document: Gate) -> None:
    """Keep the document; where that cannot be, the figures are still to be shown."""
    try:
        files.make_folder(results)
        terminal.say(f"results: {files.keep(results, document)}")
    except RecordError as error:
        terminal.say(str(error))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:  # a job's summary may hold other things
            file.write(text)
    except OSError as error:
        terminal.say(f"cannot write {path}: {error.strerror}")
