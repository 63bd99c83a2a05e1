"""``baseline`` and ``gate --baseline``: recording, judging, accepting, showing, reading from a revision."""

import math
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main
from bench.records import files
from bench.records.gate_schema import (
    AcceptedMove,
    Baseline,
    BaselineAcceptance,
    BaselineSummary,
    Gate,
    RecordedSession,
)
from pairbench import lock, machine
from tests import gates
from tests.forked_workers import fork_workers
from tests.gates import git, plant
from tests.test_baseline_verdict import KEY, session

FEW = ("--backend", "numpy_plain", "--network", "3-3-1", "--budget", "2")

pytestmark = pytest.mark.slow


def run(*arguments):
    return main([*arguments, *FEW])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, worker_server):
    """The content of a baseline with one session of this machine."""
    root = tmp_path_factory.mktemp("recorded")
    gates.lay_out(root)
    with pytest.MonkeyPatch.context() as patch:
        gates.reduce_effort(patch)
        fork_workers(patch, worker_server)
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


def test_a_note_names_the_library_whose_version_differs(stored):
    (own,) = files.read(stored, Baseline).buckets
    older = own.model_copy(update={"machine": {**own.machine, "numpy": "1.0"}})
    other = own.model_copy(update={"machine": {**older.machine, "cpu": "another", "blas": None}})
    files.write(stored, Baseline(buckets=[other, older]))
    _, _, document = gate_row(stored)
    numpy = machine.library_version("numpy")
    line = f"The baseline has 1 session of a machine that differs in numpy (1.0 there, {numpy} here)."
    assert line in document.notes


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
    for earlier in path.parent.glob("gate-*.json"):
        earlier.unlink()
    assert run("baseline", "accept", "--baseline", str(path)) == 0
    assert "no row is significantly faster in two sessions" in capsys.readouterr().out
    gate_row(path)
    _, _, document = gate_row(path)  # the earlier gate confirms the gain
    assert any(note.endswith(f"mlpbench baseline accept {same_rows}") for note in document.notes)
    assert run("baseline", "accept", "--baseline", str(path), "--json", "accepted.json") == 0
    (gain,) = files.read(Path("accepted.json"), BaselineAcceptance).rows
    assert gain.backend == "numpy_plain"
    (move,) = files.read(path, Baseline).buckets[0].moves
    assert (move.row, move.sessions) == (KEY, 12)
    assert move.factor == gain.factor
    assert 3 < move.factor < 30
    with_history(path, 12, factor=10)
    assert gate_row(path)[0] == 1
    assert run("baseline", "accept", "--baseline", str(path), "--losses", "--json", "accepted.json") == 0
    (loss,) = files.read(Path("accepted.json"), BaselineAcceptance).rows
    assert 0.03 < loss.factor < 0.3
    assert gate_row(path, "--threshold", "100%")[1].verdict != "FAIL"


def test_a_change_cannot_edit_the_baseline_that_judges_it(repository, stored, capsys):
    path = stored.rename("baseline.json")
    with_history(path, 12, factor=4)
    git("add", "baseline.json", cwd=repository)
    git("commit", "--quiet", "--message", "baseline", cwd=repository)
    with_history(path, 12, factor=0.5)  # an edit under which every head would pass
    status, row, _ = gate_row(path, "--baseline-from", "HEAD")
    assert (status, row.verdict) == (3, "INCONCLUSIVE")  # suspected
    status, row, _ = gate_row(path, "--baseline-from", "HEAD")  # another session
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
    with_history(stored, 22, factor=2)
    (own,) = files.read(stored, Baseline).buckets
    doubled = [
        one.model_copy(update={"rows": {KEY: one.rows[KEY].model_copy(update={"speedup": 2 * one.rows[KEY].speedup})}})
        for one in own.sessions[11:]
    ]
    own = own.model_copy(
        update={
            "sessions": [*own.sessions[:11], *doubled],
            "moves": [AcceptedMove(row=KEY, factor=1.5, sessions=20)],
        }
    )
    other = own.model_copy(update={"machine": {**own.machine, "cpu": "another"}})
    files.write(stored, Baseline(buckets=[other, own]))
    capsys.readouterr()
    assert main(["baseline", "show", "--json", "shown.json"]) == 0
    out = capsys.readouterr().out
    assert "there are enough sessions for a verdict" in out
    assert "another machine, 22 sessions: another" in out
    document = files.read(Path("shown.json"), BaselineSummary)
    (row,) = document.rows
    known = np.log([recorded.rows[KEY].speedup for recorded in own.sessions])
    assert (row.row, row.sessions, row.window, row.accepted) == (KEY, 22, 11, pytest.approx(1.5))
    assert row.anchor == pytest.approx(1.5 * np.exp(known[:10].mean()))
    assert row.speedup.estimate == pytest.approx(np.exp(known[11:].mean()))
    spread = math.sqrt((known[:11].var() + known[11:].var()) * 11 / 20)
    half = 2.085963 * spread * math.sqrt(1 + 1 / 11)  # the 97.5 % quantile of 20 degrees of freedom
    assert row.speedup.high == pytest.approx(np.exp(known[11:].mean() + half), rel=1e-5)
    (change,) = document.changes
    assert (change.row, change.session, change.factor) == (KEY, 12, pytest.approx(2, rel=0.02))
    assert "faster from session 12 on" in " ".join(out.split())
