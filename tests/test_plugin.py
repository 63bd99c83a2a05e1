"""The pytest plugin, tested in child processes with pytest."""

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec

import pytest

from pairbench import threads
from tests.helpers import FEWER_PLUGINS, ROOT, environment_without_xdist, python

# Every test starts processes.
pytestmark = pytest.mark.slow

OPTIONS = ("-v", "-c", os.devnull, *FEWER_PLUGINS, "-p", "bench.plugin")
QUICKLY = ("--benchmark-max-time=0.001", "--benchmark-min-rounds=1")

SAMPLE = """
import pytest

def test_ordinary():
    pass

@pytest.mark.mlpbench_case
def test_case(benchmark, record_property):
    benchmark.group = "a case"
    benchmark(abs, 1)
    record_property("mlpbench", {"case": "a case", "backend": "absolute", "speedup": 12.345})
"""


def pytest_run(*arguments, cwd):
    """Run pytest with the plugin and without any other configuration, and return the completed process."""
    environment = environment_without_xdist() | {"PYTHONPATH": str(ROOT)}
    return python("-m", "pytest", *OPTIONS, f"--rootdir={cwd}", *arguments, cwd=cwd, env=environment)


def outcomes(done):
    """The outcomes of the two tests of the sample; None for one that was not collected."""
    found = dict(re.findall(r"::(\w+) (PASSED|SKIPPED|FAILED)", done.stdout))
    return found.get("test_ordinary"), found.get("test_case")


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "test_sample.py"
    path.write_text(SAMPLE)
    return path


@pytest.mark.parametrize(
    ("options", "ordinary", "case"),
    [
        (("--benchmark-only",), "SKIPPED", "PASSED"),
        (("--benchmark", "--benchmark-disable"), None, "PASSED"),
        (("--benchmark", "--benchmark-skip"), None, "SKIPPED"),
        (("--benchmark", "-k", "ordinary"), None, None),
    ],
)
def test_which_tests_run_for_each_option(sample, options, ordinary, case):
    done = pytest_run(sample, *options, *QUICKLY, cwd=sample.parent)
    assert outcomes(done) == (ordinary, case), done.stdout
    assert done.returncode == (5 if ordinary is case is None else 0)


def test_without_the_option_nothing_is_timed(sample):
    done = pytest_run(sample, cwd=sample.parent)
    assert outcomes(done) == ("PASSED", None)
    assert done.returncode == 0
    assert "1 passed, 1 deselected" in done.stdout
    assert "speedup" not in done.stdout
    assert "Rounds" not in done.stdout


def test_the_speedups_come_after_the_table_of_pytest_benchmark(sample):
    done = pytest_run(sample, "--benchmark", *QUICKLY, cwd=sample.parent)
    assert outcomes(done) == (None, "PASSED")
    assert done.returncode == 0
    table = r"benchmark 'a case'.*speedups over python_loops.*a case\n  absolute +12\.3\n"
    assert re.search(table, done.stdout, re.DOTALL)


def test_a_failed_case_has_no_speedup_and_what_it_raises_and_prints_is_visible_in_the_reports(sample):
    hostile = r"'\x1b[31mred\x07\u202e<b>\ud800'"
    sample.write_text(SAMPLE + f"    print('\\x1b[32mgreen')\n    raise ValueError({hostile})\n")
    done = pytest_run(sample, "--benchmark", *QUICKLY, "--junitxml=out.xml", "--color=no", cwd=sample.parent)
    assert done.returncode == 1
    assert "speedups over" not in done.stdout
    report = (sample.parent / "out.xml").read_text()
    message = ElementTree.fromstring(report).find(".//failure").text
    for shown in (done.stdout, message):
        assert r"ValueError: \x1b[31mred\x07\u202e<b>\ud800" in shown
    assert r"\x1b[32mgreen" in done.stdout
    for shown in (done.stdout, report):
        assert all(character.isprintable() or character == "\n" for character in shown)


def test_columns_groups_saving_comparing_and_histograms_still_work(sample):
    options = ("--benchmark", *QUICKLY, "--benchmark-columns=min,rounds", "--benchmark-group-by=func")
    first = pytest_run(sample, *options, "--benchmark-autosave", "--benchmark-json=out.json", cwd=sample.parent)
    assert first.returncode == 0, first.stdout
    assert "benchmark 'test_case'" in first.stdout
    assert "StdDev" not in first.stdout.split("Legend")[0]
    stored = json.loads((sample.parent / "out.json").read_text())
    assert stored["benchmarks"][0]["group"] == "a case"
    assert stored["mlpbench"]["source"]["folder"] == str(ROOT)
    assert "environment" in stored["mlpbench"]["machine"]
    histogram = ["--benchmark-histogram=plot"] if find_spec("pygal") else []  # with which pytest-benchmark draws
    second = pytest_run(sample, *options, "--benchmark-compare", *histogram, cwd=sample.parent)
    assert second.returncode == 0, second.stdout
    assert "Comparing against benchmarks from" in second.stderr
    assert "(NOW)" in second.stdout
    assert bool(list(sample.parent.glob("plot*.svg"))) == bool(histogram)


def test_the_plugin_sets_the_threads_and_imports_nothing_heavy():
    code = "import sys, os, bench.plugin; print('numpy' in sys.modules, os.environ['OPENBLAS_NUM_THREADS'])"
    clean = {name: value for name, value in os.environ.items() if name not in threads.VARIABLES}
    done = python("-c", code, env=clean, check=True)
    assert done.stdout.split() == ["False", "1"]


def test_the_cases_of_the_suite_are_checked_and_carry_their_speedup(tmp_path):
    done = pytest_run(
        ROOT / "bench" / "pytest_cases.py",
        *("--benchmark", *QUICKLY, "-k", "3-3-1-64 and numpy_plain", f"--benchmark-json={tmp_path / 'out.json'}"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    benchmarks = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert {benchmark["extra_info"]["operation"] for benchmark in benchmarks} == {"forward", "gradient", "train"}
    for benchmark in benchmarks:
        info = benchmark["extra_info"]
        assert info.items() >= {"backend": "numpy_plain", "network": "3-3-1", "batch": 64, "dtype": "float64"}.items()
        assert info["speedup"] > 0
        assert benchmark["group"] == f"{info['operation']} 3-3-1, batch 64, float64"
    assert len(re.findall(r"^  numpy_plain +[\d.]+$", done.stdout, re.MULTILINE)) == 3


def test_without_the_option_no_test_of_another_project_is_lost(sample):
    sample.write_text("def test_theirs(benchmark): benchmark(abs, 1)\ndef test_ordinary(): pass\n")
    done = pytest_run(sample.parent, *QUICKLY, cwd=sample.parent)
    assert "2 passed" in done.stdout
    assert "deselected" not in done.stdout


def test_with_the_option_only_files_with_cases_are_collected(sample):
    (sample.parent / "test_other.py").write_text("import not_installed\n")
    (sample.parent / "test_theirs.py").write_text("def test_theirs(benchmark): benchmark(abs, 1)\n")
    done = pytest_run(sample.parent, "--benchmark", *QUICKLY, cwd=sample.parent)
    assert "1 passed, 1 deselected" in done.stdout, done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("-n", "1"), "Exit: --benchmark times in one process, for several would disturb each other; leave out -n"),
        (
            ("-p", "no:benchmark"),
            "Exit: --benchmark needs pytest-benchmark, which is not loaded; leave out -p no:benchmark",
        ),
    ],
)
def test_where_nothing_can_be_timed_one_line_says_so(sample, options, line):
    done = pytest_run(sample, "--benchmark", *options, cwd=sample.parent)
    assert (done.returncode, done.stderr.splitlines()) == (2, [line])
    assert "passed" not in done.stdout


def test_without_the_option_pytest_benchmark_is_not_needed(sample):
    assert "1 passed, 1 deselected" in pytest_run(sample, "-p", "no:benchmark", cwd=sample.parent).stdout


def test_the_messages_of_pytest_and_its_plugins_are_shown_under_the_settings_of_the_project(tmp_path):
    file = tmp_path / "test_nothing.py"
    file.write_text("import pytest\n@pytest.mark.mlpbench_case\ndef test_case(benchmark): benchmark(abs, 1)\n")
    (tmp_path / "file").write_text("")
    options = ("-c", ROOT / "pyproject.toml", f"--rootdir={tmp_path}", "-o", f"cache_dir={tmp_path / 'file' / 'cache'}")
    compare = ("--benchmark-compare", f"--benchmark-storage=file://{tmp_path / 'none'}")
    environment = environment_without_xdist() | {"PYTHONPATH": str(ROOT)}
    done = python("-m", "pytest", *options, "--benchmark", *QUICKLY, *compare, file, cwd=tmp_path, env=environment)
    assert "Can't compare" in done.stdout + done.stderr
    assert "could not create cache path" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 0
