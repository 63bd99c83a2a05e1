"""The command ``gate``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random

import click
import psutil

from bench import cases
from bench.cli import answers, rates, terminal, verdicts
from bench.gate import against, outcome, prepare, run, state
from bench.gate.against import Prepared, Wanted
from bench.gate.alone import alone
from bench.gate.trees import Revision
from bench.proof.inputs import Unhealthy
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import Gate, GateState, RevisionRecord
from bench.records.schema import ConditionsRecord
from bench.timing import machine
from bench.timing.machine import Conditions, Meter
from bench.timing.processes import WorkerRefused

STATUS = {"PASS": answers.OK, "FAIL": answers.FINDING, "INCONCLUSIVE": answers.INCONCLUSIVE}
INTERRUPTED = 130
BUDGET_ENDED = "the budget ended"


def gate(
    *,
    against: str | None,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    threshold: str,
    budget: float,
    resume: bool,
    characterise: bool,
    sets: int,
    loaded: bool,
    markdown: str | None,
    json_path: str | None,
    results: Path,
) -> int:
    """Measure the working tree against a revision and give the verdict, or measure the gate itself."""
    if characterise:
        return rates.characterise(sets, loaded, seconds(budget), json_path, results)
    with answers.caller_input():
        if against is None:
            raise ValueError("gate against what? name a revision with --against, such as --against main")
        wanted = Wanted(
            revision=against,
            cases=tuple(cases.select(network, operation or ("forward", "gradient"), default=prepare.DEFAULT)),
            backends=tuple(backend),
            threshold=share(threshold),
            budget=seconds(budget),
        )
        answers.check_json_path(json_path, Gate)
    with alone(terminal.say):
        return _against(wanted, resume, markdown, json_path, results)


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


def _against(wanted: Wanted, resume: bool, markdown: str | None, json_path: str | None, results: Path) -> int:
    started, meter = answers.now(), Meter.start()
    with terminal.progress() as progress:
        with _bad_machine(), answers.caller_input():
            prepared = against.prepared(wanted, progress)
            state.sweep(results)
            begun = state.begin(results / state.FILE, prepared.settings(), prepared.failures, started, resume)
        keep = state.Keeper(results / state.FILE, begun, terminal.say)
        cut = BUDGET_ENDED
        try:
            run.run(begun, prepared.task, prepared.places, Random(secrets.randbits(32)), progress, keep)
        except KeyboardInterrupt:
            cut = "it was interrupted"
    document = _document(wanted, prepared, keep.state, cut, meter.read())
    _store(results, document, keep, over=cut == BUDGET_ENDED)
    try:
        answers.answer(document, json_path, *verdicts.text(document))
    finally:
        if markdown is not None:
            _append(Path(markdown), verdicts.markdown(document))
    return STATUS[document.verdict] if cut == BUDGET_ENDED else INTERRUPTED


@contextmanager
def _bad_machine() -> Iterator[None]:
    """What no worker can do, and what this machine cannot hold, is said in one line."""
    try:
        yield
    except (Unhealthy, MemoryError, WorkerRefused) as error:
        raise click.ClickException(str(error)) from error


def _document(wanted: Wanted, prepared: Prepared, kept: GateState, cut: str, conditions: Conditions) -> Gate:
    rows = outcome.rows(kept, prepared, cut)
    return Gate(
        command="gate",
        version=answers.version(),
        started=kept.started,
        finished=answers.now(),
        machine=machine.describe(),
        options={
            "against": wanted.revision,
            "threshold": wanted.threshold,
            "budget": wanted.budget,
            "rows": [row.key for row in prepared.rows],
        },
        verdict=outcome.verdict(rows),
        head=_revision(prepared.head),
        base=_revision(prepared.base),
        rows=rows,
        notes=[*prepared.notes, *outcome.noise(rows, conditions, psutil.cpu_count() or 1)],
        conditions=ConditionsRecord(**asdict(conditions)),
        sets=kept.sets,
    )


def _revision(revision: Revision) -> RevisionRecord:
    return RevisionRecord(title=revision.title, commit=revision.commit, digest=revision.digest)


def _store(results: Path, document: Gate, keep: state.Keeper, over: bool) -> None:
    """Keep the document; where that cannot be, the figures are still to be shown."""
    try:
        files.make_folder(results)
        terminal.say(f"results: {files.keep(results, document)}")
    except RecordError as error:
        terminal.say(str(error))
    if over:
        keep.forget()


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:  # a job's summary may hold other things
            file.write(text)
    except OSError as error:
        terminal.say(f"cannot write {path}: {error.strerror}")
