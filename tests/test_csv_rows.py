"""The rows of a document as CSV, read back with the csv module and with pandas."""

import csv
import io
import json
import re
import warnings
from pathlib import Path

import pytest

from bench.records import (
    cluster_schema,
    comparison_schema,
    csv_rows,
    error_rate_schema,
    files,
    gate_schema,
    history_schema,
    scale_out_schema,
    scale_schema,
    schema,
    speed_schema,
    tutorial_schema,
)
from tests.helpers import ROOT, timing_row

NASTY = '=HYPERLINK("http://x")|a\\|b\r\n\x1b[31m\u202e,;<b>*x*'
HEADER = {"command": "c", "version": "v", "started": "s", "finished": "f", "machine": {}}
CASE = {name: getattr(timing_row(), name) for name in schema.CaseFields.model_fields}
RATIO = schema.Ratio(estimate=1 / 3, low=0.1 + 0.2, high=2 / 3)


def gate_row(**changes):
    fields = {
        **CASE,
        "backend": "numpy_plain",
        "verdict": "FAIL",
        "reason": NASTY,
        "base_seconds": 1e-6 / 3,
        "head_seconds": None,
        "change": RATIO,
        "typical_change": 1 / 7,
        "speedup_change": None,
        "aa_ratio": RATIO,
        "slow_processes": gate_schema.SlowProcessesRecord(head=2, base=1, rounds=20),
        "minimum_detectable_effect": None,
        "rounds": 12,
        "confirming_rounds": None,
        "changed_times": ["backend", "machine"],
        "bytecode": gate_schema.CountRecord(base=550.0, head=553.0),
        "instructions": gate_schema.CountRecord(base=1e4 / 3, head=0.0),
    }
    return gate_schema.GateRow(**fields | changes)


UNCOUNTED = {"bytecode": None, "instructions": None, "uncounted": NASTY}


def figure(**changes):
    fields = {"document": "xor", "part": "p", "figure": "f", "kind": "figure", "backend": None, "ok": True}
    return tutorial_schema.TutorialRow(**fields | changes)


TIMINGS = [
    timing_row(seconds=1e-6 / 3, speedup=RATIO, share=5e-324, layer_sizes=[100, 100, 50, 10]),
    timing_row(speedup=schema.Ratio(estimate=2.0, low=None, high=None), remarks=["a", "b"]),
    timing_row(backend="broken", arm="broken", ok=False, reason=NASTY, seconds=None, speedup=None),
]
VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE")
LISTED = {"origin": "added", "status": "broken", "libraries": {"numpy": "2", "b": NASTY}, "dtypes": ["float64", "x"]}
RATE = error_rate_schema.ErrorRateRecord(count=1, runs=3, low=1 / 7, high=2 / 3)
ROWS = {
    schema.Run: TIMINGS,
    schema.Comparison: TIMINGS,
    speed_schema.Speed: TIMINGS,
    cluster_schema.ClusterRun: [
        cluster_schema.ClusterRow(**dict(row), bucket="b", machines=["m", "n"], disturbances=[NASTY]) for row in TIMINGS
    ],
    scale_schema.Scale: [
        scale_schema.ScaleRow(
            **CASE,
            dimension=None,
            value=None,
            backend="b",
            arm="A/A",
            seconds=None,
            predicted_seconds=1.1,
            speedup=None,
            ulps=None,
            share=None,
            ok=True,
            reason="+1",
        )
    ],
    scale_out_schema.ScaleOut: [
        scale_out_schema.ScaleOutRow(
            method="=m",
            workers=None,
            samples=10**6,
            partition_rows=3,
            seconds=1 / 3,
            speedup=RATIO,
            peak_bytes=2**30,
            share=None,
            ok=False,
            reason=NASTY,
        )
    ],
    schema.Proof: [schema.ProofRow(**CASE, backend="b", ulps=0.1, share=None, ok=False, reason="@x")],
    tutorial_schema.Tutorials: [
        figure(printed="-0.5", value=-1 / 3),
        figure(value=[-0.1, None, 1 / 3], low=0.1, note="a\nb"),
    ],
    gate_schema.Gate: [
        gate_row(),
        gate_row(change=None, speedup_change=RATIO, slow_processes=None, changed_times=[], **UNCOUNTED),
    ],
    schema.Listing: [
        schema.BackendRow(backend=text, description=text, reason=text, **LISTED)
        for text in (NASTY, "-1", "@x", "\t=1", "\r=1", "+", "a,b", 'say "x"', "ordinary")
    ],
    gate_schema.BaselineSummary: [
        gate_schema.BaselineRow(
            row="r", sessions=2, anchor=3.0, window=0, speedup=RATIO, seconds=1.0, reference_seconds=1e-9, accepted=1.0
        )
    ],
    error_rate_schema.ErrorRates: [
        error_rate_schema.ErrorRateRow(
            recording="idle", rule="r", planted=0.05, measured=0.1, rates=dict.fromkeys(VERDICTS, RATE)
        )
    ],
}
KINDS = {"ids": lambda kind: kind.__name__}


def document_of(kind, rows=None):
    """A document of a kind with hostile text, and only with what its rows need."""
    return kind.model_construct(**HEADER, rows=ROWS[kind] if rows is None else rows)


def flat(row):
    """The columns of a row of JSON, which are computed here without the program."""
    cells = {}
    for name, value in row.items():
        match value:
            case {"estimate": estimate, "low": low, "high": high}:
                cells |= {name: estimate, f"{name}_low": low, f"{name}_high": high}
            case None if name in ("slow_processes", "bytecode", "instructions"):
                pass  # each of its columns is empty
            case {"head": _, "base": _}:
                cells |= {f"{name}_{part}": count for part, count in value.items()}
            case {"PASS": _, **_rest}:
                cells |= {f"{verdict}_{part}": rate[part] for verdict, rate in value.items() for part in rate}
            case dict():
                cells[name] = "; ".join(f"{key} {part}" for key, part in value.items())
            case [*_] if name == "layer_sizes":
                cells[name] = "-".join(map(str, value))
            case [*_]:
                cells[name] = "; ".join("" if part is None else str(part) for part in value)
            case _:
                cells[name] = value
    return cells


def csv_errors(document, text):
    """Where a CSV differs from the rows of the JSON document."""
    rows = json.loads(files.dumps(document))["rows"]
    try:
        read = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        return [str(error)]
    errors = [] if len(read) == len(rows) else [f"{len(read)} rows instead of {len(rows)}"]
    for line, row in zip(read, rows, strict=False):
        expected = flat(row)
        errors += [f"no column {name}" for name in expected.keys() - line.keys()]
        for name, cell in line.items():
            value = expected.get(name)
            match value:
                case None:
                    right = cell == ""
                case bool():
                    right = cell == str(value)
                case str():
                    right = cell in (value, f"'{value}")
                case _:
                    right = cell == json.dumps(value)
            errors += [] if right else [f"{name} is {cell!r}, not {value!r}"]
            if isinstance(row.get(name), str) and str(cell).startswith(("=", "+", "-", "@", "\t", "\r")):
                errors.append(f"{name} is a formula: {cell!r}")
    return errors + unseen(text)


def unseen(text):
    return [f"{one!r} is invisible" for one in text if not (one.isprintable() or one == "\n")]


@pytest.mark.parametrize("kind", ROWS, **KINDS)
def test_csv_has_the_numbers_and_the_text_of_the_json_document(kind):
    document = document_of(kind)
    assert csv_errors(document, csv_rows.dumps(document)) == []


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        (schema.Listing, "FORMULA", ("=", "+", "-")),
        (schema.Listing, "visible", lambda text: text),
        (schema.Run, "visible", lambda text: text.replace("\r\n", "")),
        (gate_schema.Gate, "Ratio", None),
        (error_rate_schema.ErrorRates, "ErrorRateRecord", int),
        (schema.Run, "_cell", lambda value: f"{value:.6g}" if isinstance(value, float) else value),
        (tutorial_schema.Tutorials, "_cell", lambda value: "None" if value is None else value),
    ],
)
def test_a_wrong_csv_is_noticed(monkeypatch, kind, name, wrong):
    monkeypatch.setattr(csv_rows, name, wrong)
    document = document_of(kind)
    assert csv_errors(document, csv_rows.dumps(document))


@pytest.mark.parametrize("kind", ROWS, **KINDS)
def test_the_columns_do_not_depend_on_the_rows(kind):
    assert csv_rows.dumps(document_of(kind, [])) == ",".join(csv_rows.columns(kind)) + "\n"
    header = csv_rows.dumps(document_of(kind)).partition("\n")[0]
    assert header.split(",") == csv_rows.columns(kind) == list(dict.fromkeys(csv_rows.columns(kind)))


def in_pandas(expression):
    """The value of a line of the documentation."""
    pandas = pytest.importorskip("pandas")
    assert f"`{expression}`" in (ROOT / "docs" / "output.md").read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the line does not close its file
        return eval(expression, {"pandas": pandas, "json": json})


@pytest.mark.parametrize("kind", [schema.Run, gate_schema.Gate], **KINDS)
def test_the_documented_lines_load_the_files_into_pandas(kind, empty_folder):
    document = document_of(kind)
    Path("run.csv").write_text(csv_rows.dumps(document))
    Path("run.json").write_text(files.dumps(document))
    from_csv = in_pandas('pandas.read_csv("run.csv")')
    from_json = in_pandas('pandas.json_normalize(json.load(open("run.json"))["rows"])')
    assert list(from_csv.columns) == csv_rows.columns(kind)
    assert len(from_csv) == len(from_json) == len(ROWS[kind])
    numbers = [name for name in csv_rows.columns(kind) if name.endswith("seconds") or name in ("batch", "share")]
    for name in numbers:
        assert from_csv[name].dtype.kind in "if"
        assert from_csv[name].tolist() == pytest.approx(from_json[name].astype(float).tolist(), rel=1e-15, nan_ok=True)
    name = "speedup" if kind is schema.Run else "change"
    assert from_json[f"{name}.low"][0] == RATIO.low
    assert from_csv[f"{name}_low"][0] == pytest.approx(RATIO.low, rel=1e-15)
    assert not from_csv.map(lambda cell: isinstance(cell, str) and cell[:1] in "=+-@").any(axis=None)


def test_the_documented_columns_are_those_of_the_commands():
    page = (ROOT / "docs" / "output.md").read_text(encoding="utf-8").partition("## Columns")[2]
    lines = re.findall(r"^\| `(.+)` \| (`.*`) \|$", page, re.MULTILINE)
    documented = {commands: re.findall(r"`(\w+)`", names) for commands, names in lines}
    case = documented.pop("the case")
    expected = {
        "run": schema.Run,
        "run --cluster": cluster_schema.ClusterRun,
        "compare": schema.Comparison,
        "speed": speed_schema.Speed,
        "scale": scale_schema.Scale,
        "scale-out": scale_out_schema.ScaleOut,
        "verify": schema.Proof,
        "tutorials": tutorial_schema.Tutorials,
        "gate": gate_schema.Gate,
        "backends": schema.Listing,
        "history": history_schema.History,
        "compare FILE FILE": comparison_schema.FileComparison,
        "baseline show": gate_schema.BaselineSummary,
        "error-rates": error_rate_schema.ErrorRates,
        "baseline record": gate_schema.RecordedSession,
        "baseline accept": gate_schema.BaselineAcceptance,
    }
    for commands, columns in documented.items():
        for command in commands.split("`, `"):
            wanted = csv_rows.columns(expected.pop(command))
            assert (case if wanted[: len(case)] == case else []) + columns == wanted
    assert expected == {}
