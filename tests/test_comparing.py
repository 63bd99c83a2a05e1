"""``pairbench.compare``: what is refused, fresh processes, rows, and the shapes of the output."""

import csv
import functools
import io
import json
import math
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree

import pytest

import pairbench
from pairbench import CompareError, compare, function_measurement
from pairbench.comparison import Comparison, Row
from pairbench.comparison_views import COLUMNS
from pairbench.statistics import Interval
from tests.helpers import ROOT, assert_one_line

BUDGET = 0.03


async def asynchronous():
    return 1


def generator():
    yield 1


async def asynchronous_generator():
    yield 1


class CallsAsynchronously:
    async def __call__(self):
        return 1


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (asynchronous, "is asynchronous, and a call only creates a coroutine; give a function that runs it"),
        (functools.partial(asynchronous), "is asynchronous"),
        (CallsAsynchronously(), "is asynchronous"),
        (asynchronous_generator, "is asynchronous"),
        (generator, "is a generator function, and a call does not run it; give a function that consumes it"),
        (3, "must be a function, not int"),
    ],
)
def test_what_cannot_be_timed_is_refused_in_one_line(function, words):
    for reference, candidates in ((function, {"good": abs}), (abs, {"bad": function})):
        with pytest.raises(CompareError) as info:
            compare(reference, candidates, (1,))
        assert words in str(info.value)
        assert_one_line(str(info.value))


def test_a_function_that_returns_a_generator_is_refused_after_its_first_call():
    found = compare(lambda: 1, {"lazy": lambda: (value for value in (1, 2))}, budget=BUDGET)
    assert "returns a generator, so its work is not done" in found["lazy"].reason
    found = compare(lambda: 1, {"lazy": lambda: close(asynchronous())}, budget=BUDGET)
    assert "returns a coroutine" in found["lazy"].reason


def close(coroutine):
    coroutine.close()
    return coroutine


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"candidates": {}}, "candidates must be a dict of functions by name"),
        ({"candidates": [abs]}, "candidates must be a dict"),
        ({"candidates": {"reference": abs}}, "cannot have the name 'reference'"),
        ({"candidates": {"A/A": abs}}, "cannot have the name 'A/A'"),
        ({"candidates": {1: abs}}, "the name of a candidate must be a text, not 1"),
        ({"args": 1}, "args must be a tuple of arguments, not int; write args=(value,)"),
        ({"args": "ab"}, "args must be a tuple of arguments, not str"),
        ({"kwargs": [1]}, "kwargs must be a dict"),
        ({"setup": lambda: (1,)}, "give either args or setup"),
        ({"processes": 0}, "processes must be a whole number from 1 to 100, not 0"),
        ({"processes": 2.5}, "processes must be a whole number"),
        ({"budget": 0}, "budget must be a positive number of seconds, not 0"),
        ({"budget": math.nan}, "budget must be"),
        ({"timeout": -1}, "timeout must be"),
    ],
)
def test_wrong_arguments_get_one_line(arguments, words):
    with pytest.raises(CompareError) as info:
        compare(**{"reference": abs, "candidates": {"same": abs}, "args": (1,)} | arguments)
    assert words in str(info.value)
    assert_one_line(str(info.value))


def test_a_comparison_in_this_process():
    found = compare(sum, {"fsum": math.fsum, "wrong": max, "bad": len}, ([1.5] * 300,), budget=BUDGET)
    assert [row.name for row in found.rows] == ["fsum", "wrong", "bad"]
    assert found["fsum"].ok
    assert found["fsum"].seconds > 0
    assert found["wrong"].difference == "result is 1.5 instead of 450.0"
    assert found["wrong"].speedup is None, "a wrong function gets no time"
    assert not found.ok
    assert found.processes == 1
    assert {*found.samples[0]} == {"reference", "A/A", "fsum", "wrong", "bad"}
    assert found.machine["python"]
    with pytest.raises(KeyError, match="no candidate 'sum'; there are fsum, wrong, bad"):
        found["sum"]


def test_a_wrapper_that_runs_an_asynchronous_function_is_timed():
    @functools.wraps(asynchronous)
    def run():
        try:
            asynchronous().send(None)
        except StopIteration as stop:
            return stop.value

    assert compare(run, {"one": lambda: 1}, budget=BUDGET)["one"].difference == ""


def test_a_reference_that_does_not_repeat_its_result_is_said():
    calls = []
    found = compare(lambda: calls.append(1) or len(calls), {"one": lambda: 1}, budget=BUDGET)
    assert not found.ok
    assert "is 1 instead of" not in found.reference.difference
    assert found.reference.difference.startswith("in a timed call, result is")
    assert found["one"].speedup is None
    assert "returns another result for equal arguments" in found.to_markdown()


def test_the_tolerances_and_the_check_decide_on_equality():
    def near(values):
        return sum(values) * (1 + 1e-6)

    assert not compare(sum, {"near": near}, ([1.5],), budget=BUDGET).ok
    assert compare(sum, {"near": near}, ([1.5],), budget=BUDGET, rtol=1e-5)["near"].difference == ""
    seen = []
    compare(sum, {"near": near}, ([1.5],), budget=BUDGET, check=lambda one, other: seen.append((one, other)))
    assert (1.5, 1.5 * (1 + 1e-6)) in seen


def test_a_slow_function_has_no_interval_rather_than_a_false_one():
    def slow():
        end = function_measurement.timer.seconds_now() + 0.01
        while function_measurement.timer.seconds_now() < end:
            pass

    found = compare(slow, {"same": slow}, budget=1e-6)
    assert (found.blocks, found["same"].speedup.low, found["same"].speedup.high) == (1, None, None)


MODULE = """
    import os, sys, time

    def double(values):
        return [2 * value for value in values]

    def add(values):
        return [value + value for value in values]

    def wrong(values):
        return values

    def crash(values):
        os._exit(0)

    def leave(values):
        sys.exit(3)

    def hang(values):
        time.sleep(600)

    def talk(values):
        os.write(1, b"garbage")
        print("garbage")
        return double(values)

    def opaque(values):
        return lambda: values

    def make():
        return ([1.0, 2.0] * 100,)

    def crash_late(values, calls=[]):
        calls.append(1)
        if len(calls) > 50:
            os.abort()
        return double(values)
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch, forked_workers):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("")
    (tmp_path / "bench" / "theirs.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "theirs.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    import theirs

    yield theirs
    del sys.modules["theirs"]


@pytest.mark.slow
def test_fresh_processes_time_what_they_can_and_name_what_they_cannot(theirs, capfd):
    names = ("add", "wrong", "crash", "leave", "talk", "crash_late", "opaque")
    candidates = {name: getattr(theirs, name) for name in names}
    found = compare(theirs.double, candidates, ([1.0, 2.0] * 100,), processes=2, budget=0.1)
    assert found["add"].ok
    assert found["talk"].ok
    assert found["wrong"].difference.startswith("result[0] is 1.0 instead of 2.0")
    assert found["crash"].reason == "cannot be timed: the worker process ended with status 0 while checking"
    assert "raises SystemExit: 3" in found["leave"].reason
    assert "died of SIGABRT" in found["crash_late"].reason
    assert "cannot be sent from a fresh process" in found["opaque"].difference
    assert found.processes == 2
    assert [*found.samples[0]][:3] == ["reference", "A/A", "add"]
    assert found.control.low is not None
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_a_function_that_hangs_in_a_fresh_process_is_ended(theirs):
    candidates = {"hang": theirs.hang, "add": theirs.add}
    found = compare(theirs.double, candidates, setup=theirs.make, processes=2, timeout=1, budget=0.1)
    assert found["hang"].reason == "cannot be timed: the worker process gave no answer for 1 s while checking"
    assert found["add"].ok


@pytest.mark.slow
def test_a_reference_that_crashes_is_said(theirs):
    with pytest.raises(CompareError, match="the reference cannot be timed: the worker process ended with status 0"):
        compare(theirs.crash, {"add": theirs.add}, ([1.0],), processes=2)


@pytest.mark.slow
def test_a_fresh_process_imports_a_package_of_the_project_with_the_name_of_one_of_ours(theirs, tmp_path):
    code = (
        "import pairbench, bench.theirs as t; from pairbench import compare\n"
        "found = compare(t.double, {'add': t.add}, ([1.0],), processes=2, budget=0.05)\n"
        "assert found.ok, found.to_markdown()\n"
    )
    path = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
    done = subprocess.run([sys.executable, "-P", "-c", path + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_fresh_process_cannot_import_is_named(theirs, monkeypatch):
    def inner(values):
        return values

    with pytest.raises(CompareError, match=r"cannot import local \(inner\): it is defined inside a function"):
        compare(abs, {"local": inner}, (1,), processes=2)
    with pytest.raises(CompareError, match=r"cannot import reference \(<lambda>\): it is a lambda"):
        compare(lambda one: one, {"abs": abs}, (1,), processes=2)
    monkeypatch.setattr(theirs.add, "__module__", "__main__")
    with pytest.raises(CompareError, match=r"cannot import add: it is defined in __main__, a script or notebook"):
        compare(abs, {"add": theirs.add}, (1,), processes=2)
    with pytest.raises(CompareError, match="the arguments cannot be sent to a fresh process"):
        compare(abs, {"abs": abs}, (lambda: 1,), processes=2)
    with pytest.raises(CompareError, match="cannot import setup"):
        compare(abs, {"abs": abs}, setup=lambda: (1,), processes=2)


def made_up():
    rows = (
        Row("numpy|<b>", 2e-6, Interval(2.0, 1.5, 2.5), remarks=("gets slower as it goes: by 9 %",)),
        Row("bad", None, None, reason="raises ValueError: no"),
        Row("wrong", None, None, difference="result is 1 instead of 2"),
        Row("once", 1e-6, Interval(4.0, None, None)),
    )
    reference = Row("loops", 4e-6, None)
    return Comparison(reference, rows, Interval(1.0, 0.99, 1.01), 1, 30, False, ({"loops": (4e-6,)},), {"cpu": "X"})


def test_csv_and_rows_hold_the_documented_columns():
    rows = [*csv.DictReader(io.StringIO(made_up().to_csv()))]
    assert [*rows[0]] == [*COLUMNS] == [*made_up().to_rows()[0]]
    assert rows[0]["speedup"] == "2.0"
    assert (rows[1]["reason"], rows[2]["equal"], rows[3]["low"]) == ("raises ValueError: no", "False", "")


def test_the_documentation_lists_the_columns():
    page = (ROOT / "docs" / "your-own-functions.md").read_text(encoding="utf-8")
    [sentence] = re.findall(r"The columns of the CSV are (.+?)\.", page, re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`", sentence)) == COLUMNS


def test_json_holds_everything():
    data = json.loads(json.dumps(made_up().to_json()))
    assert data["schema"] == "pairbench-comparison-1"
    assert data["rows"][0]["speedup"] == {"estimate": 2.0, "low": 1.5, "high": 2.5}
    assert data["samples"] == [{"loops": [4e-6]}]


def test_markdown_and_html_escape_names_and_show_every_note():
    markdown, page = made_up().to_markdown(), made_up()._repr_html_()
    assert "| numpy\\|&lt;b&gt; | 2 µs | 2 | [1.5, 2.5] |" in markdown
    for words in ("raises ValueError: no", "result is 1 instead of 2", "gets slower", "A/A control", "30 blocks"):
        assert words in markdown
        assert words in page
    assert "<b>" not in page
    ElementTree.fromstring(f"<div>{page}</div>")


def test_the_picture_shows_every_row_that_has_a_speedup():
    svg = ElementTree.fromstring(made_up().to_svg())
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["1 = loops", "numpy|<b>", "2", "once", "4"]
    xs = [float(one.get("cx")) for one in svg.iter("{http://www.w3.org/2000/svg}circle")]
    assert 0 < xs[0] < xs[1] < 640


def test_the_package_imports_nothing_until_a_name_is_used():
    code = (
        "import sys, pairbench; heavy = {'numpy', 'scipy', 'numba', 'psutil'} & {*sys.modules}; assert not heavy;"
        "assert 'compare' in dir(pairbench); assert callable(pairbench.compare)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pairbench.nothing  # noqa: B018
    assert {*pairbench.__all__} == {name for name in pairbench.__all__ if getattr(pairbench, name)}
