"""Tables and paragraphs on terminals of 60 to 200 columns, and the axis of times."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records import gate_schema, scale_schema, schema
from bench.report import gate_tables, proof_tables, scale_tables, tables, terminal, time_axis
from bench.report.layout import Paragraph
from bench.report.time_axis import Axis
from bench.selection import TABLE_ORDER
from tests.helpers import timing_row
from tests.test_csv_rows import gate_row

WIDTHS = (60, 80, 120, 200)
SECONDS = dict(zip(TABLE_ORDER, (4e-3, 9e-4, 2.1e-5, 1e-5, 1.7e-5, 5e-6, 3e-6), strict=True))


def backend_rows():
    fields = {"origin": "third party", "dtypes": ["float64", "float32"], "reason": "", "status": "installed"}
    words = "Optimized NumPy: biases inside the weight matrices, results in place, few temporary arrays, one call."
    return [
        schema.BackendRow(backend=name, libraries={"scikit-learn": "1.9.1"}, description=words, **fields)
        for name in TABLE_ORDER
    ]


def timing_rows():
    return [timing_row(backend=name, arm=name, seconds=seconds) for name, seconds in SECONDS.items()]


def roofline_rows():
    return [
        row.model_copy(update={"lower_bound_seconds": 1e-7, "roofline_share": 0.12, "batch": 64})
        for row in timing_rows()
    ]


def many_columns():
    table = tables.plain("width", *(name.replace("_", "_\n") for name in TABLE_ORDER), left=0)
    table.add_row("1024", *(["(123 µs)"] * len(TABLE_ORDER)))
    return [table]


def proof_rows():
    case = {name: getattr(timing_row(), name) for name in schema.CaseFields.model_fields}
    return [
        schema.ProofRow(
            **case | {"operation": check, "layer_sizes": sizes},
            backend="numba_simd",
            ulps=12.3,
            share=0.123,
            ok=True,
            reason="",
        )
        for sizes in ([3, 3, 1], [100, 100, 50, 10])
        for check in proof_tables.COLUMNS
    ]


def gate():
    revision = gate_schema.RevisionRecord.model_construct(title="the working tree")
    rows = [
        gate_row(backend=name, change=RATIO, speedup_change=RATIO, minimum_detectable_effect=1.02, reason="slower")
        for name in TABLE_ORDER
    ]
    return gate_schema.Gate.model_construct(
        base=revision, head=revision, rows=rows, notes=["word " * 40], verdict="FAIL"
    )


def scale_rows():
    return [
        scale_schema.ScaleRow(**row.model_dump(include=set(scale_schema.ScaleRow.model_fields)), **size)
        for row in timing_rows()
        for size in ({"dimension": "width", "value": 1024, "predicted_seconds": None},)
    ]


RATIO = schema.Ratio(estimate=1.234, low=1.123, high=1.345)
SHOWN = {
    "backends": lambda: tables.backends(backend_rows()),
    "timings": lambda: tables.timings(timing_rows()),
    "roofline": lambda: tables.timings(roofline_rows()),
    "points": lambda: time_axis.points(timing_rows()),
    "many columns": many_columns,
    "comparison": lambda: tables.comparison(
        [*timing_rows(), timing_row(arm="numba_simd"), timing_row(arm="A/A")], "python_loops_ndarray", "numba_simd"
    ),
    "proof": lambda: proof_tables.outcomes(proof_rows()),
    "gate": lambda: [*gate_tables.text(gate()), *gate_tables.verdict(gate())],
    "scale": lambda: scale_tables.dimensions(scale_rows(), TABLE_ORDER),
    "legend": lambda: [*tables.LEGEND, tables.aa_line(timing_rows()), tables.item("word " * 40)],
}


FIGURE = r"""(?x)
    [\d.]+(?:[ ]%)?[ ]\[[-+\d.]+,[ ][-+\d.]+\] | \d+[ ]+\d+[ ]% | [-+][\d.]+[ ]%
    | \(\d+[ ]µs\) | [\d.]+[ ][mµn]s\b | python_loops_ndarray | numba_simd
"""
"""What a line break must not cut: a number with its interval or its unit, and the name of a backend."""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SHOWN)
def test_everything_keeps_to_the_width_and_no_figure_is_broken(capsys, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    terminal.show(*SHOWN[name]())
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= width
    monkeypatch.setenv("COLUMNS", "1000")
    terminal.show(*SHOWN[name]())
    wide = capsys.readouterr().out
    if name not in ("points", "many columns"):  # the labels of the axis depend on its length; headings have two lines
        assert set(re.findall(FIGURE, narrow)) == set(re.findall(FIGURE, wide))


def test_a_table_that_is_split_repeats_its_first_column(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    terminal.show(*tables.timings(timing_rows()))
    out = capsys.readouterr().out
    assert out.count("python_loops_ndarray ") == 2
    assert re.search(r"^backend +time +speedup over python_loops$", out, re.MULTILINE)
    assert re.search(r"^backend +ulps +of bound$", out, re.MULTILINE)


def test_a_file_gets_the_whole_table(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    terminal.show(*tables.backends(backend_rows()))
    (line,) = re.findall(r"^numba_simd .*$", capsys.readouterr().out, re.MULTILINE)
    assert line.endswith("one call.")


def test_a_paragraph_is_wrapped_between_words_with_an_indent(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    terminal.show(Paragraph("word " * 20, start="- "))
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("- word")
    assert all(line.startswith("  word") for line in others)


POSITIVE = st.floats(1e-9, 1e3)


@given(st.lists(POSITIVE, min_size=1, max_size=5), st.integers(20, 46))
def test_equal_ratios_are_equal_distances_on_a_labelled_axis(seconds, width):
    axis = Axis.over(seconds)
    columns = [axis.column(second, width) for second in seconds]
    assert all(0 <= column < width for column in columns)
    decade = (width - 1) / (axis.last - axis.first)
    assert len(axis.line(width)) == width
    for place, mark in enumerate(axis.line(width)):
        assert (mark == "┼") == any(
            place == axis.column(10.0**power, width) for power in range(axis.first, axis.last + 1)
        )
    for power in range(axis.first, axis.last + 1):
        assert axis.column(10.0**power, width) == pytest.approx((power - axis.first) * decade, abs=0.51)
    assert len(axis.labels(width)) <= width
    assert axis.labels(width).startswith(("1", "10", "100"))


def test_the_points_are_above_the_axis_that_says_what_they_mean(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [timing_row(seconds=8.8e-6), timing_row(arm="numba_simd", seconds=1e-6), timing_row(arm="A/A", seconds=1e-6)]
    terminal.show(*time_axis.points(rows))
    title, labels, axis, _, slow, fast, _ = capsys.readouterr().out.splitlines()
    assert title == "forward 3-3-1, 1 sample: time per call, logarithmic axis"
    assert labels.split() == ["1", "µs", "10", "µs"]
    assert fast.index("●") == labels.index("1 µs") == axis.index("┼")
    assert axis.rindex("┼") - slow.index("●") == round(0.0555 * 45)  # 8.8 µs lies just below 10 µs
    assert (slow.split()[2:], fast.split()[2:]) == (["8.80", "µs"], ["1.00", "µs"])
