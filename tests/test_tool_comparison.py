"""The comparison with other tools: the pairs, the order of the runs, what the tools' outputs mean, and the table."""

import subprocess
import sys
from collections import Counter
from itertools import islice, product

import numpy as np
import pytest
from scipy.stats import beta

from bench.records.tool_comparison_schema import ToolRun
from bench.report import tool_comparison
from bench.report.tool_comparison import cell, main
from bench.tool_comparison import pairs, schedule, tools, verdicts
from bench.tool_comparison.pairs import KINDS, PLANTED, UNITS, Pair, Project
from bench.tool_comparison.tools import TOOLS, Tool
from bench.tool_comparison.verdicts import ToolFailed
from tests.helpers import assert_one_line


def load(source):
    names = {}
    exec(compile(source, "work.py", "exec"), names)
    return names


def units_of(source):
    """How often a call of ``work`` executes the first line of its loop, and what it returns."""
    names, first = load(source), source.splitlines().index("    for _ in range(UNITS):") + 2
    executed = Counter()

    def trace(frame, event, argument):
        if event == "line" and frame.f_code.co_name == "work":
            executed[frame.f_lineno] += 1
        return trace

    arguments, former = names["make"](), sys.gettrace()
    sys.settrace(trace)
    try:
        result = names["work"](*arguments)
    finally:
        sys.settrace(former)
    return executed[first], result


@pytest.mark.parametrize(("kind", "planted"), [*product(KINDS, PLANTED)])
def test_the_head_does_exactly_the_planted_work_more(kind, planted):
    source = KINDS[kind]
    base, result = units_of(source.format(units=UNITS))
    head, same = units_of(source.format(units=Pair(kind, planted).head_units))
    assert 100 * head == (100 + round(100 * planted)) * base
    assert same == result


def test_the_worktrees_have_the_two_sources(tmp_path):
    pair = Pair("Python loop", 0.10)
    project = pairs.lay_out(tmp_path, pair)
    sources = [KINDS[pair.kind].format(units=units) for units in (40, 44)]
    assert [(side / "work.py").read_text() for side in (project.base, project.head)] == sources
    assert [(project.both / f"{side}_work.py").read_text() for side in ("base", "head")] == sources
    shown = ["git", "show", f"{project.commit(project.base)}:work.py"]
    assert subprocess.run(shown, cwd=project.head, capture_output=True, text=True, check=True).stdout == sources[0]
    assert list(project.store.iterdir()) == []


def test_a_head_without_a_planted_slowdown_is_another_commit_of_the_same_source(tmp_path):
    project = pairs.lay_out(tmp_path, Pair("NumPy", 0.0))
    assert (project.base / "work.py").read_text() == (project.head / "work.py").read_text()
    assert project.commit(project.base) != project.commit(project.head)


def cells(runs):
    return Counter((tool.name, pair.kind, pair.planted) for tool, pair in runs)


def test_every_repetition_has_every_run_once_in_an_order_of_its_own():
    runs = list(schedule.schedule(TOOLS, 1, 2))
    half = len(TOOLS) * len(KINDS) * len(PLANTED)
    assert len(runs) == 2 * half
    for part in (runs[:half], runs[half:]):
        assert set(cells(part).values()) == {1}
    assert runs[:half] != runs[half:]
    assert runs != list(schedule.schedule(TOOLS, 2, 2))
    # Sorted by tool, a change of the machine would meet one tool alone.
    assert len({tool.name for tool, _ in islice(runs, 12)}) > 2


def test_a_larger_count_adds_runs_after_those_that_are_done():
    done = [found("asv", "none", kind=pair.kind) for _, pair in schedule.schedule(TOOLS, 1, 1)]
    runs = list(schedule.schedule(TOOLS, 1, 3))
    assert list(schedule.remaining(TOOLS, 1, 3, done)) == runs[len(done) :]
    assert list(schedule.remaining(TOOLS, 1, 1, done)) == []


def found(tool, verdict, planted=0.0, kind="NumPy", seconds=1.0, reading="worse", reason=""):
    return ToolRun(tool=tool, kind=kind, planted=planted, seconds=seconds, verdicts={reading: verdict}, reason=reason)


def test_pytest_benchmark_gets_all_fields_in_one_option(tmp_path, monkeypatch):
    """Of several ``--benchmark-compare-fail``, pytest-benchmark heeds the last one alone."""
    commands = []
    done = subprocess.CompletedProcess([], 0, "Comparing against benchmarks from: base", "")
    monkeypatch.setattr(tools, "execute", lambda command, *_, **__: commands.append(command) or done)
    assert tools.pytest_benchmark(Project(tmp_path)) == dict.fromkeys(tools.FIELDS, "none")
    compare = commands[-1]
    (place,) = (number for number, word in enumerate(compare) if word.startswith("--benchmark-compare-fail"))
    assert compare[place + 1 :] == [f"{field}:5%" for field in tools.FIELDS]


@pytest.mark.parametrize("regressions", [0, 1, 3, 8])
def test_shares_have_the_interval_of_clopper_and_pearson(regressions):
    runs = [found("asv", "regression", 0.1)] * regressions + [found("asv", "none", 0.1)] * (8 - regressions)
    others = [found("asv", "regression"), found("pairbench gate", "regression", 0.1)]
    share = schedule.share([*others, *runs], "asv", "worse", 0.1)
    assert (share.regressions, share.runs) == (regressions, 8)
    low = beta.ppf(0.025, regressions, 9 - regressions) if regressions else 0.0
    high = beta.ppf(0.975, regressions + 1, 8 - regressions) if regressions < 8 else 1.0
    assert (share.low, share.high) == pytest.approx((low, high))


def test_an_inconclusive_run_counts_and_a_failed_one_does_not():
    runs = [found("asv", verdict) for verdict in ("regression", "none", "inconclusive", "failed", "failed")]
    share = schedule.share(runs, "asv", "worse", 0.0)
    assert (share.regressions, share.inconclusive, share.runs) == (1, 1, 3)
    assert cell(share).startswith("1 of 3 [")
    assert cell(share).endswith(", 1 inconclusive")
    assert cell(schedule.share([], "asv", "worse", 0.0)) == "-"


def test_the_forecast_takes_the_median_of_a_tool_that_has_run():
    fast, slow = Tool("fast", {}, 100.0, None, None, ""), Tool("slow", {}, 50.0, None, None, "")
    runs = [(fast, Pair("NumPy", 0.0))] * 3 + [(slow, Pair("NumPy", 0.0))] * 2
    done = [found("fast", "none", seconds=seconds) for seconds in (1.0, 2.0, 90.0)]
    assert schedule.seconds_left([fast, slow], runs, done) == 3 * 2.0 + 2 * 50.0


BENCHMARK_TABLE = "Comparing against benchmarks from: Linux-CPython-3.11-64bit/0001_base.json\n"
REGRESSED = """\
Performance has regressed:
\ttest_work (0001_base) - Field 'min' has failed PercentageRegressionCheck: 9.778541069 > 5.000000000
pytest_benchmark.session.PerformanceRegression: Performance has regressed.
"""
ASV_TABLE = """
Benchmarks that have {section}:

| Change   | Before [4282dcb8] <master~1>   | After [f86e11d8] <master>   | Ratio   | Benchmark (Parameter)   |
|----------|--------------------------------|-----------------------------|---------|-------------------------|
| {mark:8} | 128±2μs                        | 146±1μs                     | {ratio:7} | suite.Work.time_work    |
"""


def test_pytest_benchmark_names_the_fields_that_fail():
    fields = ("mean", "median", "min")
    assert verdicts.of_pytest_benchmark(1, BENCHMARK_TABLE + REGRESSED, fields) == {
        "mean": "none",
        "median": "none",
        "min": "regression",
    }
    assert set(verdicts.of_pytest_benchmark(0, BENCHMARK_TABLE, fields).values()) == {"none"}


@pytest.mark.parametrize(
    ("status", "output"), [(1, BENCHMARK_TABLE), (0, "1 passed"), (0, BENCHMARK_TABLE + REGRESSED)]
)
def test_a_run_of_pytest_that_compares_nothing_or_fails_otherwise_has_no_verdict(status, output):
    # The exit status alone would call a test that cannot be imported a regression, and a missing base none.
    with pytest.raises(ToolFailed):
        verdicts.of_pytest_benchmark(status, output, ("min",))


@pytest.mark.parametrize(
    ("section", "mark", "ratio", "verdict"),
    [
        ("got worse", "+", "1.14", "regression"),
        ("stayed the same", "", "~1.14", "none"),  # asv found the difference not significant
        ("improved", "-", "0.90", "none"),
    ],
)
def test_asv_marks_what_got_worse(section, mark, ratio, verdict):
    assert verdicts.of_asv(ASV_TABLE.format(section=section, mark=mark, ratio=ratio)) == verdict


@pytest.mark.parametrize("output", ["", ASV_TABLE.format(section="got worse", mark="!", ratio="n/a")])
def test_a_benchmark_that_fails_under_asv_has_no_verdict(output):
    with pytest.raises(ToolFailed):
        verdicts.of_asv(output)


@pytest.mark.parametrize(
    ("verdict", "expected"), [("FAIL", "regression"), ("PASS", "none"), ("INCONCLUSIVE", "inconclusive")]
)
def test_the_gate_of_pairbench_has_three_verdicts(verdict, expected):
    row = {"verdict": verdict, "change": {"estimate": 1.1}, "reason": ""}
    assert verdicts.of_gate({"rows": [row]}) == expected
    if verdict == "FAIL":  # because the head raised
        with pytest.raises(ToolFailed, match="the head raises"):
            verdicts.of_gate({"rows": [{**row, "change": None, "reason": "the head raises ValueError"}]})


@pytest.mark.slow
def test_pairbench_and_pytest_benchmark_run_on_a_pair(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "RUN_BUDGET", 1)
    monkeypatch.setattr(pairs, "CALLS", 50)
    project = pairs.lay_out(tmp_path, Pair("Python loop", 0.10))
    for run in (tools.pytest_benchmark, tools.pairbench_run):
        assert set(run(project).values()) <= {"regression", "none"}


@pytest.mark.parametrize(
    ("estimate", "high", "verdict"), [(0.94, 0.99, "regression"), (0.96, 0.97, "none"), (0.9, 1.01, "none")]
)
def test_a_speedup_shows_a_regression_above_the_threshold_whose_interval_excludes_one(estimate, high, verdict):
    assert verdicts.of_speedup({"estimate": estimate, "low": 0.8, "high": high}, 0.05) == verdict


def test_the_standard_error_of_hyperfine_is_that_of_a_simulation():
    means, spreads, runs = (1.0, 1.1), (0.05, 0.08), (10, 14)
    random = np.random.default_rng(0)
    base, head = (
        random.normal(mean, spread, (100_000, count)).mean(axis=1)
        for mean, spread, count in zip(means, spreads, runs, strict=True)
    )
    lower = 1.1 - np.std(head / base)
    document = {
        "results": [
            {"mean": mean, "stddev": spread, "times": [mean] * count}
            for mean, spread, count in zip(means, spreads, runs, strict=True)
        ]
    }
    for threshold, verdict in ((lower - 1 - 0.001, "regression"), (lower - 1 + 0.001, "none")):
        assert verdicts.of_hyperfine(document, threshold)["ratio, less its error"] == verdict
    assert verdicts.of_hyperfine(document, 0.099)["ratio"] == "regression"
    assert verdicts.of_hyperfine(document, 0.101)["ratio"] == "none"


def fake_tool(name="fake", installed=True, run=None):
    """A tool that reports the slowdowns from 10 % on, or does what ``run`` does."""

    def report(project):
        units = load((project.head / "work.py").read_text())["UNITS"]
        return {"worse": "regression" if units >= 44 else "none"}

    version = "1.2" if installed else None
    return Tool(name, {"worse": "it is worse"}, 1.0, run or report, lambda: version, "ask for it")


def fail(project):
    raise ToolFailed("it broke")


def write_head(folder, pair):
    """The head of a pair alone, without git, which takes most of the time of a fake run."""
    project = Project(folder)
    project.head.mkdir()
    (project.head / "work.py").write_text(KINDS[pair.kind].format(units=pair.head_units))
    return project


def use(monkeypatch, *found_tools):
    monkeypatch.setattr(tool_comparison, "TOOLS", found_tools)
    monkeypatch.setattr(schedule, "lay_out", write_head)


def table(text):
    """The cells of a Markdown table, by the first of each row."""
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows}


def test_the_table_shows_counts_and_says_which_tools_are_missing_or_fail(tmp_path, capsys, monkeypatch):
    use(monkeypatch, fake_tool(), fake_tool("absent", installed=False), fake_tool("broken", run=fail))
    assert main(["1", "1", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    rows = table(out)
    assert rows["fake"][:4] == ["it is worse", "0 of 2 [0, 84]", "0 of 2 [0, 84]", "2 of 2 [16, 100]"]
    assert rows["absent"] == ["it is worse", "skipped", "skipped", "skipped", "-"]
    assert rows["broken"][1:4] == ["-", "-", "-"]
    assert "absent is skipped: it is not installed; ask for it." in out
    assert "failed and not counted: 6 runs of broken: it broke" in out
    assert "fake 1.2, broken 1.2; Python 3" in out
    assert [line for line in err.splitlines() if "absent" in line] == [
        "mlpbench: absent is not installed and is skipped; ask for it"
    ]
    assert not list(tmp_path.iterdir())


def test_an_interrupted_comparison_shows_its_runs_and_continues(tmp_path, capsys, monkeypatch):
    performed = []

    def interrupt(project):
        performed.append(project)
        if len(performed) == 3:
            raise KeyboardInterrupt
        return {"worse": "none"}

    use(monkeypatch, fake_tool(run=interrupt))
    assert main(["1", "1", str(tmp_path)]) == 130
    out, err = capsys.readouterr()
    assert sum(int(one.split()[2]) for one in table(out)["fake"][1:4] if one != "-") == 2
    assert "repeat the command with --resume" in err
    assert main(["1", "2", str(tmp_path), "--resume"]) == 0
    assert [one.split(" [")[0] for one in table(capsys.readouterr().out)["fake"][1:4]] == ["0 of 4"] * 3
    assert len(performed) == 2 + 1 + 10


def test_a_comparison_is_not_continued_with_other_versions(tmp_path, capsys, monkeypatch):
    def interrupt(project):
        raise KeyboardInterrupt

    use(monkeypatch, fake_tool(), fake_tool("last", run=interrupt))
    assert main(["1", "1", str(tmp_path)]) == 130
    use(monkeypatch, fake_tool(), fake_tool("last", installed=False))
    capsys.readouterr()
    assert main(["1", "1", str(tmp_path), "--resume"]) == 2
    message = capsys.readouterr().err.strip()
    assert_one_line(message)
    assert "it was written with other versions" in message


@pytest.mark.parametrize(
    ("arguments", "reason"), [(("-1", "1"), "seed must be 0 or more"), (("1", "0"), "count must be 1")]
)
def test_wrong_numbers_are_refused(arguments, reason, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "results"])
    assert reason in capsys.readouterr().err


def test_a_command_that_fails_has_its_last_line_as_the_reason(tmp_path):
    code = "import sys; print('first', file=sys.stderr); sys.exit('the reason')"
    with pytest.raises(ToolFailed, match=r"status 1: the reason$"):
        tools.execute([sys.executable, "-c", code], tmp_path)
