"""Tracers, profilers and tools of sys.monitoring are lifted or refused, and pytest refuses a mix of two checkouts."""

import sys
import threading
from types import SimpleNamespace

import pytest

import impls
from bench import plugin, pytest_cases
from bench.cases import Case
from impls import Network
from pairbench import interleave, tracing, worker_processes
from pairbench.worker_protocol import CallJob


def nothing(*event):
    return None


@pytest.fixture
def traced():
    """This thread has a tracer and a profiler."""
    before = sys.gettrace(), sys.getprofile()
    sys.settrace(nothing)
    sys.setprofile(nothing)
    yield
    sys.settrace(before[0])
    sys.setprofile(before[1])


def test_both_are_lifted_and_put_back(traced):
    with tracing.lifted():
        assert (sys.gettrace(), sys.getprofile()) == (None, None)
    assert (sys.gettrace(), sys.getprofile()) == (nothing, nothing)


class Stop(Exception):
    pass


def test_the_speedups_in_pytest_are_timed_without_them(traced, monkeypatch):
    found = []

    def time_interleaved(plans, random):
        found.append((sys.gettrace(), sys.getprofile()))
        raise Stop

    monkeypatch.setattr(interleave, "time_interleaved", time_interleaved)
    monkeypatch.setattr(pytest_cases.FUNCTIONS, "require_unchanged", lambda: None)  # it would notice the line above
    case = Case(Network((3, 3, 1)), "forward", 1)
    with pytest.raises(Stop):
        pytest_cases.paired_speedup(case, "python_loops", pytest_cases.reference_call(case), 1.0)
    assert found == [(None, None)]


def test_a_worker_has_neither(traced, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading\n"
        "for module in (sys, threading): module.settrace(lambda *event: None); module.setprofile(lambda *event: None)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = "[__import__('sys').gettrace(), __import__('sys').getprofile(), __import__('threading').gettrace()]"
    job = CallJob(eval, (code,))
    assert [answer.value for answer in worker_processes.run_job(job) if hasattr(answer, "value")] == [
        [None, None, None]
    ]
    assert threading.gettrace() is None


def test_a_plugin_and_backends_of_two_checkouts_are_refused(monkeypatch):
    plugin._check_one_copy()
    monkeypatch.setattr(impls, "__file__", "/other/impls/__init__.py")
    with pytest.raises(pytest.exit.Exception, match="the backends are those of /other, the plugin is that of") as end:
        plugin._check_one_copy()
    assert end.value.returncode == 2


def test_a_tool_of_sys_monitoring_is_refused_by_its_name(monkeypatch):
    monkeypatch.setattr(
        sys, "monitoring", SimpleNamespace(get_tool=lambda number: "coverage" if number == 1 else None), raising=False
    )
    for use in (tracing.lift, tracing.lifted().__enter__):
        with pytest.raises(tracing.MonitoringError, match=r"coverage uses sys\.monitoring"):
            use()
    options = {"benchmark_only": False}
    config = SimpleNamespace(getoption=lambda name, default=None: options.get(name, default))
    with pytest.raises(pytest.exit.Exception, match="--benchmark cannot time: coverage") as end:
        plugin._check_timing(config)
    assert end.value.returncode == 2
