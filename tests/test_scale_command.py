"""The command ``scale``: its output, its exit statuses, and resuming after a kill."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from bench import checkpoint
from bench.cli.main import main
from bench.records import files, scale_schema
from bench.scale import growth, points
from tests.helpers import ONE_PROCESS, one_line_error
from tests.test_csv_rows import csv_errors
from tests.third_party import OFF

# Nearly every test starts processes.
pytestmark = pytest.mark.slow

COMPILING = replace(ONE_PROCESS, compile=True)
FEW = (
    points.Dimension("width", (1, 4, 32), 2),
    points.Dimension("depth", (1, 2), 1),
    points.Dimension("batch", (1, 8), 1),
)
BREAK_EVEN = points.BREAK_EVEN_NETWORKS
PARTIAL = Path("results/scale.partial.json")
SHORTENED = """
import sys
from pairbench import threads
threads.limit_own_threads()
from bench.scale import growth, points
from tests.test_scale_command import COMPILING, FEW
points.DIMENSIONS, points.BREAK_EVEN_NETWORKS, growth.EFFORT = FEW, (), COMPILING
from bench import checkpoint
from bench.cli.main import main
sys.exit(main(["scale", *sys.argv[1:]]))
"""


@pytest.fixture(autouse=True)
def shortened(empty_folder, forked_workers, monkeypatch):
    monkeypatch.setattr(growth, "EFFORT", COMPILING)
    monkeypatch.setattr(points, "DIMENSIONS", FEW)
    monkeypatch.setattr(points, "BREAK_EVEN_NETWORKS", ())


def start(*arguments):
    command = [sys.executable, "-c", SHORTENED, "--backend", "numpy_plain", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_tables_crossovers_break_even_json_and_picture(capsys, monkeypatch, third_party):
    monkeypatch.setattr(points, "BREAK_EVEN_NETWORKS", BREAK_EVEN)
    third_party("compiling", "    compiles = True")
    arguments = ["scale", "--backend", "numpy_plain", "--backend", "compiling"]
    assert main([*arguments, "--json", "scale.json", "--pictures", "drawn"]) == 0
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert "width; depth 2, 1 sample: time per call" in out
    assert re.search(r"^ +32 +[\d.]+ µs +[\d.]+ µs +[\d.]+ (ns|µs)", out, re.MULTILINE)
    assert "crossovers" in out
    assert re.search(
        r"^compiling +100-100-50-10 +[\d.]+ (s|ms|µs) +[\d.]+ (s|ms|µs) +[\d,]+ +[\d,]+", out, re.MULTILINE
    )
    assert "A/A control" in out
    assert "mlpbench: 3-3-1, 100-100-50-10, width 1, depth 1, width 32" in err
    document = files.read(Path("scale.json"), scale_schema.Scale)
    assert all(row.ok and row.seconds and row.speedup for row in document.rows)
    assert len(document.rows) == 4 * (3 + 2 + 2 + 2)  # the backends and A/A at every point; the base is in all three
    assert [row.value for row in document.rows if (row.dimension, row.arm) == ("width", "A/A")] == [1, 4, 32]
    assert len(document.break_even) == 2
    (stored,) = Path("results").iterdir()
    assert files.read(stored, scale_schema.Scale) == document
    picture = ElementTree.parse("drawn/scale.svg").getroot()
    assert {"numpy_plain", "compiling", "width", "depth", "batch"} <= {one.text for one in picture.iter()}


def test_the_rows_are_written_as_csv(capsys):
    assert main(["scale", "--backend", "python_loops", "--json", "scale.json", "--format", "csv"]) == 0
    assert csv_errors(files.read(Path("scale.json"), scale_schema.Scale), capsys.readouterr().out) == []


def test_a_wrong_backend_is_not_timed(capsys, third_party):
    third_party("wrong", OFF)
    assert main(["scale", "--backend", "wrong", "--json", "scale.json"]) == 1
    out, _ = capsys.readouterr()
    assert re.search(r"^wrong failed at .*: output.* is .*, not ", out, re.MULTILINE)
    rows = [row for row in files.read(Path("scale.json"), scale_schema.Scale).rows if row.backend == "wrong"]
    assert len(rows) == 3 + 2 + 2
    assert all(row.seconds is None and row.speedup is None for row in rows)
    assert {row.reason for row in rows if row.ok} == {"not run: the backend failed at an earlier point"}


def test_a_killed_run_resumes_from_its_checkpoint():
    chance = random.Random(os.getpid())
    finished = []
    for tries in range(20):
        process = start("--resume", "--json", "-")
        deadline = time.monotonic() + chance.uniform(0.5, 2 + 3 * tries)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        out, err = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
        if PARTIAL.exists():
            state = files.read(PARTIAL, scale_schema.ScaleState)
            assert state.rows[: len(finished)] == finished  # finished rows are not timed again
            finished = state.rows
        elif finished:  # killed after storing the results, before printing them
            out = max(Path("results").glob("scale-*.json"), key=os.path.getmtime).read_text()
            break
    else:  # on a slow machine, every process was killed
        out, err = start("--resume", "--json", "-").communicate()
    document = scale_schema.Scale.model_validate_json(out)
    assert document.rows
    timed = {(str(row.layer_sizes), row.batch, row.arm): row.seconds for row in document.rows}
    assert len(timed) == 3 * 5
    for row in finished:
        assert timed[str(row.layer_sizes), row.batch, row.arm] == row.seconds
    assert ("resuming: " in err) == bool(finished)
    assert not PARTIAL.exists()


def test_an_interrupted_run_can_be_resumed(capsys):
    process = start()
    while not PARTIAL.exists():
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    lines = process.communicate()[1].splitlines()
    assert [line for line in lines if "interrupted" in line] == lines[-1:]
    assert (
        lines[-1] == "mlpbench: interrupted; results/scale.partial.json has the results so far; "
        "to continue, repeat the command with --resume"
    )
    assert process.returncode == 130
    state = files.read(PARTIAL, scale_schema.ScaleState)
    assert main(["scale", "--backend", "numpy_plain", "--resume"]) == 0
    _, err = capsys.readouterr()
    assert re.search(r"^mlpbench: resuming: \d of 5 points are done$", err, re.MULTILINE)
    assert f"resuming the scale that was started at {state.started}" in err
    assert not PARTIAL.exists()


def test_without_resume_a_run_begins_anew_and_its_json_stands_alone_on_standard_output(capsys):
    PARTIAL.parent.mkdir()
    state = scale_schema.ScaleState(
        settings={}, started="2026-01-01T00:00:00+00:00", rows=[], not_run=[], bisections=0, compile=[], processes=[]
    )
    files.write(PARTIAL, state)
    assert main(["scale", "--backend", "python_loops", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["schema"] == "mlpbench.scale/3"
    assert {row["backend"] for row in document["rows"]} == {"python_loops"}
    replaced = PARTIAL.with_name("scale.partial.old.json")
    assert f"the unfinished one, started at {state.started}, is kept as {replaced}" in err
    assert not PARTIAL.exists()
    assert not replaced.exists()  # the new run has ended


def test_a_corrupt_or_foreign_checkpoint_is_refused(capsys):
    PARTIAL.parent.mkdir()
    PARTIAL.write_text("{")
    for arguments in ((), ("--resume",)):
        assert "results/scale.partial.json is not JSON" in one_line_error(capsys, "scale", *arguments)
    assert PARTIAL.read_text() == "{"
    PARTIAL.write_text('{"schema": "mlpbench.scale-state/4"}')
    assert "not a valid mlpbench.scale-state/4 document" in one_line_error(capsys, "scale", "--resume")
    other = scale_schema.ScaleState(
        settings={}, started="", rows=[], not_run=[], bisections=0, compile=[], processes=[]
    )
    checkpoint.Checkpoint(PARTIAL.parent, "scale", scale_schema.ScaleState, print).save(other)
    assert "scale.partial.json: it was written with other machine and sources" in one_line_error(
        capsys, "scale", "--resume"
    )
    assert files.read(PARTIAL, scale_schema.ScaleState).settings == {}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--backend", "abacus"), "no backend is named 'abacus'"),
        (("--json", "no/where.json"), "there is no folder no"),
        (("--pictures", "a.file"), "a.file is a file; name a folder for --pictures"),
        (("--results", "a.file"), "cannot make the folder a.file"),
        (("width",), "see mlpbench scale --help"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(capsys, arguments, text):
    Path("a.file").touch()
    assert text in one_line_error(capsys, "scale", *arguments)
