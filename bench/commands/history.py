"""The command ``history``."""

from __future__ import annotations

from pathlib import Path

from bench.commands import output
from bench.history import course, imported
from bench.history.index import is_stored, own_machine, read_index
from bench.records import files
from bench.records.header import header, now
from bench.records.history_schema import History
from bench.report import tables, terminal
from bench.report.contents import contents
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import OK
from pairbench.wording import counted


def history(
    series: str | None, *, all_machines: bool, import_: tuple[str, ...], results: Path, destinations: Destinations
) -> int:
    """Show the course of each series over the stored runs, after importing results of other programs."""
    started = now()
    with output.caller_input():
        output.check_destinations(destinations, History)
        for path in destinations.files:
            if path.parent.resolve() == results.resolve() and is_stored(path.name):
                raise ValueError(f"{path} is a file of the history itself; name another one")
        if import_:
            _import(import_, results)
        files.remove_unfinished(results)
        if not results.is_dir():
            raise ValueError(f"there is no folder {results}; `mlpbench run` stores its results there")
        indexed = read_index(results).files
        own = None if all_machines else own_machine()
        rows = course.history_rows(indexed, series, own)
    document = History(
        **header("history", started),
        rows=rows,
        changes=course.changes(rows),
        unread=[file.reason for file in indexed if file.reason],
    )
    notes = [tables.item(reason) for reason in document.unread]
    others = len({file.machine for file in indexed if file.rows} - {row.machine for row in rows})
    if others:
        notes.append(tables.item(f"{counted(others, 'other machine')} with stored results: --all-machines shows them"))
    if not rows:
        notes.append(tables.item(f"{results} holds no run of a machine like this one; `mlpbench run` makes one"))
    output.show(document, destinations, contents(document), notes)
    return OK


def _import(places: tuple[str, ...], results: Path) -> None:
    if "" in places:
        raise ValueError("--import needs the name of a file or folder")
    files.make_folder(results)
    for place in places:
        found, unread = imported.read_imports(Path(place))
        for imported_results in found:
            files.write(results / imported.stored_name(imported_results), imported_results)
        for reason in unread:
            terminal.say(f"passed over: {reason}")
        terminal.say(f"{place}: {counted(len(found), 'result')} imported into {results}")
