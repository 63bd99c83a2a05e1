"""The plugin of pairbench, in child processes with pytest, in projects that have folders with the names of ours."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec

import pytest

from pairbench import plugin
from tests.helpers import ROOT, environment_without_xdist

# Every test starts processes.
pytestmark = pytest.mark.slow

SAMPLE = """
import math
from bench.sums import loops, quick, slow

VALUES = [1.5] * 300

def test_pays(paired):
    result = paired(reference=slow, candidates={"quick": quick, "fsum": math.fsum}, args=(VALUES,), budget=1)
    result.assert_equal(rtol=1e-12)
    result.assert_speedup("quick", at_least=2)
    result.assert_not_slower("quick", than="reference", by=0.05)
"""
SUMS = """
def quick(values):
    return sum(values)

def loops(values):
    total = 0.0
    for value in values:
        total += value
    return total

def slow(values):
    return sum(loops(values) for _ in range(10)) / 10
"""


@pytest.fixture
def project(tmp_path):
    """A project with packages ``bench``, ``impls`` and ``tests`` of its own."""
    for name in ("bench", "impls", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "bench" / "sums.py").write_text(SUMS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "tests" / "test_sums.py").write_text(SAMPLE)
    return tmp_path


def run(project, *options, plugins=(), code="sys.exit(pytest.main())"):
    """Run pytest in a project, with the plugin as an installed one, and only the named other plugins."""
    begin = "import sys; sys.path.append(sys.argv.pop(1)); sys.path.insert(0, ''); import pytest\n"
    environment = environment_without_xdist() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NO_COLOR": "1"}
    environment.pop("PYTHONPATH", None)
    named = [part for name in ("pairbench.plugin", *plugins) for part in ("-p", name)]
    arguments = ("-p", "no:cacheprovider", *named, *map(str, options))
    command = [sys.executable, "-P", "-c", begin + code, str(ROOT), *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_with_the_option_the_table_and_the_verdicts_come_at_the_end(project):
    done = run(project, "--paired", "--junitxml=out.xml", "--paired-json=out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("paired times", "tests/test_sums.py::test_pays", "function", "A/A control", "PASS: quick is"):
        assert words in done.stdout
    [test] = json.loads((project / "out.json").read_text())["tests"]
    assert test["test"] == "tests/test_sums.py::test_pays"
    assert [verdict["verdict"] for verdict in test["verdicts"]] == ["PASS", "PASS"]
    assert test["comparison"]["rows"][0]["speedup"]["low"] >= 2
    properties = ElementTree.parse(project / "out.xml").findall(".//property")
    assert [one.get("name") for one in properties] == ["pairbench quick", "pairbench fsum"]


def test_without_the_option_the_results_are_compared_and_nothing_is_timed(project):
    done = run(project, "--paired-json=out.json")
    assert "1 passed" in done.stdout
    assert "nothing was timed; --paired times" in done.stdout
    assert "= paired times =" not in done.stdout
    assert json.loads((project / "out.json").read_text())["tests"] == []
    sums = SUMS.replace("return sum(values)", "return sum(values) + 1")
    (project / "bench" / "sums.py").write_text(sums)
    test = "def test_nothing(paired):\n    paired(abs, {'len': lambda value: 3}, args=(1,))\n"
    (project / "tests" / "test_without_assertion.py").write_text(test)
    done = run(project)
    assert "AssertionError: quick is not equal to the reference: result is 451.0 instead of 450.0" in done.stdout
    assert "len is not equal to the reference" in done.stdout
    assert "1 failed, 1 passed, 1 error" in done.stdout
    assert done.returncode == 1


FAILING = r"""
from bench.sums import loops, quick, slow

def compared(paired, budget):
    return paired(slow, {'quick': quick, 'twice': slow}, args=([1.5] * 300,), budget=budget)

def test_too_slow(paired):
    compared(paired, 5).assert_speedup("quick", at_least=1e6)

def test_undecided(paired):
    compared(paired, 0.1).assert_speedup("twice", at_least=1)

def test_misspelt(paired):
    compared(paired, 0.1).assert_speedup("quik", at_least=1)

def test_name_from_outside(paired):
    paired(abs, {'\x1b[31mred': abs}, args=(1,), budget=0.01)
"""


def test_an_assertion_that_does_not_hold_fails_its_test_with_its_figures(project):
    (project / "tests" / "test_sums.py").write_text(FAILING)
    done = run(project, "--paired")
    assert done.returncode == 1
    assert "3 failed, 1 passed" in done.stdout
    reasons = {
        "test_too_slow": "FAIL: quick is",
        "test_undecided": "INCONCLUSIVE: twice is",
        "test_misspelt": "there is no function 'quik' in this comparison",
    }
    for test, words in reasons.items():
        assert words in done.stdout.partition(f" {test} ___")[2].partition("\n___")[0], done.stdout
    assert "pairbench/paired.py" not in done.stdout, "the traceback ends in the test"
    assert "\\x1b[31mred" in done.stdout
    assert "\x1b[31mred" not in done.stdout, "names from outside are visible on the terminal"


@pytest.mark.skipif(find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_a_worker_of_xdist_sends_its_figures_and_several_are_refused(project):
    done = run(project, "--paired", "-n", "1", "--paired-json=out.json", plugins=["xdist"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: quick is" in done.stdout
    assert len(json.loads((project / "out.json").read_text())["tests"]) == 1
    done = run(project, "--paired", "-n", "2", plugins=["xdist"])
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "Exit: --paired times, and several processes would disturb each other; leave out -n, or use -n 1"
    ]


@pytest.mark.skipif(find_spec("pytest_benchmark") is None, reason="pytest-benchmark is not installed")
def test_the_figures_go_into_the_file_of_pytest_benchmark(project):
    with (project / "tests" / "test_sums.py").open("a") as file:
        file.write("\ndef test_other(benchmark):\n    benchmark.pedantic(abs, (1,))\n")
    done = run(project, "--paired", "--benchmark-json=out.json", plugins=["pytest_benchmark.plugin"])
    assert done.returncode == 0, done.stdout + done.stderr
    stored = json.loads((project / "out.json").read_text())
    assert stored["pairbench"]["tests"][0]["test"] == "tests/test_sums.py::test_pays"


WRONG_OPTIONS = {
    "--paired-budget=0": "--paired-budget must be a positive number of seconds, not 0",
    "--paired-budget=nan": "--paired-budget must be a positive number of seconds",
    "--paired-json=nowhere/out.json": "--paired-json cannot write nowhere/out.json",
    "--paired-json=tests": "--paired-json cannot write tests: it is a folder",
    "--paired-json=" + 300 * "x": ": File name too long",
}
ONE_AFTER_THE_OTHER = """
wrong = [option for option in sys.argv[1:] if option.startswith("--paired")]
for option in wrong:
    others = [one for one in sys.argv[1:] if one not in wrong]
    print("status", pytest.main([*others, option]), flush=True)
"""


def test_a_wrong_option_gets_one_line(project):
    """In one process, because pytest ends before it has imported a test."""
    done = run(project, *WRONG_OPTIONS, code=ONE_AFTER_THE_OTHER)
    lines = done.stderr.splitlines()
    assert len(lines) == len(WRONG_OPTIONS)
    for line, words in zip(lines, WRONG_OPTIONS.values(), strict=True):
        assert words in line
    statuses = [line for line in done.stdout.splitlines() if line.startswith("status ")]
    assert statuses == ["status 2"] * len(WRONG_OPTIONS)
    assert "passed" not in done.stdout  # nothing is lost, because nothing was measured


def test_a_file_that_can_no_longer_be_written_does_not_lose_the_table(project):
    (project / "out").mkdir()
    with (project / "tests" / "test_sums.py").open("a") as file:
        file.write("\ndef test_removal():\n    import pathlib\n    pathlib.Path('out').rmdir()\n")
    done = run(project, "--paired", "--paired-json=out/figures.json")
    assert done.returncode == 2
    assert "paired times" in done.stdout
    assert "--paired-json cannot write out/figures.json: No such file or directory" in done.stderr


def test_a_tool_that_slows_the_code_is_refused(project):
    (project / "conftest.py").write_text(
        "import sys\nif hasattr(sys, 'monitoring'):\n    sys.monitoring.use_tool_id(1, 'coverage')\n"
    )
    done = run(project, "--paired")
    if hasattr(sys, "monitoring"):
        assert done.returncode == 2
        assert "--paired cannot time: coverage uses sys.monitoring" in done.stderr
    else:
        assert done.returncode == 0


def test_a_tracer_such_as_that_of_coverage_is_lifted_while_timing(project):
    (project / "tests" / "conftest.py").write_text(
        "import sys, pytest\n"
        "@pytest.fixture(autouse=True)\n"
        "def traced():\n"
        "    def tracer(*_):\n"
        "        return tracer\n"
        "    sys.settrace(tracer)\n"
        "    yield\n"
        "    assert sys.gettrace() is tracer\n"
        "    sys.settrace(None)\n"
    )
    assert run(project, "--paired").returncode == 0


def test_fresh_processes_import_the_functions_of_the_project(project):
    test = (
        "from bench.sums import quick, slow\n"
        "def test_f(paired):\n"
        "    result = paired(slow, {'quick': quick}, args=([1.5] * 300,), processes=2, budget=0.4)\n"
        "    result.assert_equal()\n"
        "    result.assert_speedup('quick', at_least=1)\n"
    )
    (project / "tests" / "test_sums.py").write_text(test)
    done = run(project, "--paired")
    assert done.returncode == 0, done.stdout
    assert "over fresh processes, from 2 of them" in done.stdout


def test_the_option_of_the_benchmark_suite_times_too(project):
    class Config:
        def __init__(self, **options):
            self._options = options

        def getoption(self, name, default=None):
            return self._options.get(name, default)

    assert plugin.is_timing(Config(benchmark_cases=True))
    assert plugin.is_timing(Config(paired_timing=True))
    assert not plugin.is_timing(Config())


def imported(*arguments, project):
    """The modules that a run of pytest without paired tests imports."""
    (project / "tests" / "test_sums.py").write_text("def test_nothing():\n    pass\n")
    code = "import sys, pytest; status = pytest.main(sys.argv[1:]); print('\\nMODULES', *sys.modules); sys.exit(status)"
    environment = environment_without_xdist() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-c", code, "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_the_plugin_imports_nothing_heavy_into_a_run_that_does_not_use_it(project):
    added = imported("-p", "pairbench.plugin", project=project) - imported(project=project)
    ours = {name for name in added if name.partition(".")[0] == "pairbench"}
    assert ours == {"pairbench", "pairbench.plugin", "pairbench.plugin_gate"}
    assert not {name.partition(".")[0] for name in added} & {"numpy", "scipy", "numba", "psutil", "click", "rich"}


def test_the_entry_point_names_the_plugin():
    import tomllib

    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {plugin.__name__: plugin.__name__}
