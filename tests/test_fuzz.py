"""Random damage to the files that the commands read, and random arguments of the backends and of the command line.

Damage is refused in one line, or does no harm. `make fuzz` tries the same for a given time. Inputs that failed once
stand beside the tests as explicit examples.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout, suppress
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import impls
from bench.checkpoint import Checkpoint
from bench.cli.command_line import cli
from bench.cli.main import main
from bench.gate import baseline_verdict, error_rates, recording
from bench.gate.session import MeasuredSession
from bench.proof.targets import flat
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import (
    AcceptedGain,
    Baseline,
    BaselineSummary,
    Bucket,
    GateState,
    RecordingState,
    RoundRecord,
)
from bench.records.scale_schema import ScaleState
from bench.records.schema import Latest
from bench.records.speed_schema import SpeedState
from bench.records.tutorial_schema import TutorialsState
from bench.report import speedup_picture
from impls import Network
from pairbench import machine
from pairbench.visible_text import one_line, visible
from tests import damage
from tests.conftest import CORE
from tests.helpers import timing_row
from tests.test_error_rates import synthetic
from tests.test_gate_baseline import HEAD, KEY, history, session
from tests.test_gate_resume import TIMES
from tests.test_speedup_picture import all_rows, run_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Generating overly large repr")]

EXAMPLES = os.environ.get("MLPBENCH_FUZZ")
"""Number of random inputs of each test; without it there are few, and always the same."""

common = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=int(EXAMPLES or 10),
    derandomize=EXAMPLES is None,
    database=None,
)


def data_of(document):
    return json.loads(files.dumps(document))


def assert_one_line(text):
    assert text == one_line(text)
    assert "Traceback" not in text


def assert_no_line_break(error):
    """The error of a backend is one line, in which the names of an array's fields may hold invisible characters."""
    assert "\n" not in str(error)


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
    "scale": ScaleState(**STARTED, rows=[timing_row(), timing_row(batch=2)], not_run=[], compile=[], processes=[]),
    "speed": SpeedState(**STARTED, seed=1, rows=[timing_row()]),
    "tutorials": TutorialsState(**STARTED, done=["xor"], rows=[], remarks={"xor": ["text"]}, unsupported=[]),
    "error-rates-idle": RecordingState(**STARTED, loops=5, delay_steps=[1], wall_seconds=1.5, seconds=[[[1e-6]]]),
}


@common
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
    moves=[AcceptedGain(row=KEY, factor=2.0, sessions=2)],
)
FAR_APART = BUCKET.model_copy(update={"sessions": [session(speedup) for speedup in (1e-14, 1e14)]})
BASELINE = Baseline(buckets=[BUCKET])


def with_machine(**fields):
    """The content of the baseline on a machine with other fields."""
    (bucket,) = data_of(BASELINE)["buckets"]
    return json.dumps(data_of(BASELINE) | {"buckets": [bucket | {"machine": fields}]}).encode()


@common
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
            with mock.patch.object(baseline_verdict, "measure_session", return_value=MEASURED):
                (judged,), _ = baseline_verdict.judge_and_confirm(HEAD, bucket, MEASURED, 0.05, None)
            assert judged.verdict in ("PASS", "FAIL", "INCONCLUSIVE")


@common
@given(damage.damaged_files(data_of(run_of(all_rows()))))
def test_a_damaged_results_file_is_refused_or_drawn(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.json")
        path.write_bytes(content)
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = speedup_picture.main([str(path), folder])
        assert_one_line((err if status else out).getvalue().removesuffix("\n"))
        assert status in (0, 2)


@common
@given(damage.damaged_files(data_of(Latest(file="run.json"))))
def test_a_damaged_latest_is_refused_or_names_a_file(content):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "latest.json").write_bytes(content)
        for function in (files.check_folder, lambda path: speedup_picture.read_run(path / "latest.json")):
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


@common
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
    "bench.speed.speed_run.measure_speed",
    "bench.tutorials.resumable.reproduce_tutorials",
    "bench.tutorials.datasets.boston",
    "bench.cli.gate.judge_revision",
    "bench.cli.gate.judge_against_baseline",
    "bench.cli.baseline.prepare_head",
    "bench.cli.error_rates._record",
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


@common
@given(command_lines())
def test_a_random_command_line_gets_an_answer(words):
    def reached(*_, **__):
        raise Reached

    with ExitStack() as stack:
        for name in MEASURING:
            stack.enter_context(mock.patch(name, reached))
        stack.enter_context(chdir(stack.enter_context(tempfile.TemporaryDirectory())))
        with suppress(Reached):
            answer(*words)


NETWORKS = {
    "sigmoid": Network((3, 4, 2)),
    "softmax": Network((3, 4, 2), "relu", "softmax", "categorical_cross_entropy"),
    "cross entropy": Network((3, 4, 2), "tanh", "sigmoid", "binary_cross_entropy"),
}
X, Y = damage.any_argument((3,), (4, 3)), damage.any_argument((4, 2))
TARGETS = st.just(np.array([[0.0, 1.0]] * 4))
CALLS = st.one_of(
    st.tuples(st.just("forward"), st.tuples(X), st.just({})),
    st.tuples(
        st.sampled_from(["loss", "gradient"]),
        st.tuples(X, Y | TARGETS),
        st.fixed_dictionaries({}, optional={"reduction": st.sampled_from(["mean", "sum"]) | damage.VALUES}),
    ),
    st.tuples(
        st.just("train"),
        st.tuples(X, Y | TARGETS),
        st.fixed_dictionaries(
            {"epochs": st.integers(1, 3) | damage.any_number(), "learning_rate": damage.any_number()},
            optional={
                "bias_learning_rate": damage.any_number(),
                "batches": damage.any_number() | damage.any_argument((2, 2)),
                "reduction": st.sampled_from(["mean", "sum"]) | damage.VALUES,
            },
        ),
    ),
)


def outcome(model, name, arguments, options):
    """The result of a call, or the type and the text of its error."""
    try:
        return flat_result(getattr(model, name)(*arguments, **options))
    except (TypeError, ValueError) as error:
        assert_no_line_break(error)
        return type(error), str(error)


def flat_result(result):
    return flat(result[1]) if type(result) is tuple else np.ravel(result)


SIZES = st.lists(st.integers(1, 4), min_size=2, max_size=3).map(tuple) | damage.VALUES | st.builds(damage.Hostile)
CHOICES = st.sampled_from(["sigmoid", "tanh", "relu", "softmax", "half_squared_error", "categorical_cross_entropy"])


@common
@given(SIZES, st.tuples(*[CHOICES | damage.VALUES] * 3))
def test_a_network_is_built_or_refused(sizes, functions):
    try:
        network = Network(sizes, *functions)
    except (TypeError, ValueError) as error:
        assert_one_line(str(error))
    else:
        assert len(network.random_parameters()) == len(network.layer_sizes) - 1


LAYERS = [
    damage.any_argument((4, 3), (3, 4)),
    damage.any_argument((4,)),
    damage.any_argument((2, 4)),
    damage.any_argument((2,)),
]
PARAMETERS = (
    st.tuples(*LAYERS).map(lambda parts: [parts[:2], parts[2:]])
    | damage.VALUES
    | st.lists(st.tuples(*LAYERS[:2]), max_size=3)
)


@common
@given(PARAMETERS, st.sampled_from(["float64", "float32"]) | damage.VALUES)
def test_every_backend_answers_random_parameters_alike(parameters, dtype):
    def build(name):
        try:
            return flat(impls.load(name).build(NETWORKS["sigmoid"], parameters, dtype=dtype).parameters())
        except (TypeError, ValueError) as error:
            assert_no_line_break(error)
            return type(error), str(error).replace(name, "it")

    expected = {}
    for name in CORE:
        built = build(name)
        np.testing.assert_equal(built, expected.setdefault(impls.load(name).dtypes, built))


def moderate(*values):
    """Whether no finite number in a nested argument is so large that sums of it lose their digits."""
    with np.errstate(all="ignore"):
        arrays = [np.asarray(value, float).ravel() for value in values if not isinstance(value, (str, type(None)))]
    return all(np.all(np.isinf(array) | np.isnan(array) | (np.abs(array) < 1e6)) for array in arrays)


@common
@given(
    st.sampled_from(list(NETWORKS)), st.sampled_from(["float64", "float32"]), st.lists(CALLS, min_size=1, max_size=3)
)
def test_every_backend_answers_random_calls_alike(network, dtype, calls):
    built = [
        impls.load(name).build(NETWORKS[network], NETWORKS[network].random_parameters(), dtype=dtype)
        for name in CORE
        if dtype in impls.load(name).dtypes
    ]
    reference, *others = built
    for name, arguments, options in calls:
        expected = outcome(reference, name, arguments, options)
        parameters = flat(reference.parameters())
        for model in others:
            found = outcome(model, name, arguments, options)
            if isinstance(expected, tuple):
                assert found == expected
            elif moderate(*arguments, *options.values()):
                tolerance = {"rtol": 1e-7, "atol": 1e-9} if dtype == "float64" else {"rtol": 1e-2, "atol": 1e-3}
                np.testing.assert_allclose(found, expected, **tolerance)
                np.testing.assert_allclose(flat(model.parameters()), parameters, **tolerance)
