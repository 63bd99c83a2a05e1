"""A gate that is interrupted or killed reports, leaves nothing behind, and is gone on with."""

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.records import files
from bench.records.gate_schema import Gate, GateState
from tests.gates import QUICK, gate, left_behind, start

pytestmark = pytest.mark.slow


def test_an_interrupted_gate_reports_and_goes_on(repository):
    process = start("--backend", "numpy_plain", "--budget", "60", "--threshold", "0.01%", "--json", "gate.json")
    while not Path("results", "gate.partial.json").exists():
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    document = files.read(Path("gate.json"), Gate)
    assert document.verdict == "INCONCLUSIVE"
    assert "the measurement was interrupted" in document.rows[0].reason
    assert out.rstrip().splitlines()[-1].startswith("INCONCLUSIVE: ")
    assert left_behind() == []
    kept = files.read(Path("results", "gate.partial.json"), GateState)
    _, _, document = gate("--backend", "numpy_plain", "--threshold", "0.01%", "--resume", "--budget", "0.1")
    assert document.rounds == kept.rounds
    assert document.started == kept.started


KILLS = int(os.environ.get("MLPBENCH_KILLS", "2"))


def test_a_killed_gate_leaves_nothing_and_can_be_resumed(repository):
    """Killed at random moments; MLPBENCH_KILLS says how many."""
    chance = random.Random(os.getpid())
    arguments = ("--backend", "numpy_plain", "--budget", "4", "--json", "gate.json", "--markdown", "gate.md")
    begun = time.monotonic()
    start(*arguments).communicate()
    takes = time.monotonic() - begun
    for _ in range(KILLS):
        process = start(*arguments)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, takes))
        with suppress(ProcessLookupError):  # it may be over
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert all(files.read(path, Gate).rows for path in [*Path("results").glob("gate-*.json"), Path("gate.json")])
        kept = Path("results", "gate.partial.json")
        had = len(files.read(kept, GateState).rounds) if kept.exists() else 0
        resumed = start(*arguments, "--resume")
        said = resumed.communicate()
        assert resumed.returncode in (0, 3), said
        document = files.read(Path("gate.json"), Gate)
        assert len(document.rounds) >= max(1, had)
        assert document.rows[0].verdict in ("PASS", "INCONCLUSIVE")
        assert left_behind() == []
        assert not [*Path(".mlpbench", "gate").glob(".*")]
        assert not [*Path("results").glob(".*"), *Path("results").glob("*partial*"), *Path().glob(".mlpbench-*")]
    worktrees = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(worktrees.stdout.splitlines()) == 1


def test_a_resumed_gate_must_be_the_same(repository, capsys):
    process = start("--backend", "numpy_plain", "--threshold", "0.01%", "--budget", "60")
    while not Path("results", "gate.partial.json").exists():
        time.sleep(0.02)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    path = repository / "impls" / "numpy_plain.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert main(["gate", *QUICK, "--backend", "numpy_plain", "--resume"]) == 2
    assert "gate.partial.json: it was written with other head and threshold" in capsys.readouterr().err.splitlines()[-1]


def test_resume_without_an_unfinished_gate_begins_one_and_says_so(repository, capsys):
    Path("results").mkdir()
    status, rows, _ = gate("--backend", "numpy_plain", "--resume")
    assert status in (0, 3)
    assert rows["numpy_plain"].rounds >= 6
    assert "there is no unfinished gate in results to resume; starting a new one" in capsys.readouterr().err


TIMES = {"head": [1e-6], "base": [1e-6], "control": [1e-6]}


def state_with(times):
    """An unfinished gate whose one set has these times."""
    one = {"wall_seconds": 1.0, "seconds": {"numpy_plain: forward": times}}
    known = {"schema": "mlpbench.gate-state/2", "settings": {}, "started": "", "failures": {}, "deaths": {}}
    return json.dumps({**known, "rounds": [one]})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"schema": "mlpbench.gate-state/2"}',
        state_with({**TIMES, "head": [0.0]}),
        state_with({**TIMES, "head": []}),
        state_with({**TIMES, "head": [1e-6, 1e-6]}),
        state_with({"head": [1e-6], "base": [1e-6]}),
    ],
)
def test_what_was_left_and_is_damaged_is_not_gone_on_with(repository, capsys, content):
    Path("results").mkdir()
    Path("results", "gate.partial.json").write_text(content)
    assert main(["gate", *QUICK, "--resume"]) == 2
    assert "results/gate.partial.json is not" in capsys.readouterr().err.splitlines()[-1]
