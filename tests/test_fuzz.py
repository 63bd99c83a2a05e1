"""Random damage to the files that the commands read, and random command lines.

Damage is refused in one line, or does no harm. `make fuzz` tries the same for a given time. Inputs that failed once
stand beside the tests as explicit examples.
"""

from __future__ import annotations

import json
import math
import tempfile
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout, suppress
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.checkpoint import Checkpoint
from bench.cli.main import main
from bench.cli.program import cli
from bench.gate import baseline_verdict, error_rates, recording
from bench.gate.session import MeasuredSession
from bench.records import files
from bench.records.error_rate_schema import RecordingState
from bench.records.files import RecordError
from bench.records.gate_schema import AcceptedMove, Baseline, BaselineSummary, Bucket, GateState, RoundRecord
from bench.records.scale_schema import ScaleState
from bench.records.schema import Latest
from bench.records.speed_schema import SpeedState
from bench.records.tutorial_schema import TutorialsState
from bench.report import pictures
from pairbench import machine
from pairbench.visible_text import visible
from tests import damage
from tests.helpers import assert_one_line, timing_row
from tests.test_baseline_verdict import HEAD, KEY, history, session
from tests.test_error_rates import synthetic
from tests.test_gate_resume import TIMES
from tests.test_speedup_picture import all_rows, run_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Generating overly large repr")]


def data_of(document):
    return json.loads(files.dumps(document))


def answer(*words):
    """The exit status and the output of a command line, which has no error that the program did not foresee."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([*map(str, words)])
    assert status in (0, 1, 2, 3), err.getvalue()
    assert "Traceback" not in err.getvalue()
    if status == 2:
        assert_one_line(err.getvalue().removesuffix("\n").split("\n")[-1])
        assert err.getvalue().split("\n")[-2].startswith("mlpbench: ")
    return status, out.getvalue()


ROUNDS = [RoundRecord(wall_seconds=1.0, seconds={"numpy_plain: forward": TIMES})] * 2
STARTED = {"settings": {"machine": {"cpu": "a"}}, "started": "2026-01-01T00:00:00+00:00"}
STATES = {
    "gate": GateState(**STARTED, rounds=ROUNDS, failures={"a": {"head": "wrong"}}, deaths={"a": {"base": 1}}),
    "scale": ScaleState(
        **STARTED, rows=[timing_row(), timing_row(batch=2)], not_run=[], bisections=2, compile=[], processes=[]
    ),
    "speed": SpeedState(**STARTED, seed=1, rows=[timing_row()]),
    "tutorials": TutorialsState(**STARTED, done=["xor"], rows=[], remarks={"xor": ["text"]}, unsupported=[]),
    "error-rates-idle": RecordingState(**STARTED, loops=5, delay_steps=[1], wall_seconds=1.5, seconds=[[[1e-6]]]),
}


@damage.tried
@given(st.data())
@pytest.mark.parametrize("command", STATES)
def test_a_damaged_checkpoint_is_refused(command, data):
    state = STATES[command]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder), command, type(state), lambda line: None)
        checkpoint.save(state)
        content = data.draw(damage.damaged_files(json.loads(checkpoint.path.read_bytes())))
        checkpoint.path.write_bytes(content)
        try:
            resumed = checkpoint.begin(state, resume=True)
        except RecordError:
            return
        assert resumed == state


MEASURED = MeasuredSession(session(), {})
BUCKET = Bucket(
    machine=json.loads(json.dumps(machine.bucket(machine.describe()))),
    sessions=history(11),
    moves=[AcceptedMove(row=KEY, factor=2.0, sessions=2)],
)
FAR_APART = BUCKET.model_copy(update={"sessions": [session(speedup) for speedup in (1e-14, 1e14)]})
BASELINE = Baseline(buckets=[BUCKET])


def with_machine(**fields):
    """The content of the baseline on a machine with other fields."""
    (bucket,) = data_of(BASELINE)["buckets"]
    return json.dumps(data_of(BASELINE) | {"buckets": [bucket | {"machine": fields}]}).encode()


@damage.tried
@given(damage.damaged_files(data_of(BASELINE)))
@example(json.dumps(data_of(Baseline(buckets=[FAR_APART]))).encode())
@example(with_machine())
@example(with_machine(cpu=float("nan")))
@example(with_machine(cpu=0).replace(b"0", b"1e999"))
def test_a_damaged_baseline_is_refused_or_summarized(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "baseline.json")
        path.write_bytes(content)
        status, _ = answer("baseline", "show", "--baseline", path)
        _, out = answer("baseline", "show", "--baseline", path, "--json", "-")
        if status == 2:
            return
        known = files.read(path, Baseline)
        for row in files.parse("summary", out.encode(), BaselineSummary).rows:
            speedups = [
                measured.speedup
                for bucket in known.buckets
                for one in bucket.sessions
                for key, measured in one.rows.items()
                if visible(key) == row.row
            ]
            gains = [1.0, *(move.factor for bucket in known.buckets for move in bucket.moves)]
            least, most = (of(speedups) * math.prod(of(1.0, gain) for gain in gains) for of in (min, max))
            assert least * (1 - 1e-9) <= row.speedup.estimate <= most * (1 + 1e-9)
        for bucket in known.buckets:
            (judged,) = baseline_verdict.judge_rows(HEAD, bucket, MEASURED, session(), 0.05)
            assert judged.verdict in ("PASS", "FAIL", "INCONCLUSIVE")


@damage.tried
@given(damage.damaged_files(data_of(run_of(all_rows()))))
def test_a_damaged_results_file_is_refused_or_drawn(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.json")
        path.write_bytes(content)
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = pictures.main([str(path), folder])
        assert_one_line((err if status else out).getvalue().removesuffix("\n"))
        assert status in (0, 2)


@damage.tried
@given(damage.damaged_files(data_of(Latest(file="run.json"))))
@example(b'{"schema": "mlpbench.latest/1", "file": "\\u0000"}')
def test_a_damaged_latest_is_refused_or_names_a_file(content):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "latest.json").write_bytes(content)
        for function in (files.check_folder, lambda path: pictures.read_results(path / "latest.json")):
            with suppress(RecordError):
                function(Path(folder))


@cache
def recorded_bytes():
    with tempfile.TemporaryDirectory() as folder:
        recording.write_recording(Path(folder, "idle.npz"), synthetic(1, 40))
        return Path(folder, "idle.npz").read_bytes()


@st.composite
def damaged_recordings(draw):
    """A recording after damage to its bytes, to its array or to its description."""
    if draw(st.booleans()):
        return draw(damage.damaged_bytes(recorded_bytes()))
    with np.load(BytesIO(recorded_bytes())) as archive:
        about, seconds = json.loads(str(archive["about"])), archive["seconds"].copy()
    if draw(st.booleans()):
        about = draw(damage.damaged_data(about))
    else:
        index = tuple(draw(st.integers(0, size - 1)) for size in seconds.shape)
        seconds[index] = draw(st.floats(width=32))
        seconds = draw(st.sampled_from([seconds, seconds[:, 1:], seconds[:1], seconds.astype(object), seconds[None]]))
    content = BytesIO()
    np.savez(content, about=json.dumps(about), seconds=seconds)
    return content.getvalue()


@damage.tried
@given(damaged_recordings())
def test_a_damaged_recording_is_refused_or_scored(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "idle.npz")
        path.write_bytes(content)
        try:
            read = recording.read_recording(path)
        except RecordError:
            return
        for score in error_rates.score_rules(read, 120):
            for rate in score.rates.values():
                assert 0 <= rate.low <= rate.count / max(1, rate.runs) <= rate.high <= 1


class Reached(BaseException):
    """A command has accepted its arguments, and begins to measure."""


MEASURING = (
    "bench.suite.run_suite",
    "bench.suite.compare_backends",
    "bench.suite.verify_backends",
    "bench.scale.growth.measure_growth",
    "bench.cluster.pool._connected",
    "bench.speed.speed_run.measure_speed",
    "bench.tutorials.resumable.reproduce_tutorials",
    "bench.tutorials.datasets.boston",
    "bench.commands.gate.judge_revision",
    "bench.commands.gate.judge_against_baseline",
    "bench.commands.baseline.prepare_head",
    "bench.commands.error_rates._record",
    "bench.commands.warm.compile_ahead",
)


def leaves(group, path=()):
    """Every command, as its path and its parameters."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command.params


WORDS = st.one_of(
    st.sampled_from(
        ["3-3-1", "0", "-1", "nan", "5%", "HEAD", "forward", "relu", "numpy_plain", "-", ".", "a/b", "\x1b["]
    ),
    damage.TEXTS.map(lambda text: text.replace("\0", "").encode("utf-8", "replace").decode().lstrip("/")),
    st.integers().map(str),
)


@st.composite
def command_lines(draw):
    path, parameters = draw(st.sampled_from(list(leaves(cli))))
    words = [*path]
    for parameter in draw(st.lists(st.sampled_from(parameters), max_size=4)) if parameters else ():
        if parameter.param_type_name == "option":
            words.append(draw(st.sampled_from(parameter.opts)))
            if getattr(parameter, "is_flag", False):
                continue
        words.append(draw(WORDS))
    return words + draw(st.lists(WORDS, max_size=1))


@damage.tried
@given(command_lines())
def test_a_random_command_line_gets_an_answer(words):
    def reached(*_, **__):
        raise Reached

    with ExitStack() as stack:
        for name in MEASURING:
            stack.enter_context(mock.patch(name, reached))
        no_worker = AssertionError("MEASURING lacks a function")
        stack.enter_context(mock.patch("pairbench.worker_processes.Popen", side_effect=no_worker))
        stack.enter_context(chdir(stack.enter_context(tempfile.TemporaryDirectory())))
        with suppress(Reached):
            answer(*words)
