"""The results of a command in every format, on standard output and in a file."""

import errno
import os
import re
from pathlib import Path

import pytest

from bench import suite
from bench.cli.main import main
from bench.commands import output
from bench.records import csv_rows, files, gate_schema, schema
from bench.report import formats, markdown, tables
from pairbench.cli.destinations import FORMATS, Destinations
from pairbench.visible_text import one_line
from tests.helpers import TINY, one_line_error, set_quick_effort, timing_row
from tests.test_csv_rows import ROWS, csv_errors, document_of, unseen


def markdown_tables(text):
    """The tables of a page of Markdown: lists of rows of cells, split at the pipes that are not escaped."""
    lines = [re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines]


def markdown_errors(text):
    headings, alignments, *rows = markdown_tables(text)
    errors = [f"{len(line)} cells: {line}" for line in [alignments, *rows] if len(line) != len(headings)]
    errors += [f"markup: {cell}" for line in rows for cell in line if re.search(r"<b>|(?<!\\)\*x", cell)]
    return errors + unseen(text)


def test_a_markdown_table_has_the_cells_of_the_terminals_table():
    rows = [timing_row(seconds=1.23456e-6, ulps=0.123456), timing_row(arm="A/A", seconds=None, speedup=None)]
    page = markdown.page(list(tables.timings(rows)))
    assert page.startswith("**forward 3-3-1, 1 sample, float64**\n\n| backend | time | speedup over python_loops |")
    assert markdown_tables(page)[1:] == [
        ["---", "---:", "---:", "---:", "---:"],
        ["numpy_plain", "1.23 µs", "2.00 [1.90, 2.10]", "0.123", "10.0 %"],
        ["A/A", "-", "-", "0.500", "10.0 %"],
    ]


def test_hostile_text_keeps_to_its_cell_and_its_line():
    page = markdown.page(list(tables.backends(ROWS[schema.Listing])))
    assert markdown_errors(page) == []
    headings, _, *rows = markdown_tables(page)
    assert (len(headings), len(rows)) == (6, len(ROWS[schema.Listing]))
    assert len(page.splitlines()) == 2 + len(rows) + 1 + len(rows)  # the table, a blank line, a reason for each row


@pytest.mark.parametrize("wrong", [lambda text: text, lambda text: text.replace("|", "\\|"), one_line])
def test_wrong_markdown_is_noticed(monkeypatch, wrong):
    monkeypatch.setattr("pairbench.markdown.escaped", wrong)
    assert markdown_errors(markdown.page(list(tables.backends(ROWS[schema.Listing]))))


LISTING = document_of(schema.Listing).model_copy(update={"command": "backends"})
SHOWN, NOTES = ["the table"], ["a note"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_stands_alone_on_standard_output_and_beside_the_notes_in_a_file(form, empty_folder, capsys):
    output.show(LISTING, Destinations(form), SHOWN, NOTES)
    alone = capsys.readouterr().out
    assert (alone == files.dumps(LISTING) + "\n") is (form == "json")
    assert (alone == csv_rows.dumps(LISTING)) is (form == "csv")
    assert ("the table" in alone) is ("a note" in alone) is (form in ("table", "markdown"))
    output.show(LISTING, Destinations(form, "out", "listing.json"), SHOWN, NOTES)
    assert capsys.readouterr().out == f"{form}: out\na note\n"
    assert Path("out").read_text().endswith(alone)
    assert Path("listing.json").read_text() == files.dumps(LISTING) + "\n"
    formats.check_destination(Path("out"), form, schema.Listing)  # it may be written again
    for other in {*FORMATS} - {form}:
        with pytest.raises(files.RecordError, match=r"^out "):
            formats.check_destination(Path("out"), other, schema.Listing)
    with pytest.raises(files.RecordError, match=r"^out "):
        formats.check_destination(Path("out"), form, gate_schema.BaselineSummary)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_cannot_be_written_loses_neither_the_figures_nor_the_json(form, empty_folder, capsys, monkeypatch):
    write = files.write_bytes

    def full(path, content):
        if path.name == "out":
            raise files.RecordError(f"cannot write {path}: {os.strerror(errno.ENOSPC)}")
        write(path, content)

    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(output.click.ClickException, match="cannot write out: No space left on device"):
        output.show(LISTING, Destinations(form, "out", "listing.json"), SHOWN, NOTES)
    assert capsys.readouterr().out == "the table\na note\n"
    assert [path.name for path in Path().iterdir()] == ["listing.json"]


COMMANDS = ("run", "compare numpy_plain numba_simd", "scale", "speed", "verify", "tutorials", "gate --against HEAD")
MORE = ("backends", "baseline show", "error-rates")


WRONG = [
    ("--format csv --output notes", "notes is not "),
    ("--format xml", "'xml' is not one of 'table', 'markdown', 'csv', 'json'"),
    ("--output no/where", "there is no folder no"),
    ("--output .", "name a file"),
    *((f"--format {form} --output notes", "notes is not ") for form in FORMATS if form != "csv"),
    ("--format csv --json -", "name a file for --json"),
    ("--output a --json -", "name a file for --json"),
    ("--output a --json ./a", "would be written twice"),
]


@pytest.mark.parametrize(
    ("command", "options", "text"),
    [
        *((command, *WRONG[0]) for command in (*COMMANDS, *MORE)),
        *((command, *WRONG[-1]) for command in (*COMMANDS, *MORE)),
        *(("backends", *wrong) for wrong in WRONG[1:-1]),
    ],
)
def test_wrong_destinations_are_refused_before_anything_is_measured(command, options, text, repository, capsys):
    Path("notes").write_text("mine")
    assert text in one_line_error(capsys, *command.split(), *options.split())
    assert Path("notes").read_text() == "mine"
    assert not Path("a").exists()


def test_the_page_of_speed_and_the_summary_of_the_gate_are_other_files(repository, capsys):
    for command in (("speed",), ("gate", "--against", "HEAD")):
        assert "twice" in one_line_error(capsys, *command, "--markdown", "same.md", "--output", "same.md")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS[:2])
def test_a_timing_is_written_as_csv(command, empty_folder, forked_workers, capsys, monkeypatch):
    set_quick_effort(monkeypatch, TINY)
    few = ("--quick", "--network", "3-3-1", "--operation", "forward", "--batch", "1", "--json", "all.json")
    backend = ("--backend", "numpy_plain") if command == "run" else ()
    assert main([*command.split(), *few, *backend, "--format", "csv"]) == 0
    text = capsys.readouterr().out
    document = files.read(Path("all.json"), schema.Run if command == "run" else schema.Comparison)
    assert len(document.rows) == 3
    assert csv_errors(document, text) == []
    monkeypatch.setattr(suite, f"{'run_suite' if command == 'run' else 'compare_backends'}", lambda *_: document)
    assert main([*command.split(), *few, *backend, "--format", "csv", "--output", "-"]) == 0
    assert capsys.readouterr().out == text
    for _ in range(2):  # the second time, an earlier file is replaced
        assert main([*command.split(), *few, *backend, "--format", "csv", "--output", "rows.csv"]) == 0
        out = capsys.readouterr().out
        assert Path("rows.csv").read_text() == text
        assert "A/A control" in out
        assert "csv: rows.csv\n" in out
        assert not re.search("^numpy_plain ", out, re.MULTILINE)


def test_the_proof_is_written_as_csv(empty_folder, capsys, monkeypatch):
    document = document_of(schema.Proof).model_copy(update={"mutants": [], "timing_mutants": []})
    monkeypatch.setattr(suite, "verify_backends", lambda *_: document)
    assert main(["verify", "numpy_plain", "--format", "csv"]) == 1  # a row is not ok
    assert csv_errors(document, capsys.readouterr().out) == []


def test_an_activation_is_no_name_of_a_file(empty_folder, capsys):
    line = one_line_error(capsys, "run", "--output", "identity")
    assert "--output names a file; the activation is --output-activation identity" in line
    assert list(empty_folder.iterdir()) == []
