"""The command ``gate``."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from random import Random

from bench import cases
from bench.cases import Case
from bench.cli import answers, rates, terminal, verdicts
from bench.cli import baseline as sessions
from bench.cli.main import INTERRUPTED
from bench.gate import against, outcome, prepare, run, state
from bench.gate.against import Wanted
from bench.gate.alone import alone
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import Gate, GateRow, GateState
from bench.timing.machine import Meter

STATUS = {"PASS": answers.OK, "FAIL": answers.FINDING, "INCONCLUSIVE": answers.INCONCLUSIVE}
BASELINE = "baseline.json"
RESULTS, THRESHOLD = "results", "5%"


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
    with answers.caller_input():
        stored = baseline is not None or baseline_from is not None or record or ratchet
        if (against is not None) + stored + characterise != 1:
            raise ValueError("say what to measure against: --against REV, such as --against main, or --baseline FILE")
        limit, most = share(threshold), seconds(budget)
        chosen = tuple(
            cases.select(network, operation or ("forward", "gradient"), default=prepare.DEFAULT, batches=batch)
        )
        if not characterise:
            answers.check_json_path(json_path, Gate)
    if characterise:
        return rates.characterise(sets, loaded, most, json_path, results)
    with alone(terminal.say):
        if against is not None:
            wanted = Wanted(against, chosen, tuple(backend), limit, most)
            document, interrupted = judged(wanted, resume, results)
        else:
            path = results / BASELINE if baseline is None else baseline
            asked = sessions.Wanted(path, baseline_from, chosen, tuple(backend), limit, most, ratchet)
            if record:
                return sessions.record(asked)
            document, interrupted = sessions.judged(asked), False
    _store(results, document)
    try:
        answers.answer(document, json_path, *verdicts.text(document))
    finally:
        if markdown is not None:
            _append(Path(markdown), verdicts.markdown(document))
    return INTERRUPTED if interrupted else STATUS[document.verdict]


def rows(
    pairs: Sequence[tuple[str, Case]], revision: str | None, baseline: Path | None, budget: float, root: Path
) -> dict[tuple[str, Case], GateRow]:
    """The verdicts on backends at cases; of the cases, those that the gate takes by default if any is among them."""
    usual = set(cases.select(default=prepare.DEFAULT))
    chosen = [case for _, case in pairs if case in usual] or [case for _, case in pairs]
    names = tuple(dict.fromkeys(name for name, case in pairs if case in chosen))
    kept, threshold = tuple(dict.fromkeys(chosen)), share(THRESHOLD)
    with alone(terminal.say):
        if revision is not None:
            document, interrupted = judged(
                Wanted(revision, kept, names, threshold, seconds(budget)), False, root / RESULTS
            )
            if interrupted:
                raise KeyboardInterrupt
        else:
            path = Path() if baseline is None else baseline
            document = sessions.judged(sessions.Wanted(path, None, kept, names, threshold, seconds(budget), False))
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


def judged(wanted: Wanted, resume: bool, results: Path) -> tuple[Gate, bool]:
    """The verdict on the working tree against a revision, and whether the measuring was interrupted."""
    started, meter = answers.now(), Meter.start()
    with terminal.progress() as progress:
        with answers.caller_input():
            if resume:
                files.read(results / state.FILE, GateState)  # before all the work
            prepared = against.prepared(wanted, progress)
            state.sweep(results)
            begun = state.begin(results / state.FILE, prepared.settings(), prepared.failures, started, resume)
        keep = state.Keeper(results / state.FILE, begun, terminal.say)
        interrupted = False
        try:
            run.run(begun, prepared.task, prepared.places, Random(secrets.randbits(32)), progress, keep)
        except KeyboardInterrupt:
            interrupted = True
    cut = "it was interrupted" if interrupted else "the budget ended"
    document = verdicts.document(
        keep.state.started,
        {
            "against": wanted.revision,
            "threshold": wanted.threshold,
            "budget": wanted.budget,
            "rows": [row.key for row in prepared.rows],
        },
        prepared.head,
        prepared.base,
        outcome.rows(keep.state, prepared, cut),
        prepared.notes,
        meter.read(),
        keep.state.sets,
    )
    if not interrupted:
        keep.forget()
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
