"""``compare`` of results files, of mlpbench and of pytest-benchmark."""

import json
import re

import numpy as np
import pytest

from bench.cli.main import main
from bench.records import files, schema
from bench.records.comparison_schema import FileComparison
from pairbench import machine
from tests.helpers import environment_without_xdist, one_line_error, python
from tests.helpers import timing_row as row

SERIES = "numpy_plain: forward 3-3-1, 1 sample, float64"
CASE = row().case.fields()


def samples(arm, seconds):
    return schema.SampleRecord(**CASE, arm=arm, loops=1, block=[0, 1, 2], position=[0, 0, 0], seconds=[seconds] * 3)


def write_run(path, backend=1e-5, reference=1e-4, description=None, processes=5, name="numpy_plain"):
    """Store a run in whose processes both times vary by the same factor, and the backend's by another one."""
    random = np.random.default_rng(len(str(path)))
    moods, noise = np.exp(random.normal(0, 0.2, processes)), np.exp(random.normal(0, 0.01, processes))
    run = schema.Run(
        command="run",
        version="0",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:00:00+00:00",
        machine=description or machine.describe(),
        options={},
        effort={},
        seed=1,
        rows=[row(arm="python_loops", backend="python_loops", speedup=None), row(arm=name, backend=name)],
        compile=[],
        roofline=[],
        processes=[
            schema.ProcessRecord(
                seed=1,
                conditions=[],
                pools=[],
                samples=[samples("python_loops", reference * mood), samples(name, backend * mood * error)],
            )
            for mood, error in zip(moods.tolist(), noise.tolist(), strict=True)
        ],
    )
    files.write(path, run)


def compared(capsys, *names):
    assert main(["compare", *names, "--json", "-"]) == 0
    return FileComparison.model_validate_json(capsys.readouterr().out)


def test_two_runs_are_compared_by_times_and_by_speedups(empty_folder, capsys):
    write_run(empty_folder / "a.json", backend=1e-5)
    write_run(empty_folder / "bb.json", backend=2e-5)
    document = compared(capsys, "a.json", "bb.json")
    reference, backend = document.rows
    assert (reference.series, reference.speedup_ratio) == (SERIES.replace("numpy_plain", "python_loops"), None)
    assert backend.series == SERIES
    assert backend.speedup_ratio.estimate == pytest.approx(0.5, rel=0.03)
    assert backend.speedup_ratio.high < 0.55  # the machine's mood cancels here
    assert backend.time_ratio.high / backend.time_ratio.low > 1.2  # and here it does not
    (opposite,) = (entry for entry in compared(capsys, "bb.json", "a.json").rows if entry.series == SERIES)
    assert opposite.speedup_ratio.estimate == pytest.approx(1 / backend.speedup_ratio.estimate)
    assert main(["compare", "a.json", "bb.json"]) == 0
    assert "bb.json: faster in 0 and slower in 1 of 1 row" in capsys.readouterr().out


def test_machines_and_versions_that_differ_are_said_first(empty_folder, capsys):
    here = machine.describe()
    write_run(empty_folder / "a.json")
    write_run(empty_folder / "bb.json", description=here | {"libraries": here["libraries"] | {"numpy": "9.9"}})
    write_run(empty_folder / "ccc.json", description=here | {"cpu": "another"}, name="numba_jit")
    write_run(empty_folder / "dddd.json", description=here | {"cpu": "another"})
    document = compared(capsys, "a.json", "bb.json")
    numpy = here["libraries"]["numpy"]
    assert document.differences == [f"libraries numpy: {numpy} in a.json, 9.9 in bb.json"]
    assert all(entry.time_ratio for entry in document.rows)
    document = compared(capsys, "a.json", "dddd.json")
    assert [entry.time_ratio for entry in document.rows] == [None, None]
    assert document.rows[1].speedup_ratio is not None
    main(["compare", "a.json", "dddd.json"])
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"cpu: {here['cpu']} in a.json, another in dddd.json"
    line = one_line_error(capsys, "compare", "a.json", "ccc.json")
    assert "are from different machines, whose times are not comparable, and have no speedups: cpu: " in line


def test_several_files_are_a_matrix_and_a_picture(empty_folder, capsys):
    for name, backend in (("a.json", 1e-5), ("bb.json", 2e-5), ("ccc.json", 0.5e-5)):
        write_run(empty_folder / name, backend=backend)
    assert main(["compare", "a.json", "bb.json", "ccc.json", "--pictures", "drawn"]) == 0
    text = capsys.readouterr().out
    (line,) = (line for line in text.splitlines() if line.startswith(SERIES))
    slower, faster = (float(found) for found in re.findall(r"(\d\.\d+) \[", line))
    assert (slower, faster) == pytest.approx((0.5, 2), rel=0.03)
    picture = (empty_folder / "drawn" / "comparison.svg").read_text()
    assert SERIES in picture
    assert "ccc.json" in picture


def test_what_only_one_file_has_is_named(empty_folder, capsys):
    write_run(empty_folder / "a.json")
    write_run(empty_folder / "bb.json", name="numba_jit")
    document = compared(capsys, "a.json", "bb.json")
    assert document.unmatched == [
        f"only in a.json: {SERIES}",
        "only in bb.json: " + SERIES.replace("numpy_plain", "numba_jit"),
    ]


PLAIN_TEST = """
def test_sum(benchmark):
    benchmark(sum, range(100))
"""


@pytest.mark.slow
def test_files_of_plain_pytest_benchmark_are_compared_and_it_compares_ours(empty_folder, capsys):
    (empty_folder / "test_plain.py").write_text(PLAIN_TEST)
    options = ("-p", "no:cacheprovider", "-q", "--benchmark-max-time=0.01")
    for name in ("a.json", "b.json"):
        done = python(
            *("-m", "pytest", *options, f"--benchmark-json={name}"),
            cwd=empty_folder,
            env=environment_without_xdist(),
        )
        assert done.returncode == 0, done.stdout
    (found,) = compared(capsys, "a.json", "b.json").rows
    medians = [
        json.loads((empty_folder / name).read_text())["benchmarks"][0]["stats"]["median"]
        for name in ("a.json", "b.json")
    ]
    assert found.time_ratio.estimate == pytest.approx(medians[0] / medians[1])
    assert (found.time_ratio.low, found.speedup_ratio) == (None, None)
    other = json.loads((empty_folder / "b.json").read_text())
    other["machine_info"]["cpu"]["brand_raw"] = "another"
    (empty_folder / "c.json").write_text(json.dumps(other))
    assert "different machines" in one_line_error(capsys, "compare", "a.json", "c.json")
    for name in ("d.json", "e.json"):
        (empty_folder / name).write_text(json.dumps(other | {"machine_info": {}}))
    assert "the processor is not named" in one_line_error(capsys, "compare", "d.json", "e.json")


@pytest.mark.slow
def test_pytest_benchmark_compares_the_files_of_our_plugin(empty_folder):
    arguments = ("-p", "bench.plugin", "--benchmark", "--pyargs", "bench.pytest_cases", "-k", "numpy_plain and 3-3-1")
    options = ("-q", "-p", "no:cacheprovider", "--benchmark-max-time=0.01", "--benchmark-json=ours.json")
    done = python("-m", "pytest", *arguments, *options, cwd=empty_folder, env=environment_without_xdist())
    assert done.returncode == 0, done.stdout
    names = [benchmark["name"] for benchmark in json.loads((empty_folder / "ours.json").read_text())["benchmarks"]]
    shown = python("-m", "pytest_benchmark", "compare", "ours.json", cwd=empty_folder)
    assert shown.returncode == 0, shown.stderr
    assert names
    assert all(name[:20] in shown.stdout for name in names)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a.json"], "name two backends, or two or more results files"),
        (["a.json", "numpy_plain"], "name two backends, or two or more results files"),
        (["numpy_plain", "numba_jit", "graph"], "name two backends, or two or more results files"),
        (["a.json", "a.json"], "a.json is named twice"),
        (["a.json", "./a.json"], "a.json is named twice"),
        (["a.json", "missing.json"], "cannot read missing.json: No such file"),
        (["a.json", "bad.json"], "bad.json is not JSON"),
        (["a.json", "foreign.json"], "foreign.json is not an mlpbench document"),
        (["a.json", "bb.json", "--network", "3-3-1"], "--network chooses what is measured; results files are compared"),
        (["numpy_plain", "numba_jit", "--pictures", "x"], "--pictures draws the comparison of results files"),
    ],
)
def test_wrong_arguments_get_one_line(empty_folder, capsys, arguments, text):
    write_run(empty_folder / "a.json")
    write_run(empty_folder / "bb.json")
    (empty_folder / "bad.json").write_text("{")
    (empty_folder / "foreign.json").write_text('{"schema": "other/1"}')
    assert text in one_line_error(capsys, "compare", *arguments)
