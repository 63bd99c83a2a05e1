"""The verdict of ``gate --baseline`` and what ``baseline accept`` accepts, from sessions that are made up."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from bench.cases import Case
from bench.gate import baseline, baseline_verdict, earlier_session
from bench.gate import session as sessions
from bench.gate.row_plans import BackendCase, RowPlan
from bench.gate.session import MeasuredSession, SessionHead
from bench.records import files
from bench.records.gate_schema import AcceptedMove, Baseline, Bucket, Session, SessionRow
from bench.report.terminal import Lines
from impls import Network
from pairbench import machine, rounds
from pairbench.measurement_loop import GateTask
from pairbench.worktrees import Revision

KEY = "numpy_plain: forward 3-3-1, 1 sample, float64"


def session(speedup=9.0, seconds=5e-6, reference=45e-6):
    rows = {KEY: SessionRow(speedup=speedup, seconds=seconds, reference_seconds=reference)}
    return Session(started="", head="", digest="", rows=rows)


def history(count, factor=1.0, reference=1.0):
    """Sessions with the backend ``factor`` times as fast as now, and the reference ``reference`` times as slow."""
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, (count, 3)))
    return [session(9 * factor * reference * a, 5e-6 / factor * b, 45e-6 * reference * c) for a, b, c in noise.tolist()]


ROW = BackendCase("numpy_plain", Case(Network((3, 3, 1)), "forward", 1))
HEAD = SessionHead(Revision("", None, "impls", {}), None, (ROW,), GateTask({}, (KEY,), 0, 0, {}), {}, ())


def judged(sessions, now=None, earlier=None, moves=(), failures=None):
    """The verdict on session ``now`` by recorded sessions and an earlier session of the same sources."""
    own = Bucket(machine={}, sessions=sessions, moves=list(moves))
    measured = now if isinstance(now, MeasuredSession) else MeasuredSession(now or session(), failures or {})
    (found,) = baseline_verdict.judge_rows(HEAD, own, measured, earlier, 0.05)
    return found


def test_a_slowdown_is_a_regression_if_another_session_confirms_it():
    earlier = history(12, factor=1.2)
    row = judged(earlier)
    assert (row.verdict, row.changed_times, row.confirming_rounds) == ("INCONCLUSIVE", ["backend"], None)
    assert row.reason == "the speedup is below its window, sessions 1 to 11; another session must confirm that"
    assert row.change.estimate == pytest.approx(1.2, rel=0.02)
    row = judged(earlier, earlier=session())
    assert (row.verdict, row.changed_times, row.confirming_rounds) == ("FAIL", ["backend"], 1)
    assert row.reason == "in two sessions, the speedup is more than 5.0 % below its window, sessions 1 to 12"
    assert judged([*earlier, session()]).verdict == "FAIL"  # recorded by `baseline record`
    assert judged(earlier, earlier=session(9 * 1.2, 5e-6 / 1.2)).verdict == "INCONCLUSIVE"
    assert judged(earlier, now=session(9 * 1.2, 5e-6 / 1.2), earlier=session()).verdict == "PASS"
    row = judged(history(9, factor=1.2), earlier=session())
    assert (row.verdict, row.reason) == ("INCONCLUSIVE", "only 9 of the 10 sessions that a verdict needs")


def test_the_reason_names_the_sessions_that_have_the_row():
    empty = session().model_copy(update={"rows": {}})
    row = judged([empty, *history(6, factor=1.2), empty, *history(6, factor=1.2)], earlier=session())
    assert row.reason.endswith("its window, sessions 2 to 14")


def test_a_faster_reference_is_no_regression_of_the_backend():
    row = judged(history(12, reference=1.2), earlier=session())
    assert (row.verdict, row.changed_times) == ("INCONCLUSIVE", ["reference"])
    assert "because the reference became faster" in row.reason


def test_a_failed_row_has_no_time():
    row = judged(history(12), now=Session(started="", head="", digest="", rows={}), failures={KEY: "wrong"})
    assert (row.verdict, row.reason, row.head_seconds) == ("FAIL", "the head fails: wrong", None)


def test_rows_of_an_interrupted_session_are_inconclusive():
    row = judged(history(12, factor=1.2), now=MeasuredSession(session(), {}, 3), earlier=session())
    assert (row.verdict, row.head_seconds) == ("INCONCLUSIVE", 5e-6)
    assert row.change.estimate == pytest.approx(1.2, rel=0.02)
    assert "interrupted before all" in row.reason
    row = judged(history(12), now=MeasuredSession(session().model_copy(update={"rows": {}}), {}, 0))
    assert (row.verdict, row.head_seconds, row.change) == ("INCONCLUSIVE", None, None)


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


def bucket(sessions, moves=()):
    return Bucket(machine={}, sessions=sessions, moves=list(moves))


def test_an_accepted_gain_moves_the_anchor():
    own = bucket(history(12, factor=0.8))
    assert judged(own.sessions).verdict == "PASS"
    no_gain = session(9 * 0.8, 5e-6 / 0.8)
    assert baseline.certain_gains(bucket([*own.sessions, no_gain]), session(), None, [KEY]) == {}
    (factor,) = baseline.certain_gains(own, session(), session(), [KEY]).values()
    assert 1.15 < factor < 1.25  # the lower bound
    assert baseline.certain_gains(bucket([*own.sessions, session()]), session(), None, [KEY])[KEY] == pytest.approx(
        factor, rel=0.01
    )
    known = baseline.accept_moves(Baseline(buckets=[own]), {}, {KEY: factor})
    (accepted,) = known.buckets
    assert accepted.moves == [AcceptedMove(row=KEY, factor=factor, sessions=12)]
    assert baseline.certain_gains(accepted, session(), session(), [KEY]) == {}
    assert judged(accepted.sessions, moves=accepted.moves).verdict == "PASS"
    lost = session(9 * 0.8, 5e-6 / 0.8)
    row = judged(accepted.sessions, now=lost, earlier=lost, moves=accepted.moves)
    assert (row.verdict, row.change.estimate) == ("FAIL", pytest.approx(factor, rel=0.01))
    assert "its anchor, sessions 1 to 10" in row.reason
    assert judged(own.sessions, now=lost, earlier=lost).verdict == "PASS"  # nothing was accepted
    assert baseline.certain_gains(bucket(history(9, factor=0.5)), session(), session(), [KEY]) == {}


def test_an_accepted_loss_is_no_regression_any_more():
    own = bucket(history(12, factor=1.2))
    assert baseline.certain_losses(own, session(), None, [KEY]) == {}
    factors = baseline.certain_losses(own, session(), session(), [KEY])
    assert factors == {KEY: pytest.approx(1 / 1.2, rel=0.01)}
    (accepted,) = baseline.accept_moves(Baseline(buckets=[own]), {}, factors).buckets
    row = judged(accepted.sessions, earlier=session(), moves=accepted.moves)
    assert (row.verdict, row.change.estimate) == ("PASS", pytest.approx(1, rel=0.01))
    slower = session(9 / 1.2, 5e-6 * 1.2)
    assert judged(accepted.sessions, now=slower, earlier=slower, moves=accepted.moves).verdict == "FAIL"


def test_an_earlier_gate_of_the_same_sources_is_found(tmp_path):
    here = machine.describe()
    own = machine.bucket(here)

    def store(name, **changes):
        stored = {"schema": "mlpbench.gate/3", "machine": here, "session": session().model_dump() | {"digest": "a"}}
        (tmp_path / f"gate-{name}.json").write_text(json.dumps(stored | {"rows": []} | changes))

    def found(digest="a"):
        return earlier_session.earlier_session(tmp_path, own, digest)

    assert found() is None
    store("1", session=session(speedup=2.0).model_dump() | {"digest": "a"})
    store("2")
    assert found().rows[KEY].speedup == 9.0
    assert found("b") is None
    store("3", machine={**here, "cpu": "another"})
    store("4", session=None)  # interrupted, or a gate against a revision
    store("5", schema="mlpbench.gate/2")
    (tmp_path / "gate-6.json").write_text("{")
    assert found().rows[KEY].speedup == 9.0


@pytest.mark.parametrize("change", [{"speedup": 0.0}, {"speedup": 1e308}, {"seconds": -1.0}])
def test_a_session_with_impossible_figures_is_refused(tmp_path, change):
    row = {"speedup": 1.0, "seconds": 1.0, "reference_seconds": 1.0}
    recorded = {"started": "", "head": "", "digest": "", "rows": {KEY: {**row, **change}}}
    path = tmp_path / "b.json"
    document = {"schema": "mlpbench.baseline/1", "buckets": [{"machine": {}, "sessions": [recorded], "moves": []}]}
    path.write_text(json.dumps(document))
    with pytest.raises(files.RecordError, match="is not a valid"):
        files.read(path, Baseline)


def test_a_baseline_of_the_former_rule_is_read(tmp_path):
    """Its gains were accepted to the estimate; they move the anchor as those of this rule do."""
    recorded = [one.model_dump() for one in history(12)]
    move = {"row": KEY, "factor": 1.25, "sessions": 12}
    path = tmp_path / "b.json"
    bucket = {"machine": {"cpu": "a"}, "sessions": recorded, "moves": [move]}
    path.write_text(json.dumps({"schema": "mlpbench.baseline/1", "buckets": [bucket]}))
    own = baseline.find_bucket(files.read(path, Baseline), {"cpu": "a"})
    assert baseline.row_history(own, KEY).accepted == pytest.approx(math.log(1.25))
    assert baseline.find_bucket(files.read(path, Baseline), {"cpu": "b"}).sessions == []


def test_a_row_has_a_history_of_its_own():
    """A session without the row is none of it, so positions differ from numbers."""
    other = session().model_copy(update={"rows": {}})
    moves = [
        AcceptedMove(row=KEY, factor=2.0, sessions=5),
        AcceptedMove(row=KEY, factor=0.5, sessions=3),
        AcceptedMove(row="another", factor=0.1, sessions=4),
    ]
    own = bucket([session(2.0), other, session(4.0), session(8.0)], moves)
    row = baseline.row_history(own, KEY)
    assert row.values == pytest.approx(np.log([2, 4, 8]))
    assert (row.accepted, row.begin) == (0, 2)
    assert baseline.session_numbers(own, KEY) == [1, 3, 4]
    known = baseline.add_session(Baseline(buckets=[own]), {"cpu": "b"}, session())
    assert [len(each.sessions) for each in known.buckets] == [4, 1]
