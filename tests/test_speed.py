"""``speed``: goals computed from invented times, the comparison with C, the page, and the command."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import impls
from bench.cases import DTYPES, Case
from bench.cli.main import main
from bench.proof.verify import expect_case
from bench.records import files, roofline_rows, schema, speed_schema
from bench.records.files import RecordError
from bench.report import speed_page
from bench.roofline import probes
from bench.roofline.lower_bound import MachineLimits, call_kind, lower_bound
from bench.speed import c_comparison, goal_rows, goals, speed_run, start_times
from bench.speed.goals import BATCH, DIGITS_TRAINING, GROUPS, PEER, PLAIN, RATIOS, SAMPLE, SIMD, VECTORIZED, C, Goal
from impls import Network
from pairbench.measure import AA_CONTROL
from tests.forked_workers import LIBRARIES, fork_workers, serve_workers
from tests.helpers import TINY
from tests.helpers import timing_row as row_of
from tests.test_csv_rows import csv_errors

SMALL = Case(Network((3, 3, 1)), "forward", 1)
FAST = MachineLimits(
    products={(dtype, "any"): 1e12 for dtype in ("float64", "float32")},
    exponentials={"float64": 1e12, "float32": 1e12},
    reading={1: 1e15},
    calls={(case.dtype, call_kind(case)): 1e6 for case in GROUPS},
)
PROBED = replace(FAST, reading={1: 1e15, 4096: 2.5e11})


def limits_for(cases):
    """Limits of a fast machine, for some cases."""
    return replace(FAST, calls={(case.dtype, call_kind(case)): 1e6 for case in cases})


def state(seconds, case=SMALL, reasons=(), **parts):
    """A finished measurement of one case. ``seconds`` maps an arm to its backend and its times by process and block."""
    names = [*seconds, AA_CONTROL]
    rows = [
        row_of(
            **case.fields(),
            arm=name,
            backend=SIMD if name == AA_CONTROL else seconds[name][0],
            reference=SIMD,
            reason=dict(reasons).get(name, ""),
            roofline_share=parts.pop("share", None) if name == SIMD else None,
        )
        for name in names
    ]
    processes = [
        schema.ProcessRecord(
            seed=number,
            conditions=[],
            pools=[],
            samples=[
                schema.SampleRecord(
                    **case.fields(),
                    arm=name,
                    loops=1,
                    block=list(range(len(blocks[number]))),
                    position=[0] * len(blocks[number]),
                    seconds=blocks[number],
                )
                for name, (_, blocks) in seconds.items()
            ],
        )
        for number in range(2)
    ]
    return speed_schema.SpeedState(settings={}, started="", seed=1, rows=rows, processes=processes, **parts)


def goal_of(goal, found):
    (row,) = [row for row in goals_of(found, [goal]) if row.unit == ""]
    return row


def goals_of(found, ratios=(), share=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(goal_rows, "RATIOS", ratios)
        patch.setattr(goal_rows, "_share_row", lambda *_: share)
        return [row for row in goal_rows.goal_rows(found) if row is not None]


TIMES = {
    SIMD: (SIMD, [[1.0, 2.0], [1.0, 1.0]]),
    "jax_jit": ("jax_jit", [[6.0, 12.0], [6.0, 6.0]]),
    "torch_eager float32": ("torch_eager", [[4.0, 8.0], [4.0, 4.0]]),
    PLAIN: (PLAIN, [[3.0, 6.0], [3.0, 3.0]]),
    VECTORIZED: (VECTORIZED, [[2.0, 4.0], [2.0, 2.0]]),
}


def test_the_fastest_peer_counts_in_either_dtype_and_no_core_backend_is_one():
    found = goal_of(Goal(PEER, SIMD, SMALL, 4.0 - 1e-9), state(TIMES))
    assert found.measured.estimate == pytest.approx(4.0, rel=1e-12)
    assert found.what.endswith(": the fastest peer (torch_eager float32) ÷ numba_simd")
    assert found.reached


@pytest.mark.parametrize(
    ("over", "under", "value"), [("jax_jit", SIMD, 6.0), (PLAIN, VECTORIZED, 1.5), (PLAIN, SIMD, 3.0)]
)
def test_a_ratio_is_over_divided_by_under(over, under, value):
    found = goal_of(Goal(over, under, SMALL, value + 1e-6), state(TIMES))
    assert found.measured.estimate == pytest.approx(value, rel=1e-12)
    assert not found.reached


def test_a_missing_or_unsupported_arm_has_no_figure_but_a_reason():
    found = goal_of(Goal("onnx_runtime", SIMD, SMALL, 2), state(TIMES))
    assert (found.measured, found.reached, found.detail) == (None, False, "onnx_runtime was not measured")
    times = {SIMD: TIMES[SIMD], "onnx_runtime": ("onnx_runtime", [[], []])}
    found = goal_of(Goal(PEER, SIMD, SMALL, 2), state(times, reasons={"onnx_runtime": "it does not train"}))
    assert (found.measured, found.detail) == (None, "it does not train")


@pytest.mark.parametrize(("logarithms", "reached"), [([0.1], False), ([-0.1], True)])
def test_the_goal_against_c_is_reached_if_c_is_slower(logarithms, reached):
    process = speed_schema.CProcessRecord(seconds=1.6e-6, log_ratios=logarithms)
    c = speed_schema.CComparisonRecord(processes=[process] * 2, reason="")
    found = goal_of(Goal(SIMD, C, SAMPLE, 1.0, at_most=True), state({SIMD: TIMES[SIMD]}, c=c))
    assert found.reached is reached
    assert found.detail == "C takes 1.6 µs"


def test_the_goal_takes_the_share_of_the_roofline_from_its_row():
    found = state({SIMD: (SIMD, [[2e-4], [2e-4]])}, DIGITS_TRAINING, share=0.7)
    (share,) = [row for row in goal_rows.goal_rows(found) if row.what.endswith("the lower bound ÷ numba_simd")]
    assert share.measured.estimate == 0.7


def test_the_lower_bound_of_an_epoch_is_that_counted_by_hand():
    # 20 epochs of 1078 samples and 2220 weights, at 10¹² operations and exponentials a second, and a call of 1 µs.
    forward = 1078 * (2220 + 2 * 40)
    back = 1078 * (2220 + 300 + 2 * 30 + 4 * 10) + 1077 * 40
    bound = 1e-6 + 20 * (forward + back + 2260 + 1078 * 40) / 1e12
    assert lower_bound(DIGITS_TRAINING, FAST) == pytest.approx(bound, rel=1e-9)
    assert roofline_rows.limits_of_rows(roofline_rows.roofline_rows(PROBED)) == PROBED


def test_start_times_are_medians_with_a_goal():
    starts = [
        speed_schema.StartRecord(dtype="float64", cold_seconds=11.0, warm_seconds=[0.5, 0.9, 0.55]),
        speed_schema.StartRecord(
            dtype="float32", cold_seconds=13.0, cold_forward_seconds=3.9, warm_seconds=[0.7, 0.7, 0.7]
        ),
    ]
    rows = [row for row in goals_of(state({SIMD: TIMES[SIMD]}, starts=starts)) if row.unit == "s"]
    assert [row.reached for row in rows] == [True, False, True, True, False]
    assert (rows[3].measured.low, rows[3].measured.estimate, rows[3].measured.high) == (0.5, 0.55, 0.9)


@pytest.mark.slow
def test_the_first_results_of_one_sample_come_before_those_of_all_operations(monkeypatch):
    monkeypatch.setattr(start_times, "PROGRAM", start_times.PROGRAM.replace(SIMD, "numpy_plain"))
    start = start_times.measure_start("float32", 2)
    assert 0 < start.cold_forward_seconds < start.cold_seconds
    assert len(start.warm_seconds) == 2


def test_every_goal_has_its_group():
    for goal in RATIOS:
        assert goal.case in GROUPS
    assert expect_case(SAMPLE).problem.network == goals.CLASSIFIER
    assert BATCH.batch == 1024


needs_c = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc"))), reason="no C compiler")


@pytest.fixture
def no_cc(monkeypatch):
    monkeypatch.delenv("CC", raising=False)


@needs_c
def test_c_is_right_and_timed_in_the_same_blocks(tmp_path, no_cc):
    found = c_comparison.compare_in_process(c_comparison.compile_library(tmp_path), expect_case(SAMPLE), TINY, 1)
    assert found.log_ratios
    assert found.seconds > 0


@pytest.mark.slow
@needs_c
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("exp(-z[j])", "exp(-z[j] * 1.0001)"), ("z[j] = b[j]", "z[j] = 0"), ("t < times", "t < 0"), ("50, 10", "50, 9")],
)
def test_wrong_c_code_is_not_timed(tmp_path, monkeypatch, no_cc, right, wrong):
    source = c_comparison.SOURCE.read_text()
    assert right in source
    monkeypatch.setattr(c_comparison, "SOURCE", tmp_path / "forward.c")
    c_comparison.SOURCE.write_text(source.replace(right, wrong))
    found = c_comparison.compare_in_process(c_comparison.compile_library(tmp_path), expect_case(SAMPLE), TINY, 1)
    assert found.startswith("C is wrong: output")


@needs_c
def test_loading_c_does_not_flush_denormals(tmp_path, no_cc):
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); sys.exit(float(sys.argv[2]) * 0.5 == 0)"
    subprocess.run([sys.executable, "-c", code, str(c_comparison.compile_library(tmp_path)), "2.3e-308"], check=True)


@needs_c
def test_a_compiler_without_march_native_gets_mcpu_native(tmp_path, monkeypatch):
    script = tmp_path / "clang"
    script.write_text(
        "#!/bin/sh\nfor word; do case $word in -march=native) echo unsupported >&2; exit 1;; esac; done\n"
        f'echo "$@" >> {tmp_path}/calls; exec cc $(echo "$@" | sed s/-mcpu=native//)\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    assert c_comparison.compile_library(tmp_path).exists()
    compiling, linking = (tmp_path / "calls").read_text().splitlines()
    assert "-mcpu=native" in compiling
    assert "-shared" in linking


@pytest.mark.parametrize(
    ("command", "text"),
    [("a-compiler-that-is-not-there", "no C compiler found as a-compiler"), ("false", "false cannot compile")],
)
def test_a_missing_or_failing_compiler_is_a_one_line_reason(tmp_path, monkeypatch, command, text):
    monkeypatch.setenv("CC", command)
    with pytest.raises(c_comparison.NoCompiler, match=text) as caught:
        c_comparison.compile_library(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_the_page_does_not_overwrite_another_file(tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    for path, text in (
        (notes, "is not a page of mlpbench speed"),
        (tmp_path, "is a folder"),
        (tmp_path / "a" / "b", "no folder"),
    ):
        with pytest.raises(RecordError, match=text):
            speed_page.check_page_destination(path)
    notes.write_text(speed_page.TITLE + "\n")
    speed_page.check_page_destination(notes)


@pytest.fixture
def forked_workers_with_numba(tmp_path_factory, monkeypatch):
    with serve_workers(tmp_path_factory.mktemp("workers"), (*LIBRARIES, "numba")) as server:
        fork_workers(monkeypatch, server)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers_with_numba")
def test_the_command_prints_stores_and_writes_a_page(tmp_path, monkeypatch, capsys, no_cc):
    monkeypatch.chdir(tmp_path)
    training = replace(goals.XOR_TRAINING, epochs=1)  # the judge repeats it in exact arithmetic
    few = {SMALL: (), SAMPLE: DTYPES, training: (), goals.in_float32(training): ()}
    monkeypatch.setattr("bench.speed.speed_run.GROUPS", few)
    monkeypatch.setattr("bench.speed.goal_rows.RATIOS", [goal for goal in RATIOS if goal.case in few])
    monkeypatch.setattr("bench.speed.goal_rows.ROOFLINE_SHARE", goals.Goal("the lower bound", SIMD, SAMPLE, 0.5))
    monkeypatch.setattr(
        "bench.speed.speed_run.start_times.measure_start",
        lambda dtype, times: speed_schema.StartRecord(dtype=dtype, cold_seconds=1.0, warm_seconds=[0.5] * times),
    )
    monkeypatch.setattr("bench.commands.speed.QUICK_EFFORT", TINY)
    monkeypatch.setattr("bench.commands.speed.selection.select_backends", lambda peers: NO_PEERS)
    monkeypatch.setattr(probes, "measure_limits", lambda cases, progress: limits_for(cases))
    assert main(["speed", "--quick", "--json", "speed.json", "--markdown", "speed.md"]) == 0
    out, err = capsys.readouterr()
    assert "numba_simd and C, process 2 of 2" in err
    document = files.read(Path("speed.json"), speed_schema.Speed)
    assert len(list(Path("results").glob("speed-*.json"))) == 1
    others = [name for arm in (PLAIN, VECTORIZED) for name in (arm, f"{arm} float32")]
    own = [PLAIN, VECTORIZED, SIMD, AA_CONTROL]
    assert [row.arm for row in document.rows] == [*own, *others, SIMD, AA_CONTROL, *own, *own]
    assert {row.reference for row in document.rows} == {SIMD}
    assert all(row.ok and row.lower_bound_seconds > 0 for row in document.rows)
    plain = next(row for row in document.goals if "numpy_plain ÷ numpy_vectorized" in row.what)
    assert plain.measured.estimate == pytest.approx(from_samples(document, "3-3-1"), rel=1e-12)
    assert len(document.c.processes) == 2
    assert [start.dtype for start in document.starts] == ["float64", "float32"]
    page = Path("speed.md").read_text()
    for text in (" ".join(out.split()), page):
        assert "left out: a peer" in text
        for title in (
            "forward 3-3-1, 1 sample, float64",
            "train 2-3-1 tanh/tanh mean_squared_error, batch 4, updates by 1 sample",
        ):
            assert title[1:] in text  # a heading of the page begins with a capital letter
    assert page.startswith("# Speed\n\n- made by `mlpbench speed --quick`, 20")
    assert f"Python {document.machine['python']}" in page
    for goal in document.goals:
        assert f"| {goal.what} | " in page
    # The page shows the ratio of the times, which is the inverse of the speedup in the rows.
    inverse = 1 / document.rows[0].speedup.estimate
    (cell,) = re.findall(r"^\| numpy_plain \| [^|]+ \| ([\d.]+) \[", page, re.MULTILINE)[:1]
    assert float(cell) == pytest.approx(inverse, rel=0.01)
    parts = {name: getattr(document, name) for name in ("seed", "roofline", "rows", "processes", "c", "starts")}
    again = speed_schema.SpeedState(settings={}, started="", **parts)
    monkeypatch.setattr("bench.speed.speed_run.measure_speed", lambda *_: again)
    assert main(["speed", "--quick", "--format", "csv"]) == 0
    assert csv_errors(document, capsys.readouterr().out) == []


def from_samples(document, network):
    """Time of numpy_plain ÷ time of numpy_vectorized, computed from the stored samples."""
    medians = []
    for process in document.processes:
        samples = {
            record.arm: record for record in process.samples if "-".join(map(str, record.layer_sizes)) == network
        }
        over, under = (dict(zip(samples[arm].block, samples[arm].seconds, strict=True)) for arm in (PLAIN, VECTORIZED))
        medians.append(np.median([np.log(over[block] / under[block]) for block in over if block in under]))
    return np.exp(np.median(medians))


class NO_PEERS:
    backends = ()
    broken = ()

    @staticmethod
    def notes():
        return ["left out: a peer"]


def test_numba_simd_is_compared_with_numpy_and_the_peers():
    peer = impls.load(PLAIN)
    assert [backend.name for backend in speed_run.compared_backends([peer])] == [PLAIN, VECTORIZED, PLAIN]
