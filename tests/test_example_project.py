"""The example project of docs/: in a fresh environment it passes its tests, is timed, and its gate finds a slowdown."""

import os
import re
import shlex

import pytest
import scipy.stats

from tests import docs, example_gates
from tests.example_project import EXAMPLE, ExampleProject, verdicts
from tests.gates import LESS_EFFORT
from tests.helpers import FEWER_PLUGINS, ROOT

WORKFLOW = EXAMPLE / ".github" / "workflows" / "tests.yml"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
MLPBENCH = "from bench.cli.main import console; console()"
OWN = "import bench.data; print(bench.data.__file__)"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return ExampleProject.install(tmp_path_factory.mktemp("example"))


def pytest_in(project, *options):
    home = project.root.parent
    (home / "less_effort.py").write_text(LESS_EFFORT, encoding="utf-8")
    path = os.pathsep.join([str(home), str(ROOT)])
    variables = {"TMPDIR": str(home), "COLUMNS": "200", "PYTHONPATH": path}
    return project.run("-m", "pytest", *FEWER_PLUGINS, *options, variables=variables)


@pytest.mark.slow
def test_both_packages_named_bench_live_side_by_side(project):
    """mlpbench is installed in the environment, and the project has a package of the same name."""
    own = project.run("-c", OWN, check=True)
    assert own.stdout.strip() == str(project.root / "bench" / "data.py")
    command = project.run("-P", "-c", MLPBENCH, "--version")  # without the current folder, as an installed command
    assert command.stdout.startswith("mlpbench"), command.stderr
    compared = project.run(
        *("-P", "-m", "pairbench", "compare", "moving_median.loops:moving_median"),
        *("moving_median.vectorized:moving_median", "--setup", "bench.data:make", "--budget", "0.1", "--format", "csv"),
    )
    assert re.search(r"^\S*vectorized", compared.stdout, re.MULTILINE), compared.stdout + compared.stderr


@pytest.mark.slow
def test_its_tests_pass_and_the_times_are_shown(project):
    done = pytest_in(project, "--paired")
    rows = re.findall(r"^  (\w+)(?: \(reference\))? +[\d.e+]+ [mµ]s ", done.stdout, re.MULTILINE)
    assert rows == ["sort_each", "loops", "numpy", "sort_each", "numba"], done.stdout + done.stderr
    assert "passed" in done.stdout
    # Another load of the machine may leave an assertion on times undecided, but no test of the results fails.
    assert set(re.findall(r"^(?:FAILED|ERROR) (\S+)::", done.stdout, re.MULTILINE)) <= {"bench/test_speed.py"}


@pytest.mark.slow
def test_the_gate_finds_a_planted_slowdown(project):
    project.plant("numpy", share=100, calls=9)
    options = ("-p", "less_effort", "--paired-against=HEAD~1", "--paired-threshold=100%", "-k", "numpy")
    done = pytest_in(project, "bench", *options)
    assert done.returncode == 1, done.stdout + done.stderr
    found = verdicts(done.stdout)
    assert found["numpy"] == "FAIL"
    assert found["loops"] != "FAIL"
    assert "Failed: numpy (moving_median.vectorized:moving_median): FAIL: significantly slower" in done.stdout


def test_the_workflow_runs_the_commands_of_the_readme():
    text = WORKFLOW.read_text(encoding="utf-8")
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load(text)["jobs"].values()
    run = {tuple(shlex.split(step["run"])) for job in jobs for step in job["steps"] if "run" in step}
    assert run == documented(README)
    (checkout,) = [
        step["with"]
        for job in jobs
        for step in job["steps"]
        if "with" in step and step["uses"].startswith("actions/checkout@")
    ]
    assert checkout["fetch-depth"] == 0  # without the history there is no revision to compare with


def documented(text):
    """The commands of the README's section on CI."""
    section = text.partition("## In CI\n")[2].partition("\n## ")[0]
    shown = [block.text for block in docs.blocks(section) if block.language == "sh"]
    return {tuple(shlex.split(line)) for block in shown for line in docs.commands(block)}


def test_a_command_that_only_the_readme_has_is_noticed():
    text = "## In CI\n\n```sh\npytest\npytest -x\n```\n\n## More\n\n```sh\npytest --paired\n```\n"
    assert documented(text) == {("pytest",), ("pytest", "-x")}


GATE_TABLE = """
  candidate                             base      head                  change   MDE   results        verdict
 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
  test_loops_and_numpy_pay: loops    1.26 ms   1.20 ms    -1.3 % [-3.6, +1.0]  +4 %     equal   INCONCLUSIVE
  test_loops_and_numpy_pay: numpy     350 µs    410 µs  +17.1 % [15.0, 19.2]   +4 %     equal           FAIL
  test_numba_pays: numba               90 µs     90 µs    +0.1 % [-1.0, 1.2]   +4 %     equal           PASS

test_loops_and_numpy_pay: numpy (moving_median.vectorized:moving_median): FAIL: significantly slower
"""


def test_the_verdicts_are_those_of_the_table(capsys):
    found = verdicts(GATE_TABLE)
    assert found == {"loops": "INCONCLUSIVE", "numpy": "FAIL", "numba": "PASS"}
    assert example_gates.worst(found) == "FAIL"
    assert example_gates.worst(found | {"numpy": "PASS"}) == "INCONCLUSIVE"
    neutral = {"loops": "PASS", "numpy": "PASS", "numba": "INCONCLUSIVE"}
    example_gates.show(example_gates.groups([(found, 12.0)], [(neutral, 30.0), (neutral, 41.0)], "numpy"))
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    rows = {name: values for name, *values in cells}
    interval = scipy.stats.binomtest(1, 1).proportion_ci(0.95, "exact")
    assert rows["slower numpy: numpy"][1] == f"1 [{100 * interval.low:.0f}, {100 * interval.high:.0f}] %"
    assert [cell.partition(" ")[0] for cell in rows["slower numpy: the worst of the others"][1:4]] == [
        "0",
        "0",
        "1",
    ]
    assert [cell.partition(" ")[0] for cell in rows["a comment: the worst of all"]] == ["2", "0", "0", "2", "41"]


@pytest.mark.parametrize("arguments", [[], ["1", "1", "nothing"], ["-1", "1", "numpy"], ["1", "1"]])
def test_wrong_arguments_get_one_line(arguments, capsys):
    assert example_gates.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "give two numbers of runs and a function" in line
