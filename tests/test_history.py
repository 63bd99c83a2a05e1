"""The history: its index, its change points, the results of other programs, and the command."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from bench.cli.main import main
from bench.history import course, index
from bench.history.change_points import SHORTEST, change_points
from bench.history.imported import read_imports, stored_name
from bench.records import files, schema
from bench.records.files import RecordError
from bench.records.history_schema import History
from pairbench import machine
from tests.helpers import environment_without_xdist, one_line_error, python
from tests.helpers import timing_row as row

SERIES = "numpy_plain: forward 3-3-1, 1 sample, float64"
START = datetime(2026, 1, 1, tzinfo=UTC)


def write_run(folder, number, speedup, commit=None, changed=False, description=None):
    """Store a run of day ``number`` with one backend."""
    ratio = schema.Ratio(estimate=speedup, low=speedup * 0.99, high=speedup * 1.01)
    source = schema.SourceRecord(
        folder="/project", commit=commit or f"{number:02x}" * 20, changed=changed, other_checkout=None
    )
    started = (START + timedelta(days=number)).isoformat(timespec="seconds")
    run = schema.Run(
        command="run",
        version="0",
        started=started,
        finished=started,
        machine=description or machine.describe(),
        source=source,
        options={},
        effort={},
        seed=1,
        rows=[row(arm="python_loops", backend="python_loops", speedup=None), row(speedup=ratio), row(arm="A/A")],
        compile=[],
        roofline=[],
        processes=[],
    )
    path = folder / f"run-{number:04}.json"
    files.write(path, run)
    return path


def noisy(*levels, runs=15, noise=0.01):
    """Logarithms of speeds: ``runs`` values around each level."""
    random = np.random.default_rng(0)
    return [float(np.log(level) + random.normal(0, noise)) for level in levels for _ in range(runs)]


@pytest.mark.parametrize("levels", [(10, 8), (8, 10), (10, 8, 12)])
def test_steps_are_found_where_they_are(levels):
    found = change_points(noisy(*levels), 0.05)
    assert [point.position for point in found] == [15 * step for step in range(1, len(levels))]
    factors = [after / before for before, after in pairwise(levels)]
    assert np.exp([point.change for point in found]) == pytest.approx(factors, rel=0.02)


def test_noise_outliers_small_steps_and_short_series_are_no_change_points():
    outlier = noisy(10, 10)
    outlier[20] -= 0.5
    assert change_points(outlier, 0.05) == []
    two_outliers = noisy(10, 10, 10)
    two_outliers[20] -= 0.5
    two_outliers[21] -= 0.5
    assert change_points(two_outliers, 0.05) == []
    assert change_points(noisy(10, 10, noise=0.03), 0.05) == []
    assert change_points(noisy(10, 9.8), 0.05) == []
    short = SHORTEST - 1
    assert change_points(noisy(10, runs=short) + noisy(5, runs=short), 0.05) == []
    assert change_points([], 0.05) == []


def test_steps_below_the_threshold_add_up():
    """A decline in steps of 3 % is a change, although no step is."""
    found = change_points(noisy(10, 9.7, 9.4, 9.1, noise=0.002), 0.05)
    assert len(found) == 1
    assert found[0].change < -0.05


def rows_of(folder):
    return [(file.name, file.reason, [entry.series for entry in file.rows]) for file in index.read_index(folder).files]


def test_the_index_follows_the_files_and_can_be_deleted(tmp_path, monkeypatch):
    first, second = write_run(tmp_path, 1, 10), write_run(tmp_path, 2, 11)
    before = rows_of(tmp_path)
    assert before == [(first.name, "", [SERIES]), (second.name, "", [SERIES])]
    (tmp_path / index.INDEX).unlink()
    assert rows_of(tmp_path) == before
    with monkeypatch.context() as patch:  # nothing is read a second time
        patch.setattr(index, "_summary", None)
        assert rows_of(tmp_path) == before
    first.unlink()
    write_run(tmp_path, 2, 12.5)
    (only,) = index.read_index(tmp_path).files
    assert (only.name, only.rows[0].speedup.estimate) == (second.name, 12.5)


@pytest.mark.parametrize(
    "damage", ["", "{", "[" * 9999, '{"schema": "mlpbench.run/2"}', '{"schema": "mlpbench.history-index/9"}']
)
def test_a_damaged_index_or_run_loses_nothing_else(tmp_path, damage):
    write_run(tmp_path, 1, 10)
    before = rows_of(tmp_path)
    (tmp_path / index.INDEX).write_text(damage)
    assert rows_of(tmp_path) == before
    (tmp_path / "run-0000.json").write_text(damage)
    (name, reason, rows), *others = rows_of(tmp_path)
    assert (name, rows, others) == ("run-0000.json", [], before)
    assert "run-0000.json" in reason
    assert len(reason.splitlines()) == 1


def test_the_history_cannot_be_written_and_is_shown(tmp_path, monkeypatch):
    write_run(tmp_path, 1, 10)

    def refuse(path, document):
        raise RecordError("the disk is full")

    monkeypatch.setattr(index.files, "write", refuse)
    assert rows_of(tmp_path) == [("run-0001.json", "", [SERIES])]


def shown(capsys, *arguments):
    assert main(["history", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_command_names_the_commits_between_which_a_speedup_changed(empty_folder, capsys):
    results = empty_folder / "results"
    results.mkdir()
    for number, value in enumerate(np.exp(noisy(10, 8))):
        write_run(results, number, float(value))
    text = shown(capsys)
    sentence = rf"{re.escape(SERIES)}: (19|20)\.\d % slower, between 0e0e0e0e0e \(2026-01-15.*\) and 0f0f0f0f0f \("
    assert re.search(sentence, " ".join(text.split()))
    assert "█" in text
    assert "▁" in text
    main(["history", "--json", "-"])
    document = History.model_validate_json(capsys.readouterr().out)
    (change,) = document.changes
    assert (change.before.file, change.after.file) == ("run-0014.json", "run-0015.json")
    assert change.factor == pytest.approx(0.8, rel=0.02)
    assert [point.started for point in document.rows] == sorted(point.started for point in document.rows)


def test_the_command_chooses_series_and_machines(empty_folder, capsys):
    results = empty_folder / "results"
    results.mkdir()
    write_run(results, 1, 10)
    write_run(results, 2, 20, changed=True, description={**machine.describe(), "cpu": "another"})
    assert "20.0" not in shown(capsys, "NUMPY_PLAIN")
    assert "1 other machine with stored results: --all-machines shows them" in shown(capsys)
    assert "20.0" in shown(capsys, "--all-machines")
    line = one_line_error(capsys, "history", "numpy_plain: forwards 3-3-1")
    assert line.endswith(f"one series is '{SERIES}'")
    assert "there is no folder nowhere" in one_line_error(capsys, "history", "--results", "nowhere")


def test_a_hostile_run_is_shown_as_text(empty_folder, capsys):
    results = empty_folder / "results"
    results.mkdir()
    path = write_run(results, 1, 10)
    path.write_text(path.read_text().replace('"numpy_plain"', r'"\u001b[31m<b>x\n"'))
    text = shown(capsys)
    assert "\x1b" not in text
    assert r"\x1b[31m<b>x\n: forward" in text


PLAIN_TEST = """
def test_sum(benchmark):
    benchmark(sum, range(100))
"""
ASV = {
    "commit_hash": "c" * 40,
    "env_name": "virtualenv-py3.11",
    "date": 1767225600000,
    "params": {"machine": "box", "cpu": "a CPU", "python": "3.11"},
    "python": "3.11",
    "result_columns": ["result", "params", "version"],
    "results": {
        "suite.time_sort": [[2e-3, None, 4e-3], [["10", "20", "30"]], "1"],
        "suite.Sums.time_sum": [[1e-3], [], "1"],
        "suite.peakmem_sum": [[5e7], [], "1"],
        "suite.time_failed": [None, [], "1"],
    },
    "version": 2,
}


@pytest.mark.slow
def test_results_of_pytest_benchmark_are_imported_once(empty_folder, capsys):
    (empty_folder / "test_plain.py").write_text(PLAIN_TEST)
    options = ("-p", "no:cacheprovider", "-q", "--benchmark-save=one", "--benchmark-max-time=0.01")
    done = python("-m", "pytest", *options, cwd=empty_folder, env=environment_without_xdist())
    assert done.returncode == 0, done.stdout
    for _ in range(2):
        text = shown(capsys, "test_sum", "--import", ".benchmarks")
    assert "test_plain.py::test_sum" in text
    (stored,) = (empty_folder / "results").glob("imported-*.json")
    (saved,) = (empty_folder / ".benchmarks").rglob("*.json")
    (benchmark,) = json.loads(saved.read_text())["benchmarks"]
    (point,) = json.loads(stored.read_text())["rows"]
    assert point["seconds"] == benchmark["stats"]["median"]


def test_times_of_asv_are_imported(tmp_path):
    place = tmp_path / "results" / "box"
    place.mkdir(parents=True)
    (place / "cccccccc-virtualenv-py3.11.json").write_text(json.dumps(ASV))
    (place / "machine.json").write_text('{"machine": "box", "version": 1}')
    (imported,), unread = read_imports(tmp_path)
    assert unread == []
    assert {entry.series: entry.seconds for entry in imported.rows} == {
        "suite.time_sort(10)": 2e-3,
        "suite.time_sort(30)": 4e-3,
        "suite.Sums.time_sum": 1e-3,
    }
    assert (imported.commit, imported.started) == ("c" * 40, "2026-01-01T00:00:00+00:00")
    assert stored_name(imported) == stored_name(read_imports(place)[0][0])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "holds no times"),
        ('{"benchmarks": [], "machine_info": {}}', "is a damaged result file: KeyError('datetime')"),
        (json.dumps(ASV | {"results": {"time_x": [[float("inf")], []]}}), "is a damaged result file"),
        (json.dumps(ASV | {"date": 1e300}), "is a damaged result file"),
        (json.dumps(ASV | {"results": 3}), "is a damaged result file"),
    ],
)
def test_a_damaged_file_of_another_program_gets_one_line(empty_folder, capsys, content, reason):
    (empty_folder / "file.json").write_text(content)
    assert reason in one_line_error(capsys, "history", "--import", "file.json")
    assert "there is no file or folder" in one_line_error(capsys, "history", "--import", "nothing")


@pytest.mark.slow
def test_the_page_shows_the_course_and_its_changes(empty_folder, capsys):
    courses = pytest.importorskip("bench.page.courses", reason="the page needs altair, of mlpbench[report]")
    results = empty_folder / "results"
    results.mkdir()
    for number, value in enumerate(np.exp(noisy(10, 8))):
        write_run(results, number, float(value))
    assert main(["report"]) == 0
    page = (results / "report" / "index.html").read_text()
    assert f"{SERIES}: " in page
    assert "Change points: 1" in page
    assert "0e0e0e0e0e" in page
    rows = course.history_rows(index.read_index(results).files, None, None)
    points = courses.history_points(rows)
    assert len(points) == 30
    assert {(point.backend, point.case) for point in points} == {tuple(SERIES.split(": "))}
    assert courses.history_points(rows[:1]) == []


def test_only_the_file_that_cannot_be_read_is_left_out_and_it_is_tried_again(tmp_path):
    write_run(tmp_path, 1, 10)
    good = rows_of(tmp_path)
    path = write_run(tmp_path, 0, 10)
    sound = path.read_text()
    stamp = path.stat()
    for damaged, reason in (
        (sound.replace('"layer_sizes": [3, 3, 1]', '"layer_sizes": [3, 0, 1]'), "no run that can have been measured"),
        (sound.replace('"operation": "forward"', '"operation": "dances"'), "the case dances 3-3-1"),
        (sound.replace("2026-01-01T", "yesterday, "), "no run that can have been measured"),
        (sound.replace('"estimate": 10.0', '"estimate": 1e+300').replace("10.1", "1e+301"), "a speedup of 1e+300"),
        (sound.replace('"cpus": ', '"cpus": NaN, "x": '), ""),
    ):
        assert damaged != sound
        path.write_text(damaged)
        (_, found, rows), *others = rows_of(tmp_path)
        assert (reason in found, bool(rows), others) == (True, not reason, good)
    path.write_text(sound[:-9] + " " * 9)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert rows_of(tmp_path)[0][1]
    path.write_text(sound)  # as long as before, and of the same time
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert rows_of(tmp_path)[0][1] == ""


def test_a_folder_is_imported_without_its_broken_files(empty_folder, capsys):
    place = empty_folder / "place"
    place.mkdir()
    (place / "a.json").write_text("// a comment")
    (place / "b.json").symlink_to("nowhere")
    (place / "c.json").write_text(json.dumps(ASV))
    (place / "package.json").write_text('{"name": "x"}')
    assert main(["history", "--import", "place", "--import", str(place.resolve())]) == 0
    err = capsys.readouterr().err
    assert err.count("passed over: ") == 4
    assert "a.json is not JSON" in err
    assert err.count("1 result imported into results") == 2
    assert len(list((empty_folder / "results").glob("imported-*.json"))) == 1
    assert "--import needs the name" in one_line_error(capsys, "history", "--import", "")


def test_parameters_of_asv_are_combined_only_as_far_as_there_are_results(tmp_path):
    many = [str(number) for number in range(1000)]
    (tmp_path / "a.json").write_text(json.dumps(ASV | {"results": {"m.time_x": [[1e-3], [many] * 5]}}))
    (imported,), _ = read_imports(tmp_path)
    assert [entry.series for entry in imported.rows] == ["m.time_x(0, 0, 0, 0, 0)"]


@pytest.mark.parametrize("name", ["history-index.json", "run-2.json", "imported-x.json"])
def test_the_files_of_the_history_are_no_destination(empty_folder, capsys, name):
    (empty_folder / "results").mkdir()
    line = one_line_error(capsys, "history", "--json", f"results/{name}")
    assert line.endswith(f"results/{name} is a file of the history itself; name another one")


def test_an_imported_result_without_a_time_is_left_out_alone(tmp_path):
    write_run(tmp_path, 1, 10)
    good = rows_of(tmp_path)
    (tmp_path / "asv.json").write_text(json.dumps(ASV))
    ((imported,), _) = read_imports(tmp_path / "asv.json")
    files.write(tmp_path / "imported-0.json", imported.model_copy(update={"started": "yesterday"}))
    (_, reason, rows), *others = rows_of(tmp_path)
    assert (rows, others) == ([], good)
    assert "imported-0.json is no run that can have been measured" in reason
