"""The picture of the speedups: its labels, and the files that it refuses."""

import xml.etree.ElementTree as ElementTree

import pytest

from bench.records import files
from bench.records.files import RecordError
from bench.records.schema import Latest, Ratio, Run
from bench.report import pictures, speedup_picture
from tests import page_documents
from tests.helpers import timing_row

SPEEDUPS = {
    "3-3-1": {"python_loops": None, "numpy_plain": (0.352, 0.35, 0.354), "numba_simd": (6.01, 5.98, 6.04)},
    "100-100-50-10": {"python_loops": None, "numpy_plain": (35.7, 35.3, 36.1), "theirs": (2.0, None, None)},
}


def row(network, arm, ratio, **changes):
    values = {
        "layer_sizes": [int(size) for size in network.split("-")],
        "backend": "python_loops" if arm == "A/A" else arm,
        "arm": arm,
        "speedup": None if ratio is None else Ratio(estimate=ratio[0], low=ratio[1], high=ratio[2]),
        "ulps": 1.0,
    }
    return timing_row(**(values | changes))


def run_of(rows):
    fields = {"version": "0", "started": "", "finished": "", "machine": {}, "options": {}, "effort": {}, "seed": 0}
    parts = {name: [] for name in ("compile", "roofline", "processes") if name in Run.model_fields}
    return Run(command="run", rows=rows, **parts, **fields)


def all_rows():
    rows = [row(network, arm, ratio) for network, arms in SPEEDUPS.items() for arm, ratio in arms.items()]
    return [*rows, row("3-3-1", "A/A", (1.01, 0.99, 1.02)), row("3-3-1", "numpy_plain", (9.99, 9.9, 10.1), batch=64)]


def texts(path):
    tree = ElementTree.parse(path)
    return [" ".join("".join(element.itertext()).split()) for element in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_every_backend_is_labelled_with_its_speedup_and_interval(tmp_path):
    shown = texts(speedup_picture.draw_speedups(run_of(all_rows()), tmp_path))
    for label in ("0.352 [0.350, 0.354]", "6.01 [5.98, 6.04]", "35.7 [35.3, 36.1]", "2.00"):
        assert label in shown
    assert shown.count("1, the reference") == 2
    assert {"forward 3-3-1, 1 sample, float64", "forward 100-100-50-10, 1 sample, float64"} <= set(shown)
    assert any("logarithmic axis" in text for text in shown)
    assert "A/A" not in shown
    assert not any("9.99" in text for text in shown)


def test_a_failed_backend_is_shown_as_not_timed(tmp_path):
    rows = [*all_rows(), row("3-3-1", "broken", None, ok=False, seconds=None, reason="wrong")]
    shown = texts(speedup_picture.draw_speedups(run_of(rows), tmp_path))
    assert "broken" in shown
    assert "not timed" in shown


def test_the_picture_is_transparent_and_the_same_run_gives_the_same_bytes(tmp_path):
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
        speedup_picture.draw_speedups(run_of(all_rows()), folder)
    content = (first / "speedups.svg").read_bytes()
    assert content == (second / "speedups.svg").read_bytes()
    assert b"fill: #ffffff" not in content
    assert b"fill: #000000" not in content


def test_the_command_follows_the_file_that_names_the_last_run(tmp_path, capsys):
    files.write(tmp_path / "run-1.json", run_of(all_rows()))
    files.write(tmp_path / files.LATEST, Latest(file="run-1.json"))
    for name in ("run-1.json", files.LATEST):
        assert pictures.main([str(tmp_path / name), str(tmp_path / "pictures")]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'pictures' / 'speedups.svg'}\n"


def test_the_command_draws_a_growth_with_a_name_at_each_line(tmp_path, capsys):
    files.write(tmp_path / "run-1.json", run_of(all_rows()))
    rows = page_documents.scale().rows
    rows += [row.model_copy(update={"dimension": "batch"}) for row in rows if row.dimension == "depth"]
    files.write(tmp_path / "scale-1.json", page_documents.scale().model_copy(update={"rows": rows}))
    assert pictures.main([str(tmp_path / name) for name in ("run-1.json", "scale-1.json", "")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in ("speedups.svg", "scale.svg")]
    shown = texts(tmp_path / "scale.svg")
    for backend in {row.backend for row in rows}:
        assert shown.count(backend) == 2  # beside the times and beside the speedups


def test_a_file_that_is_no_run_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "other.json").write_text("[]")
    assert pictures.main([str(tmp_path / "other.json"), str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not an mlpbench document" in line


def test_a_run_without_both_networks_is_refused(tmp_path):
    with pytest.raises(RecordError, match="one sample on 100-100-50-10"):
        speedup_picture.draw_speedups(run_of([small for small in all_rows() if len(small.layer_sizes) == 3]), tmp_path)
