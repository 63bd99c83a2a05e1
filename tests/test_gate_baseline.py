"""``baseline`` and ``gate --baseline``: recording, judging, accepting gains, reading from a revision."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cases import Case
from bench.cli.main import main
from bench.gate import baseline, baseline_verdict
from bench.gate import session as sessions
from bench.gate.measurement_loop import GateTask
from bench.gate.row_plans import BackendCase, RowPlan
from bench.gate.session import MeasuredSession, SessionHead
from bench.records import files
from bench.records.gate_schema import (
    AcceptedGain,
    Baseline,
    BaselineAcceptance,
    BaselineSummary,
    Bucket,
    Gate,
    RecordedSession,
    Session,
    SessionRow,
)
from bench.report.terminal import Lines
from impls import Network
from pairbench import lock, machine, rounds
from pairbench.worktrees import Revision
from tests import gates
from tests.gates import git, plant

FEW = ("--backend", "numpy_plain", "--network", "3-3-1", "--budget", "2")
KEY = "numpy_plain: forward 3-3-1, 1 sample, float64"

pytestmark = pytest.mark.slow


def run(*arguments):
    return main([*arguments, *FEW])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The content of a baseline with one session of this machine."""
    root = tmp_path_factory.mktemp("recorded")
    gates.lay_out(root)
    with pytest.MonkeyPatch.context() as patch:
        gates.reduce_effort(patch)
        patch.chdir(root)
        patch.setattr(lock.tempfile, "gettempdir", lambda: str(root.parent))
        assert run("baseline", "record", "--baseline", "baseline.json") == 0
    return (root / "baseline.json").read_bytes()


@pytest.fixture
def stored(repository, recorded):
    """The path of a baseline with one session, in the current repository."""
    path = Path("results/baseline.json")
    path.parent.mkdir()
    path.write_bytes(recorded)
    return path


def session(speedup=9.0, seconds=5e-6, reference=45e-6):
    rows = {KEY: SessionRow(speedup=speedup, seconds=seconds, reference_seconds=reference)}
    return Session(started="", head="", digest="", rows=rows)


def history(count, factor=1.0, reference=1.0):
    """Sessions with the backend ``factor`` times as fast as now, and the reference ``reference`` times as slow."""
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, (count, 3)))
    return [session(9 * factor * reference * a, 5e-6 / factor * b, 45e-6 * reference * c) for a, b, c in noise.tolist()]


ROW = BackendCase("numpy_plain", Case(Network((3, 3, 1)), "forward", 1))
HEAD = SessionHead(Revision("", None, "impls", {}), None, (ROW,), GateTask({}, (KEY,), 0, 0, {}), {}, ())


def judged(monkeypatch, sessions, now=None, confirmation=None, moves=(), failures=None):
    """The verdict on session ``now`` by recorded sessions. A suspected row is measured again in ``confirmation``."""
    second = confirmation
    if not isinstance(confirmation, MeasuredSession):
        second = MeasuredSession(confirmation or now or session(), {})
    monkeypatch.setattr(baseline_verdict, "measure_session", lambda head, progress, keys: second)
    own = Bucket(machine={}, sessions=sessions, moves=list(moves))
    first = now if isinstance(now, MeasuredSession) else MeasuredSession(now or session(), failures or {})
    (found,), interrupted = baseline_verdict.judge_and_confirm(HEAD, own, first, 0.05, None)
    assert interrupted == (first.interrupted is not None or "interrupted" in found.reason)
    return found


def test_a_slowdown_is_a_regression_if_a_second_session_confirms_it(monkeypatch):
    row = judged(monkeypatch, history(12, factor=1.2))
    assert (row.verdict, row.changed_times) == ("FAIL", ["backend"])
    assert row.change.estimate == pytest.approx(1.2, rel=0.02)
    row = judged(monkeypatch, history(12, factor=1.2), confirmation=session(9 * 1.2, 5e-6 / 1.2))
    assert (row.verdict, row.reason) == ("PASS", "a suspected regression was not confirmed")
    row = judged(monkeypatch, history(9, factor=1.2))
    assert (row.verdict, row.reason) == ("INCONCLUSIVE", "only 9 of the 10 sessions that a verdict needs")


def test_a_faster_reference_is_no_regression_of_the_backend(monkeypatch):
    row = judged(monkeypatch, history(12, reference=1.2))
    assert (row.verdict, row.changed_times) == ("INCONCLUSIVE", ["reference"])
    assert "because the reference became faster" in row.reason


def test_a_failed_row_has_no_time(monkeypatch):
    row = judged(
        monkeypatch, history(12), now=Session(started="", head="", digest="", rows={}), failures={KEY: "wrong"}
    )
    assert (row.verdict, row.reason, row.head_seconds) == ("FAIL", "the head fails: wrong", None)


def test_rows_of_an_interrupted_session_are_inconclusive(monkeypatch):
    row = judged(monkeypatch, history(12, factor=1.2), now=MeasuredSession(session(), {}, 3))
    assert (row.verdict, row.head_seconds) == ("INCONCLUSIVE", 5e-6)
    assert row.change.estimate == pytest.approx(1.2, rel=0.02)
    assert "interrupted before all" in row.reason
    row = judged(monkeypatch, history(12), now=MeasuredSession(session().model_copy(update={"rows": {}}), {}, 0))
    assert (row.verdict, row.head_seconds, row.change) == ("INCONCLUSIVE", None, None)
    row = judged(
        monkeypatch, history(12, factor=1.2), confirmation=MeasuredSession(session(), {}, 1)
    )  # interrupted during the confirmation
    assert row.verdict == "INCONCLUSIVE"


def test_an_interrupted_session_keeps_the_measured_rows(monkeypatch):
    reference = ROW.of("python_loops").key
    seconds = {KEY: {"head": [4e-6, 5e-6, 6e-6]}, reference: {"head": [44e-6, 45e-6, 46e-6]}}
    answers = iter([rounds.RoundResult(seconds=seconds), KeyboardInterrupt()])

    def measure(*_):
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(rounds, "measure_round", measure)
    plans = {
        row.key: RowPlan(key=row.key, workload=None, judge=None, row=row, judge_of_case=None)
        for row in (ROW, ROW.of("python_loops"))
    }
    task = GateTask(plans, (KEY,), 0, 0, {KEY: reference})
    measured = sessions.measure_session(replace(HEAD, task=task), Lines(), [KEY])
    assert measured.interrupted == 1
    assert measured.session.rows[KEY].speedup == pytest.approx(9)


def test_a_note_names_the_library_whose_version_differs(stored):
    (own,) = files.read(stored, Baseline).buckets
    older = own.model_copy(update={"machine": {**own.machine, "numpy": "1.0"}})
    other = own.model_copy(update={"machine": {**older.machine, "cpu": "another", "blas": None}})
    files.write(stored, Baseline(buckets=[other, older]))
    _, _, document = gate_row(stored)
    numpy = machine.library_version("numpy")
    line = f"The baseline has 1 session of a machine that differs in numpy (1.0 there, {numpy} here)."
    assert line in document.notes


def test_an_accepted_gain_applies_to_the_next_session(monkeypatch):
    row = judged(monkeypatch, history(12, factor=0.8))
    assert row.verdict == "PASS"
    (factor,) = baseline.certain_gains([row], [KEY]).values()
    assert factor == pytest.approx(1.25, rel=0.02)
    row = judged(monkeypatch, history(12, factor=0.8), moves=[AcceptedGain(row=KEY, factor=factor, sessions=12)])
    assert row.change.estimate == pytest.approx(1, abs=1e-9)
    assert baseline.certain_gains([row], [KEY]) == {}
    lost = session(9 * 0.8, 5e-6 / 0.8)  # the accepted gain is lost
    row = judged(
        monkeypatch, history(12, factor=0.8), now=lost, moves=[AcceptedGain(row=KEY, factor=factor, sessions=12)]
    )
    assert row.verdict == "FAIL"
    assert baseline.certain_gains([judged(monkeypatch, history(5, factor=0.5))], [KEY]) == {}


def gate_row(path, *arguments):
    status = run("gate", "--baseline", str(path), "--json", "gate.json", *arguments)
    document = files.read(Path("gate.json"), Gate)
    (row,) = document.rows
    return status, row, document


def with_history(path, count, factor):
    """Replace the file's sessions by ``count`` sessions with the backend ``factor`` times as fast as in the first."""
    known = files.read(path, Baseline)
    row = known.buckets[0].sessions[0].rows[KEY]
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, count)).tolist()
    sessions = [session(row.speedup * factor * error, row.seconds / factor, row.reference_seconds) for error in noise]
    files.write(path, Baseline(buckets=[known.buckets[0].model_copy(update={"sessions": sessions})]))


def test_sessions_are_recorded_judged_and_accepted(repository, capsys):
    path = Path("results/baseline.json")
    path.parent.mkdir()
    assert run("baseline", "record", "--json", "recorded.json") == 0
    assert "a verdict needs 9 more sessions" in capsys.readouterr().out
    recorded = files.read(Path("recorded.json"), RecordedSession)
    assert (recorded.sessions, [row.backend for row in recorded.rows]) == (1, ["numpy_plain"])
    (own,) = files.read(path, Baseline).buckets
    assert len(own.sessions) == 1
    assert own.machine["cpu"] == machine.describe()["cpu"]
    status, row, document = gate_row(path)
    assert (status, row.verdict, row.reason) == (3, "INCONCLUSIVE", "only 1 of the 10 sessions that a verdict needs")
    same_rows = f"--baseline {path} --backend numpy_plain --network 3-3-1"
    assert any(note.endswith(f"mlpbench baseline record {same_rows}") for note in document.notes)
    with_history(path, 12, factor=0.1)  # far more than what a busy machine does to a session
    _, _, document = gate_row(path)
    assert any(note.endswith(f"mlpbench baseline accept {same_rows}") for note in document.notes)
    assert run("baseline", "accept", "--baseline", str(path), "--json", "accepted.json") == 0
    (gain,) = files.read(Path("accepted.json"), BaselineAcceptance).rows
    assert gain.backend == "numpy_plain"
    (move,) = files.read(path, Baseline).buckets[0].moves
    assert (move.row, move.sessions) == (KEY, 12)
    assert move.factor == gain.factor
    assert 3 < move.factor < 30


def test_a_change_cannot_edit_the_baseline_that_judges_it(repository, stored, capsys):
    path = stored.rename("baseline.json")
    with_history(path, 12, factor=4)
    git("add", "baseline.json", cwd=repository)
    git("commit", "--quiet", "--message", "baseline", cwd=repository)
    with_history(path, 12, factor=0.5)  # an edit under which every head would pass
    status, row, _ = gate_row(path, "--baseline-from", "HEAD")
    assert (status, row.verdict) == (1, "FAIL")
    path.write_text("{}")
    git("commit", "--quiet", "--all", "--message", "spoilt", cwd=repository)
    assert run("gate", "--baseline", str(path), "--baseline-from", "HEAD") == 2
    assert "baseline.json at HEAD is not an mlpbench document" in capsys.readouterr().err


def test_a_wrong_head_fails_and_is_not_recorded(repository, stored, recorded, capsys):
    plant(repository, "numpy_plain", "out *= 1 + 1e-9")
    status, row, _ = gate_row(stored)
    assert (status, row.verdict, row.head_seconds) == (1, "FAIL", None)
    assert row.reason.startswith("the head fails: output")
    assert run("baseline", "record") == 2
    assert "nothing is recorded, because rows failed: numpy_plain" in capsys.readouterr().err
    assert stored.read_bytes() == recorded


def test_a_baseline_is_shown(stored, capsys):
    with_history(stored, 11, factor=2)
    (own,) = files.read(stored, Baseline).buckets
    other = own.model_copy(update={"machine": {**own.machine, "cpu": "another"}})
    files.write(stored, Baseline(buckets=[other, baseline.find_bucket(files.read(stored, Baseline), own.machine)]))
    capsys.readouterr()
    assert main(["baseline", "show", "--json", "shown.json"]) == 0
    out = capsys.readouterr().out
    assert "there are enough sessions for a verdict" in out
    assert "another machine, 11 sessions: another" in out
    document = files.read(Path("shown.json"), BaselineSummary)
    (row,) = document.rows
    known = np.log([recorded.rows[KEY].speedup for recorded in own.sessions])
    assert (row.row, row.sessions, row.accepted) == (KEY, 11, 1)
    assert row.speedup.estimate == pytest.approx(np.exp(known.mean()))
    half = 2.228139 * known.std(ddof=1) * math.sqrt(1 + 1 / 11)  # the 97.5 % quantile of 10 degrees of freedom
    assert row.speedup.high == pytest.approx(np.exp(known.mean() + half), rel=1e-5)


@pytest.mark.parametrize("change", [{"speedup": 0.0}, {"speedup": 1e308}, {"seconds": -1.0}])
def test_a_session_with_impossible_figures_is_refused(tmp_path, change):
    row = {"speedup": 1.0, "seconds": 1.0, "reference_seconds": 1.0}
    recorded = {"started": "", "head": "", "digest": "", "rows": {KEY: {**row, **change}}}
    path = tmp_path / "b.json"
    document = {"schema": "mlpbench.baseline/1", "buckets": [{"machine": {}, "sessions": [recorded], "moves": []}]}
    path.write_text(json.dumps(document))
    with pytest.raises(files.RecordError, match="is not a valid"):
        files.read(path, Baseline)


def test_accepted_gains_apply_to_earlier_sessions():
    recorded = [
        Session(started="", head="", digest="", rows={KEY: SessionRow(speedup=s, seconds=1, reference_seconds=s)})
        for s in (2.0, 4.0)
    ]
    known = baseline.add_session(Baseline(buckets=[]), {"cpu": "a"}, recorded[0])
    known = baseline.accept_gains(known, {"cpu": "a"}, {KEY: 2.0})
    known = baseline.add_session(known, {"cpu": "a"}, recorded[1])
    own = baseline.find_bucket(known, {"cpu": "a"})
    assert baseline.speedups(own, KEY) == pytest.approx([math.log(4), math.log(4)])
    assert baseline.find_bucket(known, {"cpu": "b"}).sessions == []
    assert len(baseline.add_session(known, {"cpu": "b"}, recorded[0]).buckets) == 2
