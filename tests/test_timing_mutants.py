"""Every timing mutant gets no time, for the reason that its fault should give, and an honest backend gets one."""

import json
import re

import pytest

from bench import timing_proof
from bench.proof.timing_mutants import TIMING_MUTANTS
from tests.gates import gate, git
from tests.helpers import FEWER_PLUGINS, ROOT, environment_without_xdist, python

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_workers")]

OUTPUT = r"^output\[\d+, \d+\] is \S+, not "
CHANGED = r"^changes a result after returning it$"
REASONS = dict.fromkeys(TIMING_MUTANTS, OUTPUT) | {
    "ByContent": r"^answers repeated inputs from a cache: new inputs take \d+\.\d times as long$",
    # The last results of these two may look like those of a cache.
    "BySpacing": rf"{OUTPUT}|^answers repeated inputs from a cache",
    "ByFirstAndLast": rf"{OUTPUT}|^answers repeated inputs from a cache",
    # The worker notices a result that arrives before the end of the sample, and the judge one that does not.
    **dict.fromkeys(("Asynchronous", "ThreadThatGoesOn", "ByReferenceCount"), rf"{OUTPUT}|{CHANGED}"),
    "SharedResult": CHANGED,
    "OtherClock": r"^replaces pairbench\.timer\.time_calls$",
    "SlowedReference": r"^replaces impls\.python_loops\.Model\._forward_batch$",
}


@pytest.mark.parametrize("name", TIMING_MUTANTS)
def test_a_timing_mutant_gets_no_time(name):
    assert re.search(REASONS[name], timing_proof.reason_for_no_time(name))


@pytest.mark.fresh_workers
def test_an_honest_backend_gets_a_time(monkeypatch):
    monkeypatch.setattr(timing_proof, "TimingMutantWorkload", timing_proof.CaseWorkload)
    assert timing_proof.reason_for_no_time("numpy_plain") == ""


HONEST = """from impls.numpy_plain import Model as _Model


class Model(_Model):
    "A backend."
"""
CHEAT = HONEST.replace("impls.numpy_plain import Model", "bench.proof.timing_mutants import {}")


def test_the_gate_fails_every_timing_mutant(repository):
    """The mutants replace honest backends in the head; an honest backend beside them gets a verdict by its times."""
    backends = {f"backend_{number}": mutant for number, mutant in enumerate(TIMING_MUTANTS)}
    for backend in (*backends, "honest"):
        (repository / "impls" / f"{backend}.py").write_text(HONEST)
    git("add", ".", cwd=repository)
    git("commit", "--quiet", "--message", "honest", cwd=repository)
    for backend, mutant in backends.items():
        (repository / "impls" / f"{backend}.py").write_text(CHEAT.format(mutant))
    options = [word for backend in (*backends, "honest") for word in ("--backend", backend)]
    case = ("--network", "10-60-10", "--operation", "forward", "--batch", "64")
    _, rows, document = gate(*case, *options, "--budget", "2")
    assert document.verdict == "FAIL"
    assert rows["honest"].verdict != "FAIL"
    for backend, mutant in backends.items():
        assert rows[backend].verdict == "FAIL"
        begin, found, reason = rows[backend].reason.partition("the head fails: ")
        assert (begin, bool(found)) == ("", True), rows[backend].reason
        assert re.search(REASONS[mutant], reason), (mutant, reason)


BENCHMARKS = """
import threading

import impls
from bench import correctness
from bench.proof.timing_mutants import TIMING_MUTANTS, Cheat, _called_from, timing_mutant
from bench.timing_proof import CASE

import pytest


@timing_mutant
class ByRunner(Cheat):
    "Returns the last result in the rounds of pytest-benchmark, whose results are not kept."

    def _cheat(self, X):
        return self._last(X, compute=not _called_from("runner"))


class ComputingThread(Cheat):
    "Leaves a thread that computes."

    def _cheat(self, X):
        if threading.active_count() == 1:
            threading.Thread(target=lambda: [sum(range(1000)) for _ in range(10**7)], daemon=True).start()
        return self._right(X)


load = impls.load
BACKENDS = {**TIMING_MUTANTS, "ComputingThread": impls.Backend("ComputingThread", "mutant", ComputingThread)}
impls.load = correctness.load = lambda name: BACKENDS.get(name) or load(name)

from bench import pytest_cases  # which watches the functions as they are now


@pytest.mark.mlpbench_case
@pytest.mark.parametrize("name", [*TIMING_MUTANTS, "numpy_plain", "ComputingThread", "numpy_vectorized"])
def test_backend(name, benchmark, record_property, gate_rows):
    pytest_cases.test_backend(CASE, name, benchmark, record_property, gate_rows)
"""


def test_pytest_gives_no_timing_mutant_a_speedup(tmp_path):
    (tmp_path / "test_mutants.py").write_text(BENCHMARKS)
    file = tmp_path / "times.json"
    options = ("-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, *FEWER_PLUGINS, "-rA", "--tb=line")
    done = python(
        *("-m", "pytest", f"--benchmark-json={file}", "--benchmark", "--benchmark-max-time=0.01", *options, tmp_path),
        env={**environment_without_xdist(), "COLUMNS": "300"},
    )
    assert f"{len(TIMING_MUTANTS) + 3} failed, 1 passed" in done.stdout, done.stdout
    timed = re.findall(r"^test_backend\[(\w+)\] ", done.stdout, re.MULTILINE)
    assert timed == ["numpy_plain"]
    written = json.loads(file.read_text())["benchmarks"]
    assert [entry["name"] for entry in written] == ["test_backend[numpy_plain]"]
    longer = r"^judged calls take \d+\.\d times as long as those of pytest-benchmark's rounds$"
    other = {"ByRunner": longer, "OtherJudge": r"^replaces bench\.proof\.targets\.Target\.judge$"}
    threads = "leaves threads that compute while others are timed"
    other |= {"ComputingThread": f"^{threads}$", "numpy_vectorized": f"^ComputingThread {threads}$"}
    for name, reason in (REASONS | other).items():
        (found,) = re.findall(rf"^FAILED .*\[{name}\] - [\w.]+: (.*)$", done.stdout, re.MULTILINE)
        assert re.search(reason, found), (name, found)
