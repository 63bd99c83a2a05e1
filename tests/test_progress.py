"""What a long command shows beside its progress: the last result."""

from types import SimpleNamespace

from bench import suite
from bench.arms import Arm
from bench.cases import Case
from bench.records.scale_schema import ScaleState
from bench.scale import growth
from impls import Network
from pairbench import measure, measurement_loop
from tests.helpers import timing_row

CASE = Case(Network((3, 3, 1)), "forward", 1)
REFERENCE, CONTROL, GRAPH = (Arm(name, name, CASE) for name in ("python_loops", "A/A", "graph"))


def test_a_run_shows_the_fastest_arm_of_the_last_case():
    group = (REFERENCE, CONTROL, GRAPH)
    assert measure._speedup(group, {}) == measure._speedup(group, {REFERENCE: 1.0, CONTROL: 1.0}) == ""
    assert measure._speedup(group, {REFERENCE: 6e-6, CONTROL: 1e-6, GRAPH: 2e-6}) == "; graph 3 × python_loops"


def test_the_growth_shows_the_fastest_backend_of_the_last_point():
    rows = [timing_row(backend=name, seconds=seconds) for name, seconds in (("python_loops", 6e-6), ("graph", 2e-6))]
    other = timing_row(backend="numba_simd", seconds=1e-6, batch=64)
    assert growth._last_speedup(ScaleState.model_construct(rows=[other, *rows])) == "; graph 3 × python_loops"
    assert growth._last_speedup(ScaleState.model_construct(rows=[*rows, other])) == ""
    assert growth._last_speedup(ScaleState.model_construct(rows=[])) == ""


def test_the_proof_shows_how_many_checks_passed():
    assert suite._score([]) == "0 of 0 checks passed"
    rows = [SimpleNamespace(ok=ok) for ok in (True, False, True)]
    assert suite._score(rows) == "2 of 3 checks passed"


def test_the_gate_shows_its_verdicts_so_far(monkeypatch):
    def judgement(state, task, key):
        return SimpleNamespace(verdict=key, decided=key != "INCONCLUSIVE")

    def plan(key):
        return SimpleNamespace(key=key, blocks=9, loops=1, call_seconds=0.001)

    monkeypatch.setattr(measurement_loop, "row_judgement", judgement)
    state = SimpleNamespace(rounds=[SimpleNamespace(wall_seconds=40, seconds={})])
    task = SimpleNamespace(judged=["PASS", "PASS", "INCONCLUSIVE", "FAIL"], budget=120.0, overhead=1.0)
    title = measurement_loop._title(state, task, [plan("INCONCLUSIVE"), plan("python_loops")])
    assert title == "round 2, 1 of 4 rows open, 2 PASS, 1 FAIL, 40 of 120 s"
