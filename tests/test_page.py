"""The page of a report: what it holds, what it leaves out, and that text from the files stays text."""

import json
import os
import re
from html.parser import HTMLParser

import pytest
import vl_convert

from bench.cli.main import main
from bench.page import charts, findings, sources, timings, writing
from bench.page.sources import Sources
from bench.records import files
from tests import page_documents as documents
from tests.helpers import one_line_error, python
from tests.page_documents import HOSTILE, LARGE, SMALL


class Tags(HTMLParser):
    """The tags of a page with their attributes, its visible text, and the texts of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.scripts, self.inside = [], [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = dict(attributes).get("type", "") if tag == "script" else tag if tag == "style" else ""

    def handle_data(self, data):
        if self.inside:
            self.scripts[self.inside] = self.scripts.get(self.inside, "") + data
        else:
            self.texts.append(data)

    def handle_endtag(self, tag):
        self.inside = ""

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def data(self):
        return json.loads(self.scripts["application/json"])


@pytest.fixture(scope="module")
def full():
    return Tags(writing.page(documents.sources(), documents.history()))


@pytest.mark.slow
def test_the_page_says_that_an_interval_holds_within_the_run(full):
    assert "An interval is for the median over the processes, within the run:" in full.text


def test_the_headline_names_the_fastest_backend_on_both_networks():
    panels = timings.speedup_entries(timings.timing_entries(documents.run()))
    assert timings.headline(panels) == (
        "numba_simd computes one sample 5.71 [5.60, 5.83] times as fast as python_loops on 3-3-1, and 267 [261, 272] "
        "times as fast on 100-100-50-10."
    )
    assert [panel[0]["case"] for panel in panels] == [
        "forward 3-3-1, 1 sample, float64",
        "forward 100-100-50-10, 1 sample, float64",
    ]


def test_a_run_of_one_network_has_one_panel_and_a_run_without_speedups_none():
    rows = documents.timings(LARGE)
    assert len(timings.speedup_entries(timings.timing_entries(documents.run(rows)))) == 1
    failed = documents.timings(SMALL, seconds=None, speedup=None, ok=False, reason="wrong")
    assert timings.speedup_entries(timings.timing_entries(documents.run(failed))) == []
    assert timings.headline([]) == ""


def test_an_entry_has_numbers_for_the_charts_and_texts_for_the_reader():
    entries = timings.timing_entries(documents.run())
    assert not any(entry["backend"] == "A/A" for entry in entries)
    (entry,) = (
        entry for entry in entries if (entry["case"], entry["backend"]) == (entries[0]["case"], "numba_simd")
    )  # fmt: skip
    assert (entry["network"], entry["operation"], entry["batch"], entry["dtype"]) == ("3-3-1", "forward", 1, "float64")
    assert (entry["cold"], entry["cached"]) == (documents.COLD, documents.CACHED)
    assert (entry["time_text"], entry["speedup_text"]) == ("1.40 µs", "5.71 [5.60, 5.83]")
    reference = entries[0]
    assert (reference["backend"], reference["speedup"], reference["speedup_text"]) == ("python_loops", 1.0, "1")


def test_break_even_is_the_compile_time_divided_by_what_a_call_saves():
    rows = timings.break_even_entries(timings.timing_entries(documents.run()))
    assert rows[0] == {
        "case": "forward 3-3-1, 1 sample, float64",
        "backend": "numba_simd",
        "cold": "606,061",  # 4 s / (8 µs - 1.4 µs)
        "cached": "75,758",
    }


def test_the_rate_is_the_operations_of_a_call_divided_by_its_time():
    (entry, *_) = timings.roofline_entries(documents.timings(SMALL))
    assert entry["operations"] == 3 * 3 + 3 * 1 + 2 * 4
    assert entry["rate"] == pytest.approx(20 / 8e-6)
    assert entry["rate_text"] == "2.50 M operations/s"
    assert entry["bound"] == pytest.approx(2 * entry["rate"])
    assert timings.roofline_entries(documents.timings(SMALL, lower_bound_seconds=None)) == []


def test_equal_values_of_a_figure_are_one_entry():
    (output, loss) = findings.figure_entries(documents.tutorials())["xor"]
    assert (output["printed"], output["computed"], output["backends"]) == (
        "0.835",
        "0.835",
        ["numpy_plain", "numba_simd"],
    )
    assert (loss["computed"], loss["ok"]) == ("0.31", False)


@pytest.mark.slow
def test_the_page_has_every_section_and_chart(full):
    ids = [attributes.get("id") for tag, attributes in full.tags if tag == "section"]
    assert ids == [
        *("speedups", "use", "table", "accuracy", "growth", "compile", "roofline", "tutorials", "gate", "history"),
        "measured",
    ]
    places = {attributes["id"] for tag, attributes in full.tags if attributes.get("class") == "chart"}
    assert places == set(full.data["charts"])
    assert "Not in these files" not in full.text


@pytest.mark.slow
def test_every_parameter_that_a_control_sets_belongs_to_its_charts(full):
    controls = [attributes for _, attributes in full.tags if "data-signal" in attributes]
    assert len(controls) == 8
    for control in controls:
        for chart in control["data-charts"].split():
            names = {parameter["name"] for parameter in full.data["charts"][chart]["params"]}
            assert control["data-signal"] in names


@pytest.mark.slow
def test_every_chart_can_be_drawn(full):
    for name, spec in full.data["charts"].items():
        svg = vl_convert.vegalite_to_svg(json.dumps(spec | {"width": 600}))
        assert svg.count("<path") > 5, name


@pytest.mark.slow
def test_the_labels_of_lines_do_not_overlap():
    entries = timings.timing_entries(documents.run())
    case = entries[0]["case"]
    svg = vl_convert.vegalite_to_svg(json.dumps(charts.gains(entries, case) | {"width": 600}))
    places = [
        float(match[1])
        for name in documents.SECONDS
        for match in re.finditer(rf'translate\(608,(-?[\d.]+)\)[^>]*>{name}<', svg)
    ]  # fmt: skip
    assert len(places) == len(documents.SECONDS)
    gaps = [after - before for before, after in zip(sorted(places), sorted(places)[1:], strict=False)]
    assert min(gaps) >= charts.marks.LABEL_STEP - 0.01


def test_each_missing_kind_is_a_line_that_names_its_command():
    page = Tags(writing.page(Sources()))
    for command in ("run", "scale", "tutorials", "verify", "error-rates", "run --roofline"):
        assert f"Not in these files: mlpbench {command}" in page.text
    assert page.data == {"charts": {}, "entries": []}


@pytest.mark.slow
def test_a_quick_run_says_that_it_has_no_compile_times():
    page = Tags(writing.page(Sources(run=documents.run(compile=[], roofline=[]))))
    assert "Compile times are not in these files" in page.text


@pytest.mark.slow
def test_the_page_is_one_file_that_loads_nothing(full):
    attributes = [pair for _, of_tag in full.tags for pair in of_tag.items()]
    references = [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
    assert all(reference.startswith("#") or reference == "data:," for reference in references)
    assert [tag for tag, _ in full.tags if tag in ("iframe", "object", "embed", "base")] == []
    (policy,) = (attributes["content"] for _, attributes in full.tags if "http-equiv" in attributes)
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy


@pytest.mark.slow
def test_the_page_is_smaller_than_three_megabytes():
    rows = [row for _ in range(3) for row in documents.run().rows]
    assert len(writing.page(Sources(run=documents.run(rows), scale=documents.scale())).encode()) < 3e6


@pytest.mark.slow
def test_hostile_text_stays_text(tmp_path):
    files.write(tmp_path / "run.json", documents.hostile_run())
    text = writing.page(sources.read([tmp_path / "run.json"]))
    page = Tags(text)
    assert [tag for tag, _ in page.tags if tag == "script"] == ["script", "script"]
    assert "img" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "\u2028" not in text
    assert "\u202e" not in text
    assert "49" not in {entry["backend"] for entry in page.data["entries"]}
    assert HOSTILE.partition("&")[0] in page.text
    for spec in page.data["charts"].values():
        without_data = json.dumps({**spec, "datasets": {}, "params": []})
        assert "alert" not in without_data


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema": "mlpbench.run/2", "rows": [NaN]}', "not a finite number"),
        ('{"schema": "mlpbench.run/2", "schema": "mlpbench.pwned/1"}', "has the schema mlpbench.pwned/1; expected one"),
        ('{"schema": "other"}', "is not an mlpbench document"),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_one_line(tmp_path, monkeypatch, capsys, content, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(content)
    assert reason in one_line_error(capsys, "report", "run.json")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("seconds", "1e-6"), ("seconds", 1e300), ("batch", 10**400), ("batch", -1), ("layer_sizes", [0])],
)
def test_a_row_with_an_impossible_number_is_refused_in_one_line(tmp_path, monkeypatch, capsys, field, value):
    monkeypatch.chdir(tmp_path)
    document = json.loads(files.dumps(documents.run()))
    document["rows"][1][field] = value
    (tmp_path / "run.json").write_text(json.dumps(document))
    assert "is not a valid mlpbench.run/2 document" in one_line_error(capsys, "report", "run.json")


@pytest.mark.slow
def test_the_command_takes_the_latest_file_of_each_kind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    files.write(tmp_path / "results" / "run-2.json", documents.run(documents.timings(SMALL)))
    files.write(tmp_path / "results" / "run-1.json", documents.run())
    files.write(tmp_path / "results" / "scale-1.json", documents.scale())
    (tmp_path / "results" / "scale.partial.json").write_text("{}")
    os.utime(tmp_path / "results" / "run-2.json", (1, 1))
    assert main(["report"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        *("from: results/run-1.json", "from: results/scale-1.json", "page: results/report/index.html"),
    ]
    assert (tmp_path / "results" / "report" / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_two_files_of_a_kind_and_an_empty_folder_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "there are no results in results; `mlpbench run` makes them" in one_line_error(capsys, "report")
    for name in ("a.json", "b.json"):
        files.write(tmp_path / name, documents.run())
    assert "a.json and b.json are both of `mlpbench run`" in one_line_error(capsys, "report", "a.json", "b.json")


def test_without_the_extra_the_command_says_what_to_install(tmp_path):
    files.write(tmp_path / "run.json", documents.run())
    code = (
        "import sys; sys.modules['altair'] = None; from bench.cli.main import main; "
        "sys.exit(main(['report', *sys.argv[1:]]))"
    )
    done = python("-c", code, tmp_path / "run.json", "--results", tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "mlpbench: pictures need altair, which is not installed: pip install -c constraints.txt -e '.[report]'"
    ]
