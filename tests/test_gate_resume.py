"""A gate that is interrupted or killed leaves nothing behind and can be resumed."""

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


def test_an_interrupted_gate_reports_and_can_be_resumed_with_the_same_settings(repository, capsys):
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
    checkpoint = files.read(Path("results", "gate.partial.json"), GateState)
    path = repository / "impls" / "numpy_plain.py"
    source = path.read_text()
    path.write_text(f"{source}\n# changed\n")
    assert main(["gate", *QUICK, "--backend", "numpy_plain", "--resume"]) == 2
    assert "gate.partial.json: it was written with other head and threshold" in capsys.readouterr().err.splitlines()[-1]
    path.write_text(source)
    _, _, document = gate("--backend", "numpy_plain", "--threshold", "0.01%", "--resume", "--budget", "0.1")
    assert document.rounds == checkpoint.rounds
    assert document.started == checkpoint.started


KILLS = int(os.environ.get("MLPBENCH_KILLS", "1"))


def test_a_killed_gate_leaves_nothing_and_can_be_resumed(repository):
    """The gate is killed at random times, MLPBENCH_KILLS times."""
    chance = random.Random(os.getpid())
    arguments = ("--backend", "numpy_plain", "--budget", "10", "--json", "gate.json", "--markdown", "gate.md")
    begun = time.monotonic()
    start(*arguments).communicate()
    duration = time.monotonic() - begun
    for _ in range(KILLS):
        process = start(*arguments)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, duration))
        with suppress(ProcessLookupError):  # the process may have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert all(files.read(path, Gate).rows for path in [*Path("results").glob("gate-*.json"), Path("gate.json")])
        checkpoint = Path("results", "gate.partial.json")
        finished = len(files.read(checkpoint, GateState).rounds) if checkpoint.exists() else 0
        resumed = start(*arguments, "--resume")
        output = resumed.communicate()
        assert resumed.returncode in (0, 3), output
        document = files.read(Path("gate.json"), Gate)
        assert len(document.rounds) >= max(1, finished)
        assert document.rows[0].verdict in ("PASS", "INCONCLUSIVE")
        assert left_behind() == []
        assert not [*Path(".mlpbench", "gate").glob(".*")]
        assert not [*Path("results").glob(".*"), *Path("results").glob("*partial*"), *Path().glob(".mlpbench-*")]
    worktrees = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(worktrees.stdout.splitlines()) == 1


def test_resume_without_an_unfinished_gate_begins_anew(repository, capsys):
    Path("results").mkdir()
    status, _, _ = gate("--backend", "numpy_plain", "--resume", "--budget", "0.1")
    assert status == 3
    assert "there is no unfinished gate in results to resume; starting a new one" in capsys.readouterr().err


TIMES = {"head": [1e-6], "base": [1e-6], "control": [1e-6]}


def state_with(times):
    """The checkpoint of a gate with one round, which has these times."""
    measured_round = {"wall_seconds": 1.0, "seconds": {"numpy_plain: forward": times}}
    fields = {"schema": "mlpbench.gate-state/3", "settings": {}, "started": "", "failures": {}, "deaths": {}}
    return json.dumps({**fields, "rounds": [measured_round]})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"schema": "mlpbench.gate-state/3"}',
        state_with({**TIMES, "head": [0.0]}),
        state_with({**TIMES, "head": []}),
        state_with({**TIMES, "head": [1e-6, 1e-6]}),
        state_with({"head": [1e-6], "base": [1e-6]}),
    ],
)
def test_a_damaged_checkpoint_is_not_resumed(repository, capsys, content):
    Path("results").mkdir()
    Path("results", "gate.partial.json").write_text(content)
    assert main(["gate", *QUICK, "--resume"]) == 2
    assert "results/gate.partial.json is not" in capsys.readouterr().err.splitlines()[-1]
